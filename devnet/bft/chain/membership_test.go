package main

import (
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/ethereum/go-ethereum/common"
)

// words is a state whose only contract is Consortium.
type words map[common.Hash]common.Hash

func (w words) GetState(_ sdk.Context, address common.Address, slot common.Hash) common.Hash {
	if address != consortiumAddress {
		return common.Hash{}
	}
	return w[slot]
}

func TestCometIsToldOfChangesAndOfNothingElse(t *testing.T) {
	store := storetypes.NewKVStoreKey(membershipName)
	ctx := testutil.DefaultContext(store, storetypes.NewTransientStoreKey("transient"))
	state := words(stored(sample()))
	module := newMembership(state, store)
	if told := module.InitGenesis(ctx, nil, nil); len(told) != 2 {
		t.Fatal(told)
	}
	expect := func(why string, number int, power int64) {
		t.Helper()
		told, err := module.EndBlock(ctx)
		if err != nil || len(told) != number || (number == 1 && told[0].Power != power) {
			t.Errorf("%s: %v, %v", why, told, err)
		}
	}
	expect("nothing changed", 0, 0)
	state[elementSlot(slotValidators, 1)] = word(25)
	expect("another power", 1, 25)
	expect("told once", 0, 0)
	state[word(slotValidators)] = word(0)
	expect("an empty list changes nothing", 0, 0)
	state[word(slotValidators)] = word(1)
	expect("the second leaves", 1, 0)
	expect("told once", 0, 0)
}

func TestAGenesisWithoutValidatorsStartsNoChain(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it started")
		}
	}()
	newMembership(words{}, nil).InitGenesis(sdk.Context{}, nil, nil)
}
