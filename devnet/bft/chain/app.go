package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/baseapp/txnrunner"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkmempool "github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/types/module"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	evmencoding "github.com/cosmos/evm/encoding"
	evmmempool "github.com/cosmos/evm/mempool"
	evmserver "github.com/cosmos/evm/server"
	"github.com/cosmos/evm/server/flags"
	feemarketkeeper "github.com/cosmos/evm/x/feemarket/keeper"
	evmkeeper "github.com/cosmos/evm/x/vm/keeper"
	vmrunner "github.com/cosmos/evm/x/vm/runner"
	"github.com/ethereum/go-ethereum/common"
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
	fees      feemarketkeeper.Keeper
	evm       *evmkeeper.Keeper
	mempool   *evmmempool.Mempool
	listeners []func(common.Hash)
}

// newApp builds the application on its database. The signature leaves no other way than a panic to tell of an error.
func newApp(logger log.Logger, db dbm.DB, options servertypes.AppOptions) evmserver.Application {
	chainID := cast.ToUint64(options.Get(flags.EVMChainID))
	encoding := codecs(chainID)
	decode := encoding.TxConfig.TxDecoder()
	base := baseapp.NewBaseApp(appName, logger, db, decode, server.DefaultBaseappOptions(options)...)
	base.SetInterfaceRegistry(encoding.InterfaceRegistry)
	base.SetTxEncoder(encoding.TxConfig.TxEncoder())
	base.SetDisableBlockGasMeter(true)
	app := &App{BaseApp: base, encoding: encoding}

	evmModule := app.makeModules(logger, chainID)
	app.SetInitChainer(app.initChain)
	app.SetPreBlocker(func(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
		return app.modules.PreBlock(ctx)
	})
	app.SetBeginBlocker(app.modules.BeginBlock)
	app.SetEndBlocker(app.modules.EndBlock)
	app.SetAnteHandler(app.admit)
	app.makeMempool(logger, options)

	must(app.LoadLatestVersion())
	evmModule.HydrateGlobals(app.NewContextLegacy(true, cmtproto.Header{Height: app.LastBlockHeight(), ChainID: app.ChainID()}))
	// One transaction after the other; the wrapper numbers the logs of a block.
	vmrunner.SetRunner(base, txnrunner.NewDefaultRunner(decode))
	return app
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (app *App) initChain(ctx sdk.Context, request *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(request.AppStateBytes, &state); err != nil {
		return nil, fmt.Errorf("the genesis cannot be read: %w", err)
	}
	return app.modules.InitGenesis(ctx, app.encoding.Codec, state)
}

// tellPending tells the JSON-RPC server's subscribers of a transaction that enters the mempool.
func (app *App) tellPending(hash common.Hash) {
	for _, listener := range app.listeners {
		listener(hash)
	}
}

// What follows is asked for by the server that runs the application. The services serve its JSON-RPC half.

func (app *App) RegisterPendingTxListener(listener func(common.Hash)) {
	app.listeners = append(app.listeners, listener)
}

func (app *App) GetMempool() sdkmempool.ExtMempool { return app.mempool }

// RegisterAPIRoutes adds nothing: the REST server is off.
func (app *App) RegisterAPIRoutes(*api.Server, config.APIConfig) {}

func (app *App) RegisterTxService(ctx client.Context) {
	authtx.RegisterTxService(app.GRPCQueryRouter(), ctx, app.Simulate, app.encoding.InterfaceRegistry)
}

func (app *App) RegisterTendermintService(ctx client.Context) {
	cmtservice.RegisterTendermintService(ctx, app.GRPCQueryRouter(), app.encoding.InterfaceRegistry, app.Query)
}

func (app *App) RegisterNodeService(ctx client.Context, settings config.Config) {
	node.RegisterNodeService(ctx, app.GRPCQueryRouter(), settings, app.CommitMultiStore().EarliestVersion)
}

// Close ends the mempool, then the application.
func (app *App) Close() error {
	return errors.Join(app.mempool.Close(), app.BaseApp.Close())
}
