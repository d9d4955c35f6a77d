package main

import (
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/baseapp"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	evmmempool "github.com/cosmos/evm/mempool"
	evmserver "github.com/cosmos/evm/server"
)

// encodeOnly does not check a transaction again when a block is proposed: the mempool has, after the block before.
type encodeOnly struct{ *baseapp.BaseApp }

func (e encodeOnly) PrepareProposalVerifyTx(tx sdk.Tx) ([]byte, error) { return e.TxEncode(tx) }

// makeMempool gives the application the EVM's mempool, which the JSON-RPC server cannot do without. It needs the ante
// handler to be set. It is in memory only: a node that ends forgets what was not yet in a block.
func (app *App) makeMempool(logger log.Logger, options servertypes.AppOptions) {
	settings := evmserver.ResolveMempoolConfig(app.AnteHandler(), options, logger)
	must(evmserver.ValidateReapBounds(options, settings.BlockGasLimit))
	encoder := evmmempool.NewTxEncoder(app.encoding.TxConfig)
	pool := evmmempool.NewMempool(
		app.CreateQueryContext, logger, app.evm, app.fees, app.encoding.TxConfig,
		evmmempool.NewTxRechecker(settings.AnteHandler, encoder),
		evmmempool.NewTxRechecker(settings.AnteHandler, encoder),
		settings, evmserver.GetCosmosPoolMaxTx(options, logger),
	)
	app.mempool = pool
	app.SetMempool(pool)
	app.SetPrepareProposal(baseapp.NewDefaultProposalHandler(pool, encodeOnly{app.BaseApp}).PrepareProposalHandler())
	app.SetInsertTxHandler(pool.NewInsertTxHandler(app.TxDecode))
	app.SetReapTxsHandler(pool.NewReapTxsHandler())
	app.SetCheckTxHandler(pool.NewCheckTxHandler(app.TxDecode, evmserver.GetMempoolCheckTxTimeout(options, logger)))
	app.SetPrepareCheckStater(func(sdk.Context) {
		if !pool.HasEventBus() {
			pool.NotifyNewBlock()
		}
	})
}
