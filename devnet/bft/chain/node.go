package main

import (
	"fmt"
	"os"
	"path/filepath"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/server"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/evm/server/flags"
	"github.com/spf13/cobra"
)

// prepareNode reads a node's settings, refuses a chain id that is not that of the genesis, and leaves both contexts
// that the server wants in the command. The log goes to the standard error.
func prepareNode(command *cobra.Command) error {
	home := command.Flag("home").Value.String()
	genesisID, err := genesisChainID(filepath.Join(home, "config", "genesis.json"))
	if err != nil {
		return fmt.Errorf("there is no node in %q: %w", home, err)
	}
	command.SetOut(os.Stderr)
	if err := server.InterceptConfigsPreRunHandler(command, "", nil, cmtcfg.DefaultConfig()); err != nil {
		return err
	}
	evmChainID := server.GetServerContextFromCmd(command).Viper.GetUint64(flags.EVMChainID)
	if evmChainID != genesisID {
		return fmt.Errorf("evm-chain-id in app.toml is %d, and %d in the genesis: this node would leave the chain", evmChainID, genesisID)
	}
	encoding := codecs(evmChainID)
	return client.SetCmdClientContextHandler(client.Context{}.
		WithCodec(encoding.Codec).
		WithInterfaceRegistry(encoding.InterfaceRegistry).
		WithTxConfig(encoding.TxConfig).
		WithLegacyAmino(encoding.Amino).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithKeyring(keyring.NewInMemory(encoding.Codec)). // holds no key: a node signs for nobody
		WithHomeDir(home), command)
}
