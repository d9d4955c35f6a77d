package main

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	ethtypes "github.com/ethereum/go-ethereum/core/types"
)

func TestRightsDecideWhoMaySendAndCreate(t *testing.T) {
	call := ethtypes.NewTx(&ethtypes.LegacyTx{To: &bob})
	create := ethtypes.NewTx(&ethtypes.DynamicFeeTx{})
	delegate := ethtypes.NewTx(&ethtypes.SetCodeTx{To: bob})
	for _, c := range []struct {
		rights uint64
		tx     *ethtypes.Transaction
		passes bool
	}{
		{0, call, false}, {0, create, false}, {0, delegate, false},
		{maySend, call, true}, {maySend, create, false}, {maySend, delegate, false},
		{mayCreate, call, false}, {mayCreate, create, false},
		{maySend | mayCreate, call, true}, {maySend | mayCreate, create, true}, {maySend | mayCreate, delegate, true},
	} {
		if err := judge(alice, word(c.rights), c.tx); (err == nil) != c.passes {
			t.Errorf("rights %d, type %d, creates %t: %v", c.rights, c.tx.Type(), c.tx.To() == nil, err)
		}
	}
}

func TestNoOtherKindOfTransactionPasses(t *testing.T) {
	for _, messages := range [][]sdk.Msg{nil, {&banktypes.MsgSend{}}, {&banktypes.MsgSend{}, &banktypes.MsgSend{}}} {
		builder := codecs(1).TxConfig.NewTxBuilder()
		if err := builder.SetMsgs(messages...); err != nil {
			t.Fatal(err)
		}
		if _, err := new(App).admit(sdk.Context{}, builder.GetTx(), false); err == nil {
			t.Errorf("%d messages passed", len(messages))
		}
	}
}
