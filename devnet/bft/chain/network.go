package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtos "github.com/cometbft/cometbft/libs/os"
	"github.com/cometbft/cometbft/libs/tempfile"
	"github.com/cosmos/cosmos-sdk/x/genutil"
)

const (
	networkFile   = "network.json"
	networkFormat = "tial-bft-network-v1"
	portsPerNode  = 4
)

// Node is one node as network.json tells of it. All of its ports are on loopback.
type Node struct {
	Name   string `json:"name"`
	Home   string `json:"home"` // relative to the folder of network.json
	NodeID string `json:"node_id"`
	P2P    int    `json:"p2p"`
	RPC    int    `json:"rpc"`
	Eth    int    `json:"eth"`
	WS     int    `json:"ws"`
	Key    string `json:"key"`   // Ed25519 key of the validator, hex
	Power  int64  `json:"power"` // at genesis; 0 for a node that came later
}

// Network is what network.json holds.
type Network struct {
	Format     string `json:"format"`
	ChainID    string `json:"chain_id"`
	EVMChainID uint64 `json:"evm_chain_id"`
	Consortium string `json:"consortium"`
	BlockTime  string `json:"block_time"`
	Nodes      []Node `json:"nodes"`
}

// create makes the nodes of a new network, four ports and one power for each, and, last, network.json.
func (network *Network) create(folder string, ports []int, powers []int64, contract Consortium) error {
	if len(ports) != portsPerNode*len(powers) {
		return fmt.Errorf("%d ports for %d validators: each has %d", len(ports), len(powers), portsPerNode)
	}
	if network.EVMChainID == 0 {
		return errors.New("0 is no chain id of an EVM")
	}
	if err := contract.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for index, power := range powers {
		if err := network.makeNode(folder, ports[portsPerNode*index:portsPerNode*(index+1)], power); err != nil {
			return err
		}
	}
	genesis, err := network.genesis(contract)
	if err != nil {
		return err
	}
	for _, node := range network.Nodes {
		if err := genesis.SaveAs(genesisPath(folder, node)); err != nil {
			return err
		}
	}
	return network.save(folder)
}

// addNode makes a further node with the genesis of the first one, and tells the others of it: each takes connections
// only from nodes that it knows, so those that run must be started again.
func addNode(folder string, ports []int) (*Network, error) {
	network, err := readNetwork(folder)
	if err != nil {
		return nil, err
	}
	if len(ports) != portsPerNode || len(network.Nodes) >= maxValidators {
		return nil, fmt.Errorf("a node needs 4 ports, and a network has at most %d nodes", maxValidators)
	}
	if err := network.makeNode(folder, ports, 0); err != nil {
		return nil, err
	}
	first, added := network.Nodes[0], network.Nodes[len(network.Nodes)-1]
	if err := cmtos.CopyFile(genesisPath(folder, first), genesisPath(folder, added)); err != nil {
		return nil, err
	}
	return network, network.save(folder)
}

// makeNode makes the home of a node with its settings and its two keys, and adds it to the network. One key tells peers
// who it is, the other signs votes.
func (network *Network) makeNode(folder string, ports []int, power int64) error {
	var used []int
	for _, other := range network.Nodes {
		used = append(used, other.P2P, other.RPC, other.Eth, other.WS)
	}
	for _, port := range ports {
		if port < 1 || port > 65535 || slices.Contains(used, port) {
			return fmt.Errorf("the port %d is none, or used twice", port)
		}
		used = append(used, port)
	}
	name := fmt.Sprintf("node%d", len(network.Nodes))
	home := filepath.Join(folder, name)
	for _, path := range []string{home, filepath.Join(home, "config"), filepath.Join(home, "data")} {
		if err := os.Mkdir(path, 0o700); err != nil {
			return fmt.Errorf("a node needs a new folder: %w", err)
		}
	}
	nodeID, key, err := genutil.InitializeNodeValidatorFiles(cmtcfg.DefaultConfig().SetRoot(home))
	if err != nil {
		return err
	}
	node := Node{
		Name: name, Home: name, NodeID: nodeID, P2P: ports[0], RPC: ports[1], Eth: ports[2], WS: ports[3],
		Key: hex.EncodeToString(key.Bytes()), Power: power,
	}
	network.Nodes = append(network.Nodes, node)
	return network.writeSettings(home, node)
}

func genesisPath(folder string, node Node) string {
	return configPath(filepath.Join(folder, node.Home), "genesis.json")
}

func readNetwork(folder string) (*Network, error) {
	path := filepath.Join(folder, networkFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	network := new(Network)
	if err := json.Unmarshal(data, network); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if network.Format != networkFormat || len(network.Nodes) == 0 {
		return nil, fmt.Errorf("%s is no network of the format %s", path, networkFormat)
	}
	return network, nil
}

// save tells every node of its peers, then writes network.json.
func (network *Network) save(folder string) error {
	for _, node := range network.Nodes {
		if err := network.writePeers(filepath.Join(folder, node.Home), node); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(network, "", "  ")
	if err != nil {
		return err
	}
	return tempfile.WriteFileAtomic(filepath.Join(folder, networkFile), append(data, '\n'), 0o600)
}
