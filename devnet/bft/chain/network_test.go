package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/privval"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
)

func TestMain(m *testing.M) {
	setPrefixes()
	os.Exit(m.Run())
}

func portsFrom(first, count int) []int {
	list := make([]int, count)
	for index := range list {
		list[index] = first + index
	}
	return list
}

func plan() NetworkPlan {
	content := sample()
	content.Validators = nil
	return NetworkPlan{
		ChainID: "tial-bft-1", EVMChainID: 31991, BlockTime: 500 * time.Millisecond, Ports: portsFrom(20000, 16),
		Powers: []int64{10, 20, 30, 40}, Code: []byte{0}, Consortium: content,
	}
}

func made(t *testing.T) (string, *Network) {
	t.Helper()
	folder := t.TempDir()
	if _, err := makeNetwork(folder, plan()); err != nil {
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
	genesis := text(t, genesisPath(filepath.Join(folder, "node0")))
	var listed ValidatorSet
	for index, node := range network.Nodes {
		home := filepath.Join(folder, node.Home)
		if text(t, genesisPath(home)) != genesis {
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
		app := text(t, appPath(home))
		for _, line := range []string{`pruning = "nothing"`, "evm-chain-id = 31991", `api = "eth,net,web3"`} {
			if !strings.Contains(app, line) {
				t.Errorf("app.toml lacks %s", line)
			}
		}
		if strings.Contains(text(t, cometPath(home)), "0.0.0.0") {
			t.Error("it listens to the world")
		}
		key, _ := hex.DecodeString(node.Key)
		listed = append(listed, Validator{[32]byte(key), node.Power})
	}
	if set := genesisValidators(t, folder); len(set) != 4 || len(set.changesTo(listed)) != 0 {
		t.Error(set)
	}
	if id, err := genesisChainID(genesisPath(filepath.Join(folder, "node2"))); err != nil || id != 31991 {
		t.Error(id, err)
	}
}

// genesisValidators reads the contract's storage out of a genesis.
func genesisValidators(t *testing.T, folder string) ValidatorSet {
	t.Helper()
	genesis, err := genutiltypes.AppGenesisFromFile(genesisPath(filepath.Join(folder, "node0")))
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
	set, err := readValidators(reader(found))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// peerLists reads the two lists in a node's settings.
func peerLists(t *testing.T, folder, home string) (persistent, allowed []string) {
	t.Helper()
	for _, line := range strings.Split(text(t, cometPath(filepath.Join(folder, home))), "\n") {
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
	path := cometPath(filepath.Join(folder, "node1"))
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
	if text(t, genesisPath(filepath.Join(folder, "node4"))) != text(t, genesisPath(filepath.Join(folder, "node0"))) {
		t.Error("another genesis")
	}
	if _, err := addNode(folder, portsFrom(30003, 4)); err == nil {
		t.Error("a port was given twice")
	}
}

func TestPlansThatMakeNoNetworkAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*NetworkPlan){
		"ports":         func(p *NetworkPlan) { p.Ports = p.Ports[:15] },
		"no ports":      func(p *NetworkPlan) { p.Ports, p.Powers = nil, nil },
		"port twice":    func(p *NetworkPlan) { p.Ports[7] = p.Ports[2] },
		"no port":       func(p *NetworkPlan) { p.Ports[0] = 65536 },
		"powers":        func(p *NetworkPlan) { p.Powers = p.Powers[:3] },
		"zero power":    func(p *NetworkPlan) { p.Powers[1] = 0 },
		"chain id":      func(p *NetworkPlan) { p.ChainID = "a b" },
		"evm chain id":  func(p *NetworkPlan) { p.EVMChainID = 0 },
		"block time":    func(p *NetworkPlan) { p.BlockTime = 0 },
		"code":          func(p *NetworkPlan) { p.Code = nil },
		"administrator": func(p *NetworkPlan) { p.Consortium.Administrators = nil },
	} {
		folder, spoilt := t.TempDir(), plan()
		spoil(&spoilt)
		if _, err := makeNetwork(folder, spoilt); err == nil {
			t.Errorf("%s: a network was made", name)
		}
		if _, err := os.Stat(filepath.Join(folder, networkFile)); err == nil {
			t.Errorf("%s: it has a description", name)
		}
	}
	folder, _ := made(t)
	if _, err := makeNetwork(folder, plan()); err == nil {
		t.Error("a network was made over another")
	}
}

func TestArgumentsAreReadStrictly(t *testing.T) {
	if rights, err := parseRights([]string{alice.Hex() + "=1", bob.Hex() + "=3"}); err != nil || rights[alice] != 1 || rights[bob] != 3 {
		t.Error(rights, err)
	}
	for _, list := range [][]string{{"0x12=1"}, {alice.Hex()}, {alice.Hex() + "=x"}, {alice.Hex() + "=-1"}, {alice.Hex() + "=1", alice.Hex() + "=2"}} {
		if rights, err := parseRights(list); err == nil {
			t.Errorf("%v was read as %v", list, rights)
		}
	}
}
