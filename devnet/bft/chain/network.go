package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	networkFile   = "network.json"
	networkFormat = "tial-bft-network-v1"
	maxNodes      = maxValidators
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

// NetworkPlan is what a new network shall be.
type NetworkPlan struct {
	ChainID    string
	EVMChainID uint64
	BlockTime  time.Duration
	Ports      []int
	Powers     []int64
	Code       []byte
	Consortium Consortium // its validators are filled in from the keys that are made
}

var chainIDForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,49}$`)

func (plan NetworkPlan) check() error {
	count := len(plan.Ports) / portsPerNode
	switch {
	case !chainIDForm.MatchString(plan.ChainID):
		return fmt.Errorf("%q is no chain id", plan.ChainID)
	case plan.EVMChainID == 0 || plan.EVMChainID >= 1<<53:
		return fmt.Errorf("%d is no chain id of an EVM", plan.EVMChainID)
	case plan.BlockTime < 10*time.Millisecond || plan.BlockTime > time.Hour:
		return fmt.Errorf("the block time %s is not between 10ms and 1h", plan.BlockTime)
	case len(plan.Ports)%portsPerNode != 0 || count < 1 || count > maxNodes:
		return fmt.Errorf("%d ports: there must be 4 for each of 1 to %d nodes", len(plan.Ports), maxNodes)
	case len(plan.Powers) != count:
		return fmt.Errorf("%d powers for %d validators", len(plan.Powers), count)
	case len(plan.Code) == 0:
		return errors.New("the contract has no code")
	}
	for _, power := range plan.Powers {
		if power < 1 || power > maxPower {
			return fmt.Errorf("the power %d is not between 1 and %d", power, maxPower)
		}
	}
	return plan.Consortium.check()
}

// makeNetwork writes the homes of all nodes and, last, network.json.
func makeNetwork(folder string, plan NetworkPlan) (*Network, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(folder, networkFile)); err == nil {
		return nil, fmt.Errorf("there is a network in %s", folder)
	}
	network := &Network{
		Format: networkFormat, ChainID: plan.ChainID, EVMChainID: plan.EVMChainID,
		Consortium: consortiumAddress.Hex(), BlockTime: plan.BlockTime.String(),
	}
	for index, power := range plan.Powers {
		node, err := network.makeNode(folder, plan.Ports[portsPerNode*index:portsPerNode*(index+1)], power)
		if err != nil {
			return nil, err
		}
		key, err := hex.DecodeString(node.Key)
		if err != nil {
			return nil, err
		}
		plan.Consortium.Validators = append(plan.Consortium.Validators, Validator{Key: [32]byte(key), Power: power})
	}
	genesis, err := makeGenesis(codecs(plan.EVMChainID).Codec, plan.ChainID, plan.EVMChainID, plan.Code, plan.Consortium)
	if err != nil {
		return nil, err
	}
	for _, node := range network.Nodes {
		if err := genesis.SaveAs(genesisPath(filepath.Join(folder, node.Home))); err != nil {
			return nil, err
		}
		network.writeSettings(folder, node)
	}
	return network, network.save(folder)
}

// addNode makes a further node with the genesis of the first one, and tells the others of it: each takes connections
// only from nodes that it knows, so those that run must be started again.
func addNode(folder string, ports []int) (*Network, error) {
	network, err := readNetwork(folder)
	if err != nil {
		return nil, err
	}
	if len(ports) != portsPerNode || len(network.Nodes) >= maxNodes {
		return nil, fmt.Errorf("a node needs 4 ports, and a network has at most %d nodes", maxNodes)
	}
	genesis, err := os.ReadFile(genesisPath(filepath.Join(folder, network.Nodes[0].Home)))
	if err != nil {
		return nil, err
	}
	node, err := network.makeNode(folder, ports, 0)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(genesisPath(filepath.Join(folder, node.Home)), genesis, 0o600); err != nil {
		return nil, err
	}
	network.writeSettings(folder, node)
	if err := network.save(folder); err != nil {
		return nil, err
	}
	for _, other := range network.Nodes[:len(network.Nodes)-1] {
		if err := network.rewritePeers(folder, other); err != nil {
			return nil, err
		}
	}
	return network, nil
}

// makeNode makes the folder and the keys of a node, and adds it to the network.
func (network *Network) makeNode(folder string, ports []int, power int64) (Node, error) {
	name := fmt.Sprintf("node%d", len(network.Nodes))
	node := Node{Name: name, Home: name, P2P: ports[0], RPC: ports[1], Eth: ports[2], WS: ports[3], Power: power}
	used := make(map[int]bool)
	for _, other := range append(network.Nodes, node) {
		for _, port := range other.ports() {
			if port < 1 || port > 65535 || used[port] {
				return Node{}, fmt.Errorf("the port %d is none, or used twice", port)
			}
			used[port] = true
		}
	}
	home := filepath.Join(folder, node.Home)
	if _, err := os.Stat(home); err == nil {
		return Node{}, fmt.Errorf("%s is there and belongs to no network: move it away", home)
	}
	nodeID, key, err := makeKeys(home)
	if err != nil {
		return Node{}, err
	}
	node.NodeID, node.Key = nodeID, hex.EncodeToString(key)
	network.Nodes = append(network.Nodes, node)
	return node, nil
}

func (node Node) ports() []int { return []int{node.P2P, node.RPC, node.Eth, node.WS} }

// peers returns whom a node connects to, and whom it lets in: all others.
func (network *Network) peers(node Node) (persistent, allowed string) {
	var addresses, ids []string
	for _, other := range network.Nodes {
		if other.NodeID != node.NodeID {
			addresses = append(addresses, fmt.Sprintf("%s@127.0.0.1:%d", other.NodeID, other.P2P))
			ids = append(ids, other.NodeID)
		}
	}
	return strings.Join(addresses, ","), strings.Join(ids, ",")
}

func (network *Network) blockTime() time.Duration {
	pause, err := time.ParseDuration(network.BlockTime)
	must(err) // was checked when it was read
	return pause
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
	if _, err := time.ParseDuration(network.BlockTime); err != nil || network.Format != networkFormat || len(network.Nodes) == 0 {
		return nil, fmt.Errorf("%s is no network of the format %s", path, networkFormat)
	}
	return network, nil
}

func (network *Network) save(folder string) error {
	data, err := json.MarshalIndent(network, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(folder, networkFile), append(data, '\n'))
}

// replaceFile writes a file beside its place and moves it there, so that nobody reads a half of it.
func replaceFile(path string, data []byte) error {
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, data, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
