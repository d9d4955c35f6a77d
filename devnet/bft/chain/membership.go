package main

import (
	"context"
	"encoding/json"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/ethereum/go-ethereum/common"
	"github.com/grpc-ecosystem/grpc-gateway/runtime"
)

// membershipName names the module, its store and its section of the genesis.
const membershipName = "consortium"

// appliedKey is where the store keeps the set that CometBFT has been told.
var appliedKey = []byte("applied")

// State reads a contract's storage; the EVM's keeper does.
type State interface {
	GetState(ctx sdk.Context, address common.Address, slot common.Hash) common.Hash
}

// MembershipGenesis is the module's section of the genesis. The chain id of the EVM stands in no other part of it, and
// a node with another one would compute another state.
type MembershipGenesis struct {
	EVMChainID uint64 `json:"evm_chain_id"`
}

// Membership makes the validators of the chain those that the contract lists: at the end of each block it tells
// CometBFT what changed, which takes effect two blocks later. A list that no chain could have is not taken, and the
// validators stay: a mistake of the contract must not stop the chain.
type Membership struct {
	state State
	store *storetypes.KVStoreKey
	said  string // why the list was last refused: said once
}

func newMembership(state State, store *storetypes.KVStoreKey) *Membership {
	return &Membership{state: state, store: store}
}

func consortiumWords(ctx sdk.Context, state State) Words {
	return func(slot common.Hash) common.Hash { return state.GetState(ctx, consortiumAddress, slot) }
}

// InitGenesis takes the validators of the first block from the contract; the EVM's genesis must have been read before.
func (m *Membership) InitGenesis(ctx sdk.Context, _ codec.JSONCodec, _ json.RawMessage) []abci.ValidatorUpdate {
	set, err := readValidators(consortiumWords(ctx, m.state))
	if err != nil {
		panic(fmt.Errorf("the genesis has no validators: %w", err))
	}
	ctx.KVStore(m.store).Set(appliedKey, set.encode())
	return updates(set)
}

// EndBlock tells CometBFT how the validators change.
func (m *Membership) EndBlock(goCtx context.Context) ([]abci.ValidatorUpdate, error) {
	ctx := sdk.UnwrapSDKContext(goCtx)
	store := ctx.KVStore(m.store)
	applied, err := decodeValidators(store.Get(appliedKey))
	if err != nil {
		return nil, err
	}
	listed, err := readValidators(consortiumWords(ctx, m.state))
	if err != nil {
		if m.said != err.Error() {
			m.said = err.Error()
			ctx.Logger().Error("the validators stay: the contract's list cannot be used", "reason", m.said)
		}
		return nil, nil
	}
	m.said = ""
	changes := applied.changesTo(listed)
	if len(changes) == 0 {
		return nil, nil
	}
	store.Set(appliedKey, listed.encode())
	ctx.Logger().Info("the validators change", "validators", len(listed), "effective", ctx.BlockHeight()+2)
	return updates(changes), nil
}

func updates(set ValidatorSet) []abci.ValidatorUpdate {
	told := make([]abci.ValidatorUpdate, len(set))
	for index, validator := range set {
		told[index] = abci.UpdateValidator(validator.Key[:], validator.Power, ed25519.KeyType)
	}
	return told
}

// What follows makes it a module: it has no messages, no queries and nothing to export.

func (*Membership) Name() string                                                { return membershipName }
func (*Membership) IsAppModule()                                                {}
func (*Membership) IsOnePerModuleType()                                         {}
func (*Membership) RegisterLegacyAminoCodec(*codec.LegacyAmino)                 {}
func (*Membership) RegisterInterfaces(codectypes.InterfaceRegistry)             {}
func (*Membership) RegisterGRPCGatewayRoutes(client.Context, *runtime.ServeMux) {}
func (*Membership) DefaultGenesis(codec.JSONCodec) json.RawMessage              { return nil }
func (*Membership) ExportGenesis(sdk.Context, codec.JSONCodec) json.RawMessage  { return nil }
func (*Membership) ValidateGenesis(codec.JSONCodec, client.TxEncodingConfig, json.RawMessage) error {
	return nil
}
