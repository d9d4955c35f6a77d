package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	sdkmath "cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	feemarkettypes "github.com/cosmos/evm/x/feemarket/types"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
)

// The chain's coin has 18 decimals, as the EVM expects. Nobody owns any: gas costs nothing, rights keep strangers out.
const (
	denom        = "atial"
	displayDenom = "tial"
	decimals     = 18
)

const (
	maxBlockBytes = 4 << 20
	maxBlockGas   = 40_000_000
)

// consortiumName names our section of the genesis, and the store of the validators.
const consortiumName = "consortium"

// consortiumSection is our section of the genesis. The chain id of the EVM stands in no other part of it, and a node
// with another one would compute another state.
type consortiumSection struct {
	EVMChainID uint64 `json:"evm_chain_id"`
}

// genesis returns the first state of the chain: the contract with its code and storage, and nothing owned by anyone.
func (plan Plan) genesis() (*genutiltypes.AppGenesis, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}

	bank := banktypes.DefaultGenesisState()
	bank.DenomMetadata = []banktypes.Metadata{{
		Description: "coin of the EVM, owned by nobody",
		Base:        denom,
		Display:     displayDenom,
		Name:        displayDenom,
		Symbol:      displayDenom,
		DenomUnits:  []*banktypes.DenomUnit{{Denom: denom}, {Denom: displayDenom, Exponent: decimals}},
	}}

	// The nonce of a contract is 1.
	account := authtypes.NewBaseAccount(sdk.AccAddress(consortiumAddress.Bytes()), nil, 0, 1)
	accounts := authtypes.NewGenesisState(authtypes.DefaultParams(), authtypes.GenesisAccounts{account})

	evm := evmtypes.DefaultGenesisState()
	evm.Params.EvmDenom = denom
	evm.Params.ExtendedDenomOptions = nil
	code := evmtypes.GenesisAccount{Address: consortiumAddress.Hex(), Code: hex.EncodeToString(plan.Code)}
	words := plan.storage()
	for _, slot := range slices.SortedFunc(maps.Keys(words), common.Hash.Cmp) {
		code.Storage = append(code.Storage, evmtypes.NewState(slot, words[slot]))
	}
	evm.Accounts = []evmtypes.GenesisAccount{code}

	fees := feemarkettypes.DefaultGenesisState()
	fees.Params.NoBaseFee = true
	fees.Params.BaseFee = sdkmath.LegacyZeroDec()
	fees.Params.MinGasPrice = sdkmath.LegacyZeroDec()
	fees.Params.MinGasMultiplier = sdkmath.LegacyZeroDec() // a receipt tells the gas used, not a share of the limit

	cdc := codecs(plan.EVMChainID).Codec
	state, err := json.Marshal(map[string]any{
		authtypes.ModuleName:      json.RawMessage(cdc.MustMarshalJSON(accounts)),
		banktypes.ModuleName:      json.RawMessage(cdc.MustMarshalJSON(bank)),
		evmtypes.ModuleName:       json.RawMessage(cdc.MustMarshalJSON(evm)),
		feemarkettypes.ModuleName: json.RawMessage(cdc.MustMarshalJSON(fees)),
		consortiumName:            consortiumSection{plan.EVMChainID},
	})
	if err != nil {
		return nil, err
	}
	params := cmttypes.DefaultConsensusParams()
	params.Block = cmttypes.BlockParams{MaxBytes: maxBlockBytes, MaxGas: maxBlockGas}
	genesis := &genutiltypes.AppGenesis{
		AppName:     appName,
		GenesisTime: time.Now().UTC(),
		ChainID:     plan.ChainID,
		AppState:    state,
		Consensus:   &genutiltypes.ConsensusGenesis{Params: params}, // the validators come from the contract
	}
	return genesis, genesis.ValidateAndComplete()
}

// genesisChainID returns the EVM's chain id that a genesis file names.
func genesisChainID(path string) (uint64, error) {
	genesis, err := genutiltypes.AppGenesisFromFile(path)
	if err != nil {
		return 0, err
	}
	state, err := genutiltypes.GenesisStateFromAppGenesis(genesis)
	if err != nil {
		return 0, err
	}
	var section consortiumSection
	if err := json.Unmarshal(state[consortiumName], &section); err != nil {
		return 0, fmt.Errorf("%s names no chain id of the EVM: %w", path, err)
	}
	return section.EVMChainID, nil
}
