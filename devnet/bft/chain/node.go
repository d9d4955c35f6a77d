package main

import (
	"fmt"
	"os"
	"path/filepath"

	"cosmossdk.io/log/v2"
	cometcmd "github.com/cometbft/cometbft/cmd/cometbft/commands"
	cmtcfg "github.com/cometbft/cometbft/config"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/server"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	evmserver "github.com/cosmos/evm/server"
	"github.com/cosmos/evm/server/flags"
	"github.com/spf13/cobra"
)

// bech32Prefix begins addresses where the SDK writes them in its own form: nobody outside sees one.
const bech32Prefix = "tial"

func setPrefixes() {
	settings := sdk.GetConfig()
	settings.SetBech32PrefixForAccount(bech32Prefix, bech32Prefix+"pub")
	settings.SetBech32PrefixForValidator(bech32Prefix+"valoper", bech32Prefix+"valoperpub")
	settings.SetBech32PrefixForConsensusNode(bech32Prefix+"valcons", bech32Prefix+"valconspub")
	settings.Seal()
}

// prepareNode reads a node's settings, refuses a chain id that is not that of the genesis, and leaves both contexts
// that the server wants in the command. The log goes to the standard error.
func prepareNode(command *cobra.Command) error {
	home, err := command.Flags().GetString("home")
	if err != nil {
		return err
	}
	genesisID, err := genesisChainID(genesisPath(home))
	if err != nil {
		return fmt.Errorf("there is no node in %q: %w", home, err)
	}
	command.SetOut(os.Stderr)
	if err := command.Flags().Set("log_no_color", "true"); err != nil {
		return err
	}
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

func startCommand() *cobra.Command {
	command := evmserver.StartCmd(evmserver.NewDefaultStartOptions(newApp, ""))
	command.Short = "Run a node"
	return command
}

// rollback takes back the last block of a stopped node, in the consensus and in the application. The node then runs
// that block again; it mends one that computed another state than the rest.
func rollback(command *cobra.Command) (any, error) {
	ctx := server.GetServerContextFromCmd(command)
	data := filepath.Join(ctx.Config.RootDir, "data")
	db, err := dbm.NewDB("application", server.GetAppDBBackend(ctx.Viper), data)
	if err != nil {
		return nil, err
	}
	app := newApp(log.NewNopLogger(), db, ctx.Viper)
	height, hash, err := cometcmd.RollbackState(ctx.Config, false)
	if err != nil {
		return nil, fmt.Errorf("the consensus cannot go back: %w", err)
	}
	if err := app.CommitMultiStore().RollbackToVersion(height); err != nil {
		return nil, fmt.Errorf("the application cannot go back: %w", err)
	}
	return map[string]any{"height": height, "app_hash": fmt.Sprintf("%x", hash)}, app.Close()
}
