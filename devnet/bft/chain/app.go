package main

import (
	"encoding/json"
	stderrors "errors"
	"fmt"
	"maps"
	"slices"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/baseapp/txnrunner"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkmempool "github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	evmencoding "github.com/cosmos/evm/encoding"
	evmaddress "github.com/cosmos/evm/encoding/address"
	evmmempool "github.com/cosmos/evm/mempool"
	evmserver "github.com/cosmos/evm/server"
	"github.com/cosmos/evm/server/flags"
	"github.com/cosmos/evm/x/feemarket"
	feemarketkeeper "github.com/cosmos/evm/x/feemarket/keeper"
	feemarkettypes "github.com/cosmos/evm/x/feemarket/types"
	"github.com/cosmos/evm/x/vm"
	evmkeeper "github.com/cosmos/evm/x/vm/keeper"
	vmrunner "github.com/cosmos/evm/x/vm/runner"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
	corevm "github.com/ethereum/go-ethereum/core/vm"
	"github.com/spf13/cast"
)

const appName = "bft-chain"

// App is the state machine of a node: accounts, balances, the EVM with its fees, and the validators that the contract
// Consortium lists. There is no staking, no governance, and no transaction other than Ethereum's. One in a process:
// the EVM's chain id and coin are globals of its package.
type App struct {
	*baseapp.BaseApp

	encoding  evmencoding.Config
	modules   *module.Manager
	accounts  authkeeper.AccountKeeper
	bank      bankkeeper.Keeper
	consensus consensuskeeper.Keeper
	fees      feemarketkeeper.Keeper
	evm       *evmkeeper.Keeper
	mempool   *evmmempool.Mempool
	listeners []func(common.Hash)
}

var _ evmserver.Application = (*App)(nil)

// newApp builds the application on its database. The signature leaves no other way than a panic to tell of an error.
func newApp(logger log.Logger, db dbm.DB, options servertypes.AppOptions) evmserver.Application {
	chainID := cast.ToUint64(options.Get(flags.EVMChainID))
	encoding := codecs(chainID)
	base := baseapp.NewBaseApp(
		appName, logger, db, encoding.TxConfig.TxDecoder(), server.DefaultBaseappOptions(options)...,
	)
	base.SetInterfaceRegistry(encoding.InterfaceRegistry)
	base.SetTxEncoder(encoding.TxConfig.TxEncoder())
	base.SetDisableBlockGasMeter(true)
	app := &App{BaseApp: base, encoding: encoding}

	keys := storetypes.NewKVStoreKeys(
		authtypes.StoreKey, banktypes.StoreKey, consensustypes.StoreKey, evmtypes.StoreKey, feemarkettypes.StoreKey,
		membershipName,
	)
	objects := storetypes.NewObjectStoreKeys(banktypes.ObjectStoreKey, evmtypes.ObjectKey)
	app.makeKeepers(logger, chainID, keys, objects)
	evmModule := app.makeModules(keys)
	app.MountKVStores(keys)
	app.MountObjectStores(objects)
	app.setHandlers()
	must(app.makeMempool(logger, options))

	must(app.LoadLatestVersion())
	evmModule.HydrateGlobals(app.NewContextLegacy(true, cmtproto.Header{Height: app.LastBlockHeight(), ChainID: app.ChainID()}))
	// One transaction after the other; the wrapper numbers the logs of a block.
	vmrunner.SetRunner(base, txnrunner.NewDefaultRunner(encoding.TxConfig.TxDecoder()))
	return app
}

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

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (app *App) makeKeepers(
	logger log.Logger,
	chainID uint64,
	keys map[string]*storetypes.KVStoreKey,
	objects map[string]*storetypes.ObjectStoreKey,
) {
	cdc := app.encoding.Codec
	prefix := sdk.GetConfig().GetBech32AccountAddrPrefix()
	// Parameters could be changed by this address, which no key has and no transaction can speak for.
	authority := authtypes.NewModuleAddress("nobody")

	app.consensus = consensuskeeper.NewKeeper(
		cdc, runtime.NewKVStoreService(keys[consensustypes.StoreKey]), authority.String(), runtime.EventService{},
	)
	app.SetParamStore(app.consensus.ParamsStore)
	app.accounts = authkeeper.NewAccountKeeper(
		cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{
			authtypes.FeeCollectorName: nil,
			evmtypes.ModuleName:        {authtypes.Minter, authtypes.Burner},
			feemarkettypes.ModuleName:  nil,
		},
		evmaddress.NewEvmCodec(prefix), prefix, authority.String(),
	)
	app.bank = bankkeeper.NewBaseKeeper(
		cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]), app.accounts, nil, authority.String(), logger,
	).WithObjStoreKey(objects[banktypes.ObjectStoreKey])
	app.fees = feemarketkeeper.NewKeeper(cdc, authority, keys[feemarkettypes.StoreKey])

	var all []storetypes.StoreKey
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, keys[name])
	}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		all = append(all, objects[name])
	}
	app.evm = evmkeeper.NewKeeper(
		cdc, keys[evmtypes.StoreKey], objects[evmtypes.ObjectKey], all, authority, app.accounts, app.bank,
		noStaking{}, app.fees, &app.consensus, nil, chainID, "",
	)
	// Without this map a call of any precompiled contract ends in a panic.
	app.evm.WithStaticPrecompiles(maps.Clone(corevm.PrecompiledContractsPrague))
	app.evm.EnableVirtualFeeCollection()
}

