package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	feemarkettypes "github.com/cosmos/evm/x/feemarket/types"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
)

// saved is the file of a genesis as the program prints it.
func saved(t *testing.T, plan Plan) string {
	t.Helper()
	genesis, err := plan.genesis()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheGenesisHoldsWhatThePlanSays(t *testing.T) {
	path := saved(t, sample())
	state, genesis, err := genutiltypes.GenesisStateFromGenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if genesis.ChainID != "tial-bft-1" || len(genesis.Consensus.Validators) != 0 || genesis.Consensus.Params.Block.MaxGas != maxBlockGas {
		t.Error(genesis)
	}
	cdc := codecs(31991).Codec
	var evm evmtypes.GenesisState
	cdc.MustUnmarshalJSON(state[evmtypes.ModuleName], &evm)
	if err := evm.Validate(); err != nil || len(evm.Accounts) != 1 {
		t.Fatal(evm.Accounts, err)
	}
	contract := evm.Accounts[0]
	if contract.Address != consortiumAddress.Hex() || contract.Code != "00" {
		t.Error(contract.Address, contract.Code)
	}
	found := make(map[common.Hash]common.Hash)
	for _, pair := range contract.Storage {
		found[common.HexToHash(pair.Key)] = common.HexToHash(pair.Value)
	}
	if !maps.Equal(found, stored()) {
		t.Error(found)
	}
	if id, err := genesisChainID(path); err != nil || id != 31991 {
		t.Error(id, err)
	}
}

func TestNobodyOwnsAnythingAndGasCostsNothing(t *testing.T) {
	state, _, err := genutiltypes.GenesisStateFromGenFile(saved(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	cdc := codecs(31991).Codec
	var bank banktypes.GenesisState
	cdc.MustUnmarshalJSON(state[banktypes.ModuleName], &bank)
	if len(bank.Balances) != 0 || !bank.Supply.IsZero() || bank.DenomMetadata[0].Base != denom {
		t.Error(bank)
	}
	var fees feemarkettypes.GenesisState
	cdc.MustUnmarshalJSON(state[feemarkettypes.ModuleName], &fees)
	if !fees.Params.NoBaseFee || !fees.Params.MinGasPrice.IsZero() || !fees.Params.BaseFee.IsZero() {
		t.Error(fees.Params)
	}
}

func TestAFileThatNamesNoChainIDIsRefused(t *testing.T) {
	for _, text := range []string{"", "[]", `{"chain_id": "x"}`, `{"chain_id": "x", "app_state": {}}`, `{"app_state": {"consortium": 1}}`} {
		path := filepath.Join(t.TempDir(), "genesis.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := genesisChainID(path); err == nil {
			t.Errorf("%q names %d", text, id)
		}
	}
	if _, err := genesisChainID(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file was read")
	}
}
