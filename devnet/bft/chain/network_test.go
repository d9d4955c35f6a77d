package main

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/privval"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
)

func portsFrom(first, count int) []int {
	list := make([]int, count)
	for index := range list {
		list[index] = first + index
	}
	return list
}

// plan is what `bft-chain init` is asked for.
type plan struct {
	network  Network
	ports    []int
	powers   []int64
	contract Consortium
}

func fourNodes() plan {
	network := Network{Format: networkFormat, ChainID: "tial-bft-1", EVMChainID: 31991, BlockTime: "500ms"}
	return plan{network, portsFrom(20000, 16), []int64{10, 20, 30, 40}, sample()}
}

func (p plan) create(folder string) error {
	return p.network.create(folder, p.ports, p.powers, p.contract)
}

func made(t *testing.T) (string, *Network) {
	t.Helper()
	folder := t.TempDir()
	if err := fourNodes().create(folder); err != nil {
		t.Fatal(err)
	}
	network, err := readNetwork(folder)
	if err != nil {
		t.Fatal(err)
	}
	return folder, network
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestInitWritesWhatTheNetworkSays(t *testing.T) {
	folder, network := made(t)
	if len(network.Nodes) != 4 || network.EVMChainID != 31991 || network.BlockTime != "500ms" {
		t.Fatal(network)
	}
	genesis := text(t, configPath(filepath.Join(folder, "node0"), "genesis.json"))
	listed := make(Powers)
	for index, node := range network.Nodes {
		home := filepath.Join(folder, node.Home)
		if text(t, configPath(home, "genesis.json")) != genesis {
			t.Error("another genesis")
		}
		secret := filepath.Join(home, "config", "priv_validator_key.json")
		validator := privval.LoadFilePV(secret, filepath.Join(home, "data", "priv_validator_state.json"))
		if hex.EncodeToString(validator.Key.PubKey.Bytes()) != node.Key {
			t.Error("another key")
		}
		for _, path := range []string{secret, filepath.Join(home, "config", "node_key.json")} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", path, info, err)
			}
		}
		if node.Power != int64(10*(index+1)) || node.P2P != 20000+4*index || node.WS != 20003+4*index {
			t.Error(node)
		}
		app := text(t, configPath(home, "app.toml"))
		for _, line := range []string{`pruning = "nothing"`, "evm-chain-id = 31991", `api = "eth,net,web3"`} {
			if !strings.Contains(app, line) {
				t.Errorf("app.toml lacks %s", line)
			}
		}
		if strings.Contains(text(t, configPath(home, "config.toml")), "0.0.0.0") {
			t.Error("it listens to the world")
		}
		listed[common.HexToHash(node.Key)] = node.Power
	}
	if powers := genesisPowers(t, folder); len(powers) != 4 || !maps.Equal(powers, listed) {
		t.Error(powers)
	}
	if id, err := genesisChainID(configPath(filepath.Join(folder, "node2"), "genesis.json")); err != nil || id != 31991 {
		t.Error(id, err)
	}
}