func (app *App) makeModules(keys map[string]*storetypes.KVStoreKey) vm.AppModule {
	cdc := app.encoding.Codec
	evmModule := vm.NewAppModule(app.evm, app.accounts, app.bank, app.accounts.AddressCodec())
	app.modules = module.NewManager(
		auth.NewAppModule(cdc, app.accounts, nil, nil),
		bank.NewAppModule(cdc, app.bank, app.accounts, nil),
		consensus.NewAppModule(cdc, app.consensus),
		evmModule,
		feemarket.NewAppModule(app.fees),
		newMembership(app.evm, keys[membershipName]),
	)

	const bankName, consensusName = banktypes.ModuleName, consensustypes.ModuleName
	app.modules.SetOrderPreBlockers(authtypes.ModuleName, evmtypes.ModuleName)
	app.modules.SetOrderBeginBlockers(feemarkettypes.ModuleName, evmtypes.ModuleName)
	app.modules.SetOrderEndBlockers(bankName, evmtypes.ModuleName, membershipName, feemarkettypes.ModuleName)
	app.modules.SetOrderInitGenesis(
		authtypes.ModuleName, bankName, consensusName, feemarkettypes.ModuleName, evmtypes.ModuleName, membershipName,
	)
	must(app.modules.RegisterServices(
		module.NewConfigurator(cdc, app.MsgServiceRouter(), app.GRPCQueryRouter()),
	))
	return evmModule
}

func (app *App) setHandlers() {
	app.SetInitChainer(func(ctx sdk.Context, request *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
		var state map[string]json.RawMessage
		if err := json.Unmarshal(request.AppStateBytes, &state); err != nil {
			return nil, fmt.Errorf("the genesis cannot be read: %w", err)
		}
		return app.modules.InitGenesis(ctx, app.encoding.Codec, state)
	})
	app.SetPreBlocker(func(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
		return app.modules.PreBlock(ctx)
	})
	app.SetBeginBlocker(app.modules.BeginBlock)
	app.SetEndBlocker(app.modules.EndBlock)
	app.SetAnteHandler(newAnteHandler(app.accounts, app.fees, app.evm, app.evm, func(hash common.Hash) {
		for _, listener := range app.listeners {
			listener(hash)
		}
	}))
}

// What follows is asked for by the server that runs the application.

// RegisterPendingTxListener adds one who is told of each transaction that enters the mempool.
func (app *App) RegisterPendingTxListener(listener func(common.Hash)) {
	app.listeners = append(app.listeners, listener)
}

// GetMempool returns the mempool.
func (app *App) GetMempool() sdkmempool.ExtMempool { return app.mempool }

// RegisterAPIRoutes adds nothing: the REST server is off.
func (app *App) RegisterAPIRoutes(*api.Server, config.APIConfig) {}

// RegisterTxService serves the simulation of transactions to the JSON-RPC server of the same process.
func (app *App) RegisterTxService(ctx client.Context) {
	authtx.RegisterTxService(app.GRPCQueryRouter(), ctx, app.Simulate, app.encoding.InterfaceRegistry)
}

// RegisterTendermintService serves blocks to the JSON-RPC server of the same process.
func (app *App) RegisterTendermintService(ctx client.Context) {
	cmtservice.RegisterTendermintService(ctx, app.GRPCQueryRouter(), app.encoding.InterfaceRegistry, app.Query)
}

// RegisterNodeService serves the node's settings to the JSON-RPC server of the same process.
func (app *App) RegisterNodeService(ctx client.Context, settings config.Config) {
	earliest := func() int64 { return app.CommitMultiStore().EarliestVersion() }
	node.RegisterNodeService(ctx, app.GRPCQueryRouter(), settings, earliest)
}

// Close ends the mempool, then the application.
func (app *App) Close() error {
	return stderrors.Join(app.mempool.Close(), app.BaseApp.Close())
}
