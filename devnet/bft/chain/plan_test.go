package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func sample() Plan {
	return Plan{
		ChainID:        "tial-bft-1",
		EVMChainID:     31991,
		Code:           []byte{0},
		Threshold:      1,
		Administrators: []common.Address{alice},
		Rights:         Rights{bob: maySend | mayCreate},
		Validators:     []Validator{{key(1), 10}, {key(2), maxPower}},
	}
}

// document is a plan as it is written for the program, part by part.
func document() map[string]string {
	return map[string]string{
		"chain_id":       `"tial-bft-1"`,
		"evm_chain_id":   `31991`,
		"code":           `"0x00"`,
		"threshold":      `1`,
		"administrators": `["` + alice.Hex() + `"]`,
		"rights":         `{"` + bob.Hex() + `": 3}`,
		"validators":     `[{"key": "` + key(1).Hex() + `", "power": 10}, {"key": "` + key(2).Hex() + `", "power": 1099511627776}]`,
	}
}

func written(parts map[string]string) string {
	var members []string
	for name, value := range parts {
		members = append(members, `"`+name+`": `+value)
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func TestAPlanIsReadAsWritten(t *testing.T) {
	plan, err := readPlan(strings.NewReader(written(document()) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(plan)
	want, _ := json.Marshal(sample())
	if string(got) != string(want) {
		t.Errorf("%s was read, not %s", got, want)
	}
}

func TestNonsenseIsRefusedWhereItStands(t *testing.T) {
	spellings := `{"` + alice.Hex() + `": 1, "` + strings.ToLower(alice.Hex()) + `": 2}`
	for _, c := range []struct{ name, value, said string }{
		{"chain_id", `1`, "chain_id"},
		{"evm_chain_id", `-1`, "evm_chain_id"},
		{"evm_chain_id", `18446744073709551616`, "evm_chain_id"},
		{"evm_chain_id", `"1"`, "evm_chain_id"},
		{"code", `"00"`, "code"},
		{"code", `"0x0"`, "length"},
		{"threshold", `-1`, "threshold"},
		{"administrators", `["alice"]`, "Address"},
		{"administrators", `["` + alice.Hex()[2:] + `"]`, "Address"},
		{"administrators", `[null]`, "administrators"},
		{"rights", `{"0x12": 1}`, "rights: hex string has length 2"},
		{"rights", `{"` + alice.Hex()[2:] + `": 1}`, "rights: json: cannot unmarshal hex string without 0x"},
		{"rights", `{"` + alice.Hex() + `": -1}`, "rights"},
		{"rights", `["` + alice.Hex() + `"]`, "rights"},
		{"rights", spellings, "rights: an account is there twice"},
		{"validators", `[{"key": "0x00", "power": 1}]`, "Hash"},
		{"validators", `[{"key": "` + key(1).Hex() + `", "power": -1}]`, "power"},
		{"validators", `[{"key": "` + key(1).Hex() + `", "weight": 1}]`, `unknown field "weight"`},
		{"block_time", `"1s"`, `unknown field "block_time"`},
		{"code", `"0x` + strings.Repeat("00", maxPlan/2) + `"`, "unexpected EOF"},
	} {
		parts := document()
		parts[c.name] = c.value
		_, err := readPlan(strings.NewReader(written(parts)))
		if err == nil || !strings.Contains(err.Error(), c.said) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %.60s: %v", c.name, c.value, err)
		}
	}
	for _, text := range []string{"", " ", "[]", `"plan"`, "{", written(document()) + "{}", written(document()) + "x"} {
		if plan, err := readPlan(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read as %v", text, plan)
		}
	}
}

func TestPlansThatBeginNoChainAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Plan){
		"chain_id must":       func(p *Plan) { p.ChainID = "" },
		"chain_id too":        func(p *Plan) { p.ChainID = strings.Repeat("x", 51) },
		"evm_chain_id":        func(p *Plan) { p.EVMChainID = 0 },
		"code":                func(p *Plan) { p.Code = nil },
		"administrators none": func(p *Plan) { p.Administrators = nil },
		"administrators two":  func(p *Plan) { p.Administrators = []common.Address{alice, alice} },
		"administrators zero": func(p *Plan) { p.Administrators = []common.Address{{}} },
		"threshold none":      func(p *Plan) { p.Threshold = 0 },
		"threshold high":      func(p *Plan) { p.Threshold = 2 },
		"rights":              func(p *Plan) { p.Rights[bob] = 4 },
		"validators none":     func(p *Plan) { p.Validators = nil },
		"validators many":     func(p *Plan) { p.Validators = validatorsOf(maxValidators + 1) },
		"validators twice":    func(p *Plan) { p.Validators[1].Key = p.Validators[0].Key },
		"validators keyless":  func(p *Plan) { p.Validators[1].Key = common.Hash{} },
		"validators weak":     func(p *Plan) { p.Validators[0].Power = 0 },
		"validators strong":   func(p *Plan) { p.Validators[0].Power = maxPower + 1 },
		"validators beyond":   func(p *Plan) { p.Validators[0].Power = 1 << 63 },
	} {
		plan := sample()
		spoil(&plan)
		_, err := plan.genesis()
		if where, _, _ := strings.Cut(name, " "); err == nil || !strings.Contains(err.Error(), where) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func validatorsOf(count byte) []Validator {
	var list []Validator
	for number := range count {
		list = append(list, Validator{key(number + 1), 1})
	}
	return list
}

func TestAFullListIsTaken(t *testing.T) {
	plan := sample()
	plan.Validators = validatorsOf(maxValidators)
	if err := plan.check(); err != nil {
		t.Error(err)
	}
}

func TestEveryAdministratorMaySendAndKeepsItsRights(t *testing.T) {
	plan := sample()
	plan.Administrators = []common.Address{alice, bob}
	plan.Rights = Rights{bob: mayCreate}
	words := plan.storage()
	if words[rightsSlot(alice)] != word(maySend) || words[rightsSlot(bob)] != word(maySend|mayCreate) {
		t.Error(words[rightsSlot(alice)], words[rightsSlot(bob)])
	}
}