// genesisPowers reads the contract's storage out of a genesis.
func genesisPowers(t *testing.T, folder string) Powers {
	t.Helper()
	genesis, err := genutiltypes.AppGenesisFromFile(configPath(filepath.Join(folder, "node0"), "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(genesis.AppState, &state); err != nil {
		t.Fatal(err)
	}
	var evm evmtypes.GenesisState
	codecs(31991).Codec.MustUnmarshalJSON(state[evmtypes.ModuleName], &evm)
	if err := evm.Validate(); err != nil || evm.Accounts[0].Code != "00" {
		t.Fatal(evm.Accounts, err)
	}
	found := make(map[common.Hash]common.Hash)
	for _, pair := range evm.Accounts[0].Storage {
		found[common.HexToHash(pair.Key)] = common.HexToHash(pair.Value)
	}
	powers, err := readPowers(reader(found))
	if err != nil {
		t.Fatal(err)
	}
	return powers
}

// peerLists reads the two lists in a node's settings.
func peerLists(t *testing.T, folder, home string) (persistent, allowed []string) {
	t.Helper()
	for _, line := range strings.Split(text(t, configPath(filepath.Join(folder, home), "config.toml")), "\n") {
		name, value, _ := strings.Cut(line, " = ")
		list := strings.Split(strings.Trim(value, `"`), ",")
		switch name {
		case "persistent_peers":
			persistent = list
		case "unconditional_peer_ids":
			allowed = list
		case "pex", "max_num_inbound_peers", "max_num_outbound_peers":
			if value != "false" && value != "0" {
				t.Error(line)
			}
		}
	}
	return persistent, allowed
}

func TestAnAddedNodeAndTheOthersKnowEachOther(t *testing.T) {
	folder, before := made(t)
	path := configPath(filepath.Join(folder, "node1"), "config.toml")
	if err := os.WriteFile(path, []byte(strings.Replace(text(t, path), `log_level = "info"`, `log_level = "debug"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := addNode(folder, portsFrom(30000, 4))
	if err != nil || len(after.Nodes) != 5 || after.Nodes[4].Power != 0 || after.Nodes[4].Key == before.Nodes[3].Key {
		t.Fatal(after, err)
	}
	for _, node := range after.Nodes {
		persistent, allowed := peerLists(t, folder, node.Home)
		if len(persistent) != 4 || len(allowed) != 4 {
			t.Error(persistent, allowed)
		}
		all := strings.Join(append(persistent, allowed...), ",")
		for _, other := range after.Nodes {
			if want := 2; other != node && strings.Count(all, other.NodeID) != want {
				t.Errorf("%s does not know %s", node.Name, other.Name)
			}
		}
		if strings.Contains(all, node.NodeID) {
			t.Error("it is its own peer")
		}
	}
	if !strings.Contains(text(t, path), `log_level = "debug"`) {
		t.Error("a setting that somebody changed was lost")
	}
	if text(t, configPath(filepath.Join(folder, "node4"), "genesis.json")) != text(t, configPath(filepath.Join(folder, "node0"), "genesis.json")) {
		t.Error("another genesis")
	}
	if _, err := addNode(folder, portsFrom(30003, 4)); err == nil {
		t.Error("a port was given twice")
	}
}

func TestPlansThatMakeNoNetworkAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*plan){
		"ports":         func(p *plan) { p.ports = p.ports[:15] },
		"no ports":      func(p *plan) { p.ports, p.powers = nil, nil },
		"port twice":    func(p *plan) { p.ports[7] = p.ports[2] },
		"no port":       func(p *plan) { p.ports[0] = 65536 },
		"powers":        func(p *plan) { p.powers = p.powers[:3] },
		"zero power":    func(p *plan) { p.powers[1] = 0 },
		"below zero":    func(p *plan) { p.powers[1] = -1 },
		"chain id":      func(p *plan) { p.network.ChainID = "" },
		"evm chain id":  func(p *plan) { p.network.EVMChainID = 0 },
		"block time":    func(p *plan) { p.network.BlockTime = "-1s" },
		"code":          func(p *plan) { p.contract.Code = nil },
		"administrator": func(p *plan) { p.contract.Administrators = nil },
	} {
		folder, spoilt := t.TempDir(), fourNodes()
		spoil(&spoilt)
		if spoilt.create(folder) == nil {
			t.Errorf("%s: a network was made", name)
		}
		if _, err := os.Stat(filepath.Join(folder, networkFile)); err == nil {
			t.Errorf("%s: it has a description", name)
		}
	}
	folder, _ := made(t)
	if fourNodes().create(folder) == nil {
		t.Error("a network was made over another")
	}
}

func TestArgumentsAreReadStrictly(t *testing.T) {
	artifact := filepath.Join(t.TempDir(), "Consortium.json")
	if err := os.WriteFile(artifact, []byte(`{"deployedBytecode": "0x6001"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := []string{alice.Hex()}
	contract, err := readConsortium(artifact, alone, map[string]int64{alice.Hex(): 1, bob.Hex(): 3})
	if err != nil || len(contract.Code) != 2 || contract.Administrators[0] != alice || contract.Rights[bob] != 3 {
		t.Error(contract, err)
	}
	for _, rights := range []map[string]int64{{"0x12": 1}, {alice.Hex()[2:]: 1}, {alice.Hex(): 1, strings.ToLower(alice.Hex()): 2}} {
		if contract, err := readConsortium(artifact, alone, rights); err == nil {
			t.Errorf("%v was read as %v", rights, contract.Rights)
		}
	}
	if _, err := readConsortium(artifact, []string{"alice"}, nil); err == nil {
		t.Error("a name was read as an address")
	}
	if _, err := readConsortium(artifact+".none", alone, nil); err == nil {
		t.Error("a missing artifact was read")
	}
}
