package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	sdkmath "cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	feemarkettypes "github.com/cosmos/evm/x/feemarket/types"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/cosmos/gogoproto/proto"
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

// makeGenesis returns the genesis of a chain: the contract with its code and storage, and nothing owned by anyone.
func makeGenesis(cdc codec.JSONCodec, chainID string, evmChainID uint64, code []byte, content Consortium) (*genutiltypes.AppGenesis, error) {
	membership, err := json.Marshal(MembershipGenesis{EVMChainID: evmChainID})
	if err != nil {
		return nil, err
	}
	state := map[string]json.RawMessage{
		feemarkettypes.ModuleName: cdc.MustMarshalJSON(feesGenesis()),
		consensustypes.ModuleName: json.RawMessage("{}"),
		banktypes.ModuleName:      cdc.MustMarshalJSON(bankGenesis()),
		authtypes.ModuleName:      cdc.MustMarshalJSON(accountsGenesis()),
		evmtypes.ModuleName:       cdc.MustMarshalJSON(evmGenesis(code, content)),
		membershipName:            membership,
	}
	text, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	params := cmttypes.DefaultConsensusParams()
	params.Block = cmttypes.BlockParams{MaxBytes: maxBlockBytes, MaxGas: maxBlockGas}
	params.Evidence.MaxBytes = 1 << 20
	genesis := &genutiltypes.AppGenesis{
		AppName:     appName,
		GenesisTime: time.Now().UTC(),
		ChainID:     chainID,
		AppState:    text,
		// The validators come from the contract.
		Consensus: &genutiltypes.ConsensusGenesis{Params: params},
	}
	return genesis, genesis.ValidateAndComplete()
}

// feesGenesis makes gas free. A receipt tells the gas that was used, not a share of the limit.
func feesGenesis() proto.Message {
	genesis := feemarkettypes.DefaultGenesisState()
	genesis.Params.NoBaseFee = true
	genesis.Params.BaseFee = sdkmath.LegacyZeroDec()
	genesis.Params.MinGasPrice = sdkmath.LegacyZeroDec()
	genesis.Params.MinGasMultiplier = sdkmath.LegacyZeroDec()
	return genesis
}

// bankGenesis describes the coin, which the EVM refuses to start without.
func bankGenesis() proto.Message {
	genesis := banktypes.DefaultGenesisState()
	genesis.DenomMetadata = []banktypes.Metadata{{
		Description: "coin of the EVM, owned by nobody",
		Base:        denom,
		Display:     displayDenom,
		Name:        displayDenom,
		Symbol:      displayDenom,
		DenomUnits:  []*banktypes.DenomUnit{{Denom: denom}, {Denom: displayDenom, Exponent: decimals}},
	}}
	return genesis
}

// accountsGenesis holds the contract's account; its nonce is 1, as that of every contract.
func accountsGenesis() proto.Message {
	account := authtypes.NewBaseAccount(sdk.AccAddress(consortiumAddress.Bytes()), nil, 0, 1)
	return authtypes.NewGenesisState(authtypes.DefaultParams(), authtypes.GenesisAccounts{account})
}

func evmGenesis(code []byte, content Consortium) proto.Message {
	account := evmtypes.GenesisAccount{Address: consortiumAddress.Hex(), Code: hex.EncodeToString(code)}
	for _, pair := range content.storage() {
		account.Storage = append(account.Storage, evmtypes.NewState(pair[0], pair[1]))
	}
	genesis := evmtypes.DefaultGenesisState()
	genesis.Params.EvmDenom = denom
	genesis.Params.ExtendedDenomOptions = nil
	genesis.Accounts = []evmtypes.GenesisAccount{account}
	return genesis
}

// genesisChainID returns the EVM's chain id that a genesis file names.
func genesisChainID(path string) (uint64, error) {
	genesis, err := genutiltypes.AppGenesisFromFile(path)
	if err != nil {
		return 0, err
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(genesis.AppState, &state); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	var membership MembershipGenesis
	if err := json.Unmarshal(state[membershipName], &membership); err != nil {
		return 0, fmt.Errorf("%s names no chain id of the EVM: %w", path, err)
	}
	return membership.EVMChainID, nil
}
