package main

import (
	"maps"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

var (
	alice = common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
	bob   = common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
)

func key(number byte) common.Hash { return common.Hash{31: number} }

func reader(words map[common.Hash]common.Hash) Words {
	return func(slot common.Hash) common.Hash { return words[slot] }
}

// stored is the contract's storage at the beginning of a sample chain, which has two validators.
func stored() map[common.Hash]common.Hash { return sample().storage() }

func TestSlotsAreThoseOfSolidity(t *testing.T) {
	words := stored()
	for slot, want := range map[string]int64{
		"0x723077b8a1b173adc35e5f0e7e3662fd1208212cb629f9c128551ea7168da722": 1, // rights of an administrator
		"0x0000000000000000000000000000000000000000000000000000000000000001": 2, // number of validators
		"0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6": 1, // key of the first
		"0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf7": 10,
		"0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf8": 2,
		"0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf9": maxPower,
		"0x0000000000000000000000000000000000000000000000000000000000000002": 1, // number of administrators
		"0x0000000000000000000000000000000000000000000000000000000000000003": 1, // threshold
	} {
		if got := words[common.HexToHash(slot)].Big().Int64(); got != want {
			t.Errorf("slot %s holds %d, not %d", slot, got, want)
		}
	}
	administrator := common.HexToHash("0x405787fa12a823e0f2b7631cc41b3ba8828b3321ca811111fa75cd3aa3bb5ace")
	if common.BytesToAddress(words[administrator].Bytes()) != alice {
		t.Error("the administrator stands elsewhere")
	}
	if len(words) != 10 {
		t.Errorf("%d words are written, not 10", len(words))
	}
}

func TestValidatorsAreReadBackAsWritten(t *testing.T) {
	powers, err := readPowers(reader(stored()))
	if err != nil || !maps.Equal(powers, Powers{key(1): 10, key(2): maxPower}) {
		t.Fatal(powers, err)
	}
}

func TestListsThatNoChainCanHaveAreRefused(t *testing.T) {
	huge := common.HexToHash("0x010000000000000000")
	for name, spoil := range map[string]func(map[common.Hash]common.Hash){
		"empty":         func(w map[common.Hash]common.Hash) { w[word(slotValidators)] = word(0) },
		"too many":      func(w map[common.Hash]common.Hash) { w[word(slotValidators)] = word(65) },
		"beyond 64 bit": func(w map[common.Hash]common.Hash) { w[word(slotValidators)] = huge },
		"longer":        func(w map[common.Hash]common.Hash) { w[word(slotValidators)] = word(3) },
		"duplicate":     func(w map[common.Hash]common.Hash) { w[elementSlot(slotValidators, 2)] = key(1) },
		"no key":        func(w map[common.Hash]common.Hash) { w[elementSlot(slotValidators, 2)] = common.Hash{} },
		"no power":      func(w map[common.Hash]common.Hash) { w[elementSlot(slotValidators, 3)] = word(0) },
		"much power":    func(w map[common.Hash]common.Hash) { w[elementSlot(slotValidators, 3)] = word(maxPower + 1) },
		"power wraps":   func(w map[common.Hash]common.Hash) { w[elementSlot(slotValidators, 3)] = huge },
	} {
		words := stored()
		spoil(words)
		if set, err := readPowers(reader(words)); err == nil {
			t.Errorf("%s: %v was taken", name, set)
		}
	}
}
