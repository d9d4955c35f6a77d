package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/cosmos-sdk/codec"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/evm/x/vm"
	"github.com/ethereum/go-ethereum/common"
)

// appliedKey is where the store keeps the powers that CometBFT has been told.
var appliedKey = []byte("applied")

// validators makes the validators of the chain those that the contract lists. A list that no chain could have is not
// taken, and the validators stay: a mistake of the contract must not stop the chain.
type validators struct {
	state State
	store storetypes.StoreKey
}

// follow returns what CometBFT must be told of the contract's list; that takes effect two blocks later.
func (v validators) follow(ctx sdk.Context) ([]abci.ValidatorUpdate, error) {
	store := ctx.KVStore(v.store)
	var applied Powers
	if data := store.Get(appliedKey); data != nil {
		if err := json.Unmarshal(data, &applied); err != nil {
			return nil, fmt.Errorf("the stored validators are damaged: %w", err)
		}
	}
	listed, err := readPowers(contractWords(ctx, v.state))
	if err != nil && applied == nil {
		return nil, fmt.Errorf("the genesis has no validators: %w", err)
	}
	if err != nil {
		ctx.Logger().Error("the validators stay: the contract's list cannot be used", "reason", err)
		return nil, nil
	}
	changes := applied.changesTo(listed)
	if len(changes) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(listed)
	if err != nil {
		return nil, err
	}
	store.Set(appliedKey, data)
	ctx.Logger().Info("the validators change", "validators", len(listed), "effective", ctx.BlockHeight()+2)
	return changes, nil
}

// changesTo returns new and changed powers, and power 0 for those who leave, in the order of the keys.
func (powers Powers) changesTo(next Powers) []abci.ValidatorUpdate {
	all := maps.Clone(next)
	for key := range powers {
		all[key] = next[key]
	}
	var changes []abci.ValidatorUpdate
	for _, key := range slices.SortedFunc(maps.Keys(all), common.Hash.Cmp) {
		if all[key] != powers[key] {
			changes = append(changes, abci.UpdateValidator(key[:], all[key], ed25519.KeyType))
		}
	}
	return changes
}

// validatingModule is the EVM's module, which also tells CometBFT of the validators.
type validatingModule struct {
	vm.AppModule
	validators validators
}

// InitGenesis takes the validators of the first block from the contract that the EVM's genesis has made.
func (m validatingModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, data json.RawMessage) []abci.ValidatorUpdate {
	m.AppModule.InitGenesis(ctx, cdc, data)
	first, err := m.validators.follow(ctx)
	must(err)
	return first
}

func (m validatingModule) EndBlock(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	if err := m.AppModule.EndBlock(ctx); err != nil {
		return nil, err
	}
	return m.validators.follow(sdk.UnwrapSDKContext(ctx))
}
