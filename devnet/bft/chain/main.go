// bft-chain is the state machine of a small permissioned EVM network with immediate finality: CometBFT orders blocks,
// the EVM runs them, and the contract Consortium in the genesis says who may send, create and validate.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/cosmos/cosmos-sdk/server"
	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	evmserver "github.com/cosmos/evm/server"
	"github.com/spf13/cobra"
)

// here is the home where none is given.
const here = "."

func main() {
	root := &cobra.Command{
		Use:           appName,
		Short:         "A permissioned EVM network with immediate finality",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	options := evmserver.NewDefaultStartOptions(newApp, here)
	start := evmserver.StartCmd(options)
	rollback := server.NewRollbackCmd(options.AppCreator, here)
	root.PersistentPreRunE = func(command *cobra.Command, _ []string) error {
		if command == start || command == rollback {
			return prepareNode(command)
		}
		return nil
	}
	root.AddCommand(
		reporting("genesis", "Read what a chain is to begin with, and print its genesis", genesis), start, rollback,
		reporting("version", "Say what this program is built from", version),
	)
	if err := svrcmd.Execute(root, "BFT_CHAIN", here); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", appName, err)
		os.Exit(1)
	}
}

// reporting makes a command whose result is printed as one JSON object.
func reporting(name, short string, run func() (any, error)) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		result, err := run()
		if err != nil {
			return err
		}
		printer := json.NewEncoder(os.Stdout)
		printer.SetIndent("", "  ")
		return printer.Encode(result)
	}}
}

// genesis makes the genesis of the plan on the standard input.
func genesis() (any, error) {
	plan, err := readPlan(os.Stdin)
	if err != nil {
		return nil, err
	}
	return plan.genesis()
}

// version tells which cosmos/evm computes the blocks; all nodes of a network must agree in it.
func version() (any, error) {
	info, known := debug.ReadBuildInfo()
	if !known {
		return nil, errors.New("this program was built without its list of modules")
	}
	told := map[string]string{"program": appName}
	for _, dependency := range info.Deps {
		if dependency.Path == "github.com/cosmos/evm" {
			told["version"] = dependency.Version
		}
	}
	return told, nil
}
