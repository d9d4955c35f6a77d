package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	srvconfig "github.com/cosmos/cosmos-sdk/server/config"
	evmconfig "github.com/cosmos/evm/server/config"
)

func genesisPath(home string) string { return filepath.Join(home, "config", "genesis.json") }

func cometPath(home string) string { return filepath.Join(home, "config", "config.toml") }

func appPath(home string) string { return filepath.Join(home, "config", "app.toml") }

// makeKeys makes the folders of a node's home and its two keys: one tells peers who it is, the other signs votes.
func makeKeys(home string) (nodeID string, key []byte, err error) {
	for _, folder := range []string{"config", "data"} {
		if err := os.MkdirAll(filepath.Join(home, folder), 0o700); err != nil {
			return "", nil, err
		}
	}
	settings := cmtcfg.DefaultConfig().SetRoot(home)
	nodeKey, err := p2p.LoadOrGenNodeKey(settings.NodeKeyFile())
	if err != nil {
		return "", nil, err
	}
	validator := privval.LoadOrGenFilePV(settings.PrivValidatorKeyFile(), settings.PrivValidatorStateFile())
	return string(nodeKey.ID()), validator.Key.PubKey.Bytes(), nil
}

// writeSettings writes config.toml and app.toml of a node.
func (network *Network) writeSettings(folder string, node Node) {
	home := filepath.Join(folder, node.Home)
	cmtcfg.WriteConfigFile(cometPath(home), network.cometSettings(node))
	srvconfig.SetConfigTemplate(srvconfig.DefaultConfigTemplate + evmconfig.DefaultEVMConfigTemplate)
	srvconfig.WriteConfigFile(appPath(home), network.appSettings(node))
}

// cometSettings are those of the consensus. Only the other nodes of the network may connect: none is found by gossip,
// and beside those that are always let in there is room for nobody.
func (network *Network) cometSettings(node Node) *cmtcfg.Config {
	settings := cmtcfg.DefaultConfig()
	settings.Moniker = node.Name
	settings.RPC.ListenAddress = fmt.Sprintf("tcp://127.0.0.1:%d", node.RPC)
	settings.P2P.ListenAddress = fmt.Sprintf("tcp://127.0.0.1:%d", node.P2P)
	settings.P2P.PersistentPeers, settings.P2P.UnconditionalPeerIDs = network.peers(node)
	settings.P2P.PexReactor = false
	settings.P2P.AddrBookStrict = false
	settings.P2P.AllowDuplicateIP = true
	settings.P2P.MaxNumInboundPeers = 0
	settings.P2P.MaxNumOutboundPeers = 0
	settings.P2P.PersistentPeersMaxDialPeriod = 5 * time.Second
	settings.Mempool.Type = cmtcfg.MempoolTypeApp
	settings.Consensus.TimeoutPropose = time.Second // what a block waits for a proposer that is down
	settings.Consensus.TimeoutCommit = network.blockTime()
	return settings
}

// AppSettings is what app.toml holds.
type AppSettings struct {
	srvconfig.Config `mapstructure:",squash"`
	EVM              evmconfig.EVMConfig
	JSONRPC          evmconfig.JSONRPCConfig
	TLS              evmconfig.TLSConfig
}

// appSettings are those of the application: all history is kept, and of its servers only the JSON-RPC is on.
func (network *Network) appSettings(node Node) AppSettings {
	base := srvconfig.DefaultConfig()
	base.MinGasPrices = "0" + denom
	base.Pruning = "nothing"
	base.GRPC.Enable = false
	base.GRPCWeb.Enable = false
	base.Mempool.MaxTxs = 0 // the mempool is on, and its size is set elsewhere
	evm := evmconfig.DefaultEVMConfig()
	evm.EVMChainID = network.EVMChainID
	rpc := evmconfig.DefaultJSONRPCConfig()
	rpc.Enable = true
	rpc.API = []string{"eth", "net", "web3"}
	rpc.Address = fmt.Sprintf("127.0.0.1:%d", node.Eth)
	rpc.WsAddress = fmt.Sprintf("127.0.0.1:%d", node.WS)
	rpc.AllowInsecureUnlock = false
	rpc.GasCap = maxBlockGas
	return AppSettings{Config: *base, EVM: *evm, JSONRPC: *rpc, TLS: *evmconfig.DefaultTLSConfig()}
}

// rewritePeers changes the two lists of peers in a node's config.toml and leaves the rest as it is.
func (network *Network) rewritePeers(folder string, node Node) error {
	path := cometPath(filepath.Join(folder, node.Home))
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	persistent, allowed := network.peers(node)
	for name, value := range map[string]string{"persistent_peers": persistent, "unconditional_peer_ids": allowed} {
		line := regexp.MustCompile(`(?m)^` + name + ` *=.*$`)
		if len(line.FindAllIndex(text, 2)) != 1 {
			return fmt.Errorf("%s has not one line %s", path, name)
		}
		text = line.ReplaceAllLiteral(text, []byte(fmt.Sprintf("%s = %q", name, value)))
	}
	return replaceFile(path, text)
}
