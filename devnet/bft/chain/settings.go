package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	srvconfig "github.com/cosmos/cosmos-sdk/server/config"
	evmconfig "github.com/cosmos/evm/server/config"
	"github.com/spf13/viper"
)

// configPath is where a file of a node's settings lies.
func configPath(home, name string) string { return filepath.Join(home, "config", name) }

// writeSettings writes config.toml and app.toml of a node, without its peers.
func (network *Network) writeSettings(home string, node Node) error {
	comet, err := network.cometSettings(node)
	if err != nil {
		return err
	}
	cmtcfg.WriteConfigFile(configPath(home, "config.toml"), comet)
	srvconfig.SetConfigTemplate(srvconfig.DefaultConfigTemplate + evmconfig.DefaultEVMConfigTemplate)
	srvconfig.WriteConfigFile(configPath(home, "app.toml"), network.appSettings(node))
	return nil
}

// cometSettings are those of the consensus. Only the other nodes of the network may connect: none is found by gossip,
// and beside those that are always let in there is room for nobody.
func (network *Network) cometSettings(node Node) (*cmtcfg.Config, error) {
	pause, err := time.ParseDuration(network.BlockTime)
	if err != nil {
		return nil, err
	}
	settings := cmtcfg.DefaultConfig()
	settings.Moniker = node.Name
	settings.RPC.ListenAddress = fmt.Sprintf("tcp://127.0.0.1:%d", node.RPC)
	settings.P2P.ListenAddress = fmt.Sprintf("tcp://127.0.0.1:%d", node.P2P)
	settings.P2P.PexReactor = false
	settings.P2P.AddrBookStrict = false
	settings.P2P.AllowDuplicateIP = true
	settings.P2P.MaxNumInboundPeers = 0
	settings.P2P.MaxNumOutboundPeers = 0
	settings.P2P.PersistentPeersMaxDialPeriod = 5 * time.Second
	settings.Mempool.Type = cmtcfg.MempoolTypeApp
	settings.Consensus.TimeoutPropose = time.Second // what a block waits for a proposer that is down
	settings.Consensus.TimeoutCommit = pause
	return settings, settings.ValidateBasic()
}

// appSettings are those of the application: all history is kept, and of its servers only the JSON-RPC is on.
func (network *Network) appSettings(node Node) *evmconfig.Config {
	settings := evmconfig.DefaultConfig()
	settings.MinGasPrices = "0" + denom
	settings.Pruning = "nothing"
	settings.GRPC.Enable = false
	settings.GRPCWeb.Enable = false
	settings.Config.Mempool.MaxTxs = 0 // the mempool is on, and its size is set elsewhere
	settings.EVM.EVMChainID = network.EVMChainID
	settings.JSONRPC.Enable = true
	settings.JSONRPC.API = []string{"eth", "net", "web3"}
	settings.JSONRPC.Address = fmt.Sprintf("127.0.0.1:%d", node.Eth)
	settings.JSONRPC.WsAddress = fmt.Sprintf("127.0.0.1:%d", node.WS)
	settings.JSONRPC.AllowInsecureUnlock = false
	settings.JSONRPC.GasCap = maxBlockGas
	return settings
}

// writePeers tells a node's config.toml whom to connect to and whom to let in, all others, and leaves its other
// settings as they are.
func (network *Network) writePeers(home string, node Node) error {
	path := configPath(home, "config.toml")
	file := viper.New()
	file.SetConfigFile(path)
	if err := file.ReadInConfig(); err != nil {
		return err
	}
	settings := cmtcfg.DefaultConfig()
	if err := file.Unmarshal(settings); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var addresses, ids []string
	for _, other := range network.Nodes {
		if other != node {
			addresses = append(addresses, fmt.Sprintf("%s@127.0.0.1:%d", other.NodeID, other.P2P))
			ids = append(ids, other.NodeID)
		}
	}
	settings.P2P.PersistentPeers = strings.Join(addresses, ",")
	settings.P2P.UnconditionalPeerIDs = strings.Join(ids, ",")
	cmtcfg.WriteConfigFile(path+".new", settings)
	return os.Rename(path+".new", path)
}
