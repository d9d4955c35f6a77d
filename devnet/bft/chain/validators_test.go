package main

import (
	"slices"
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

// following is a list of validators that begins with this storage.
func following(state words) (validators, sdk.Context) {
	store := storetypes.NewKVStoreKey(consortiumName)
	return validators{state, store}, testutil.DefaultContext(store, storetypes.NewTransientStoreKey("transient"))
}

func TestCometIsToldOfChangesAndOfNothingElse(t *testing.T) {
	state := words(stored())
	list, ctx := following(state)
	expect := func(why string, powers ...int64) {
		t.Helper()
		told, err := list.follow(ctx)
		var found []int64
		for _, update := range told {
			found = append(found, update.Power)
		}
		if err != nil || !slices.Equal(found, powers) {
			t.Errorf("%s: %v, %v", why, told, err)
		}
	}
	expect("the genesis", 10, maxPower)
	expect("nothing changed")
	state[elementSlot(slotValidators, 1)] = word(25)
	expect("another power", 25)
	expect("told once")
	state[word(slotValidators)] = word(0)
	expect("an empty list changes nothing")
	state[word(slotValidators)] = word(1)
	expect("the second leaves", 0)
	expect("told once")
	state[word(slotValidators)] = word(2)
	expect("and comes back", maxPower)
}

func TestChangesTurnOneSetIntoTheOther(t *testing.T) {
	before := Powers{key(1): 10, key(2): 10, key(3): 10}
	changes := before.changesTo(Powers{key(3): 10, key(4): 5, key(1): 7})
	want := []struct {
		key   common.Hash
		power int64
	}{{key(1), 7}, {key(2), 0}, {key(4), 5}}
	if len(changes) != len(want) {
		t.Fatal(changes)
	}
	for index, change := range changes {
		if common.Hash(change.PubKey.GetEd25519()) != want[index].key || change.Power != want[index].power {
			t.Errorf("change %d is %v", index, change)
		}
	}
}

func TestAGenesisWithoutValidatorsStartsNoChain(t *testing.T) {
	list, ctx := following(words{})
	if _, err := list.follow(ctx); err == nil {
		t.Error("it started")
	}
}

func TestADamagedRecordStopsTheNode(t *testing.T) {
	list, ctx := following(words(stored()))
	ctx.KVStore(list.store).Set(appliedKey, []byte("{"))
	if _, err := list.follow(ctx); err == nil {
		t.Error("it was read")
	}
}
