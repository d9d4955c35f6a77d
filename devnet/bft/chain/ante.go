package main

import (
	"cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	evmante "github.com/cosmos/evm/ante"
	"github.com/cosmos/evm/ante/evm"
	"github.com/cosmos/evm/ante/interfaces"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
	ethtypes "github.com/ethereum/go-ethereum/core/types"
)

// newAnteHandler returns what every transaction must pass before it enters a mempool or runs in a block: the checks of
// an Ethereum transaction, then the rights of its sender. No other kind of transaction passes.
func newAnteHandler(
	accounts interfaces.AccountKeeper,
	fees interfaces.FeeMarketKeeper,
	keeper interfaces.EVMKeeper,
	state State,
	pending evmante.PendingTxListener,
) sdk.AnteHandler {
	return func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
		messages := tx.GetMsgs()
		if len(messages) != 1 {
			return ctx, errors.Wrap(sdkerrors.ErrUnknownRequest, "a transaction has one message")
		}
		if _, is := messages[0].(*evmtypes.MsgEthereumTx); !is {
			return ctx, errors.Wrap(sdkerrors.ErrUnknownRequest, "only Ethereum transactions are taken")
		}
		evmParams, feeParams := keeper.GetParams(ctx), fees.GetParams(ctx)
		return sdk.ChainAnteDecorators(
			evm.NewEVMMonoDecorator(accounts, fees, keeper, 0, &evmParams, &feeParams),
			rightsDecorator{state},
			evmante.NewTxListenerDecorator(pending),
		)(ctx, tx, simulate)
	}
}

// rightsDecorator stands behind the check of the signature: the sender that it reads is who signed.
type rightsDecorator struct{ state State }

func (d rightsDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	message, ethTx, err := evmtypes.UnpackEthMsg(tx.GetMsgs()[0])
	if err != nil {
		return ctx, err
	}
	sender := common.BytesToAddress(message.GetFrom())
	rights := consortiumWords(ctx, d.state)(rightsSlot(sender))
	if err := judge(sender, rights, ethTx); err != nil {
		return ctx, err
	}
	return next(ctx, tx, simulate)
}

// judge refuses a transaction whose sender has not the right to it. A transaction that lets accounts delegate to code
// (EIP-7702) counts as one that creates a contract.
func judge(sender common.Address, rights common.Hash, tx *ethtypes.Transaction) error {
	bits := rights[31]
	if bits&maySend == 0 {
		return errors.Wrapf(sdkerrors.ErrUnauthorized, "%s may not send transactions", sender)
	}
	creates := tx.To() == nil || tx.Type() == ethtypes.SetCodeTxType
	if creates && bits&mayCreate == 0 {
		return errors.Wrapf(sdkerrors.ErrUnauthorized, "%s may not create contracts", sender)
	}
	return nil
}
