package main

import (
	"context"
	"errors"
	"maps"

	"cosmossdk.io/core/address"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	evmencoding "github.com/cosmos/evm/encoding"
	evmaddress "github.com/cosmos/evm/encoding/address"
	"github.com/cosmos/evm/x/feemarket"
	feemarketkeeper "github.com/cosmos/evm/x/feemarket/keeper"
	feemarkettypes "github.com/cosmos/evm/x/feemarket/types"
	"github.com/cosmos/evm/x/vm"
	evmkeeper "github.com/cosmos/evm/x/vm/keeper"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	corevm "github.com/ethereum/go-ethereum/core/vm"
)

// codecs knows the form of all that the modules store and send.
func codecs(evmChainID uint64) evmencoding.Config {
	encoding := evmencoding.MakeConfig(evmChainID)
	basics := module.NewBasicManager(
		auth.AppModuleBasic{}, bank.AppModuleBasic{}, consensus.AppModuleBasic{}, vm.AppModuleBasic{}, feemarket.AppModuleBasic{},
	)
	basics.RegisterLegacyAminoCodec(encoding.Amino)
	basics.RegisterInterfaces(encoding.InterfaceRegistry)
	return encoding
}

// makeModules makes the stores, the keepers on them and the modules, and returns that of the EVM.
func (app *App) makeModules(logger log.Logger, chainID uint64) vm.AppModule {
	accountsKey := storetypes.NewKVStoreKey(authtypes.StoreKey)
	bankKey := storetypes.NewKVStoreKey(banktypes.StoreKey)
	bankObjects := storetypes.NewObjectStoreKey(banktypes.ObjectStoreKey)
	consensusKey := storetypes.NewKVStoreKey(consensustypes.StoreKey)
	feesKey := storetypes.NewKVStoreKey(feemarkettypes.StoreKey)
	evmKey := storetypes.NewKVStoreKey(evmtypes.StoreKey)
	evmObjects := storetypes.NewObjectStoreKey(evmtypes.ObjectKey)
	consortiumKey := storetypes.NewKVStoreKey(consortiumName)
	stores := []storetypes.StoreKey{
		accountsKey, bankKey, bankObjects, consensusKey, feesKey, evmKey, evmObjects, consortiumKey,
	}
	app.MountStores(stores...)

	cdc := app.encoding.Codec
	// Parameters could be changed by this address, which no key has and no transaction can speak for.
	authority := authtypes.NewModuleAddress("nobody")
	service := runtime.NewKVStoreService
	parameters := consensuskeeper.NewKeeper(cdc, service(consensusKey), authority.String(), runtime.EventService{})
	app.SetParamStore(parameters.ParamsStore)
	app.accounts = authkeeper.NewAccountKeeper(
		cdc, service(accountsKey), authtypes.ProtoBaseAccount,
		map[string][]string{
			authtypes.FeeCollectorName: nil,
			evmtypes.ModuleName:        {authtypes.Minter, authtypes.Burner},
			feemarkettypes.ModuleName:  nil,
		},
		evmaddress.NewEvmCodec(sdk.Bech32MainPrefix), sdk.Bech32MainPrefix, authority.String(),
	)
	balances := bankkeeper.NewBaseKeeper(cdc, service(bankKey), app.accounts, nil, authority.String(), logger).
		WithObjStoreKey(bankObjects)
	app.fees = feemarketkeeper.NewKeeper(cdc, authority, feesKey)
	app.evm = evmkeeper.NewKeeper(
		cdc, evmKey, evmObjects, stores, authority, app.accounts, balances,
		noStaking{}, app.fees, &parameters, nil, chainID, "",
	)
	// Without this map a call of any precompiled contract ends in a panic.
	app.evm.WithStaticPrecompiles(maps.Clone(corevm.PrecompiledContractsPrague))
	app.evm.EnableVirtualFeeCollection()

	evmModule := vm.NewAppModule(app.evm, app.accounts, balances, app.accounts.AddressCodec())
	// In this order they read the genesis and begin a block. The fees end it, behind the EVM.
	app.modules = module.NewManager(
		auth.NewAppModule(cdc, app.accounts, nil, nil),
		bank.NewAppModule(cdc, balances, app.accounts, nil),
		consensus.NewAppModule(cdc, parameters),
		feemarket.NewAppModule(app.fees),
		validatingModule{evmModule, validators{app.evm, consortiumKey}},
	)
	app.modules.SetOrderEndBlockers(banktypes.ModuleName, evmtypes.ModuleName, feemarkettypes.ModuleName)
	must(app.modules.RegisterServices(module.NewConfigurator(cdc, app.MsgServiceRouter(), app.GRPCQueryRouter())))
	return evmModule
}

// noStaking answers what the EVM asks of a staking module: there is none, and a block's coinbase is the address of the
// validator that proposed it.
type noStaking struct{}

func (noStaking) GetHistoricalInfo(context.Context, int64) (stakingtypes.HistoricalInfo, error) {
	return stakingtypes.HistoricalInfo{}, errors.New("no history of validators is kept")
}

func (noStaking) GetValidatorByConsAddr(_ context.Context, proposer sdk.ConsAddress) (stakingtypes.Validator, error) {
	return stakingtypes.Validator{OperatorAddress: sdk.ValAddress(proposer).String()}, nil
}

func (noStaking) ValidatorAddressCodec() address.Codec {
	return evmaddress.NewEvmCodec(sdk.Bech32PrefixValAddr)
}

func (noStaking) BondDenom(context.Context) (string, error) { return denom, nil }
