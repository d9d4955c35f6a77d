package main

import (
	"cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	evmante "github.com/cosmos/evm/ante"
	"github.com/cosmos/evm/ante/evm"
	evmtypes "github.com/cosmos/evm/x/vm/types"
	"github.com/ethereum/go-ethereum/common"
	ethtypes "github.com/ethereum/go-ethereum/core/types"
)

// admit is what every transaction must pass before it enters a mempool or runs in a block: the checks of an Ethereum
// transaction, then the rights of its sender. No other kind of transaction passes.
func (app *App) admit(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
	messages := tx.GetMsgs()
	if len(messages) != 1 {
		return ctx, errors.Wrap(sdkerrors.ErrUnknownRequest, "a transaction has one message")
	}
	message, ethTx, err := evmtypes.UnpackEthMsg(messages[0])
	if err != nil {
		return ctx, err
	}
	evmParams, feeParams := app.evm.GetParams(ctx), app.fees.GetParams(ctx)
	checks := evm.NewEVMMonoDecorator(app.accounts, app.fees, app.evm, 0, &evmParams, &feeParams)
	ctx, err = sdk.ChainAnteDecorators(checks)(ctx, tx, simulate)
	if err != nil {
		return ctx, err
	}
	sender := common.BytesToAddress(message.GetFrom()) // the signature was checked: this is who signed
	if err := judge(sender, contractWords(ctx, app.evm)(rightsSlot(sender)), ethTx); err != nil {
		return ctx, err
	}
	return sdk.ChainAnteDecorators(evmante.NewTxListenerDecorator(app.tellPending))(ctx, tx, simulate)
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
