// bft-chain makes and runs the nodes of a small permissioned EVM network with immediate finality: CometBFT orders
// blocks, the EVM runs them, and the contract Consortium in the genesis says who may send, create and validate.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cosmos/cosmos-sdk/server"
	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	evmserver "github.com/cosmos/evm/server"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
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
		initCommand(), addNodeCommand(), start, rollback,
		reporting("version", "Say what this program is built from", version),
	)
	if err := svrcmd.Execute(root, "BFT_CHAIN", here); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", appName, err)
		os.Exit(1)
	}
}

// reporting makes a command whose result is printed as one JSON object.
func reporting(name, short string, run func(home string) (any, error)) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		result, err := run(command.Flag("home").Value.String())
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}}
}

func initCommand() *cobra.Command {
	network := &Network{Format: networkFormat, Consortium: consortiumAddress.Hex()}
	var (
		artifact       string
		administrators []string
		threshold      uint64
		rights         map[string]int64
		ports          []int
		powers         []int64
		blockTime      time.Duration
	)
	command := reporting("init", "Make a network", func(home string) (any, error) {
		contract, err := readConsortium(artifact, administrators, rights)
		if err != nil {
			return nil, err
		}
		contract.Threshold = threshold
		network.BlockTime = blockTime.String()
		if len(powers) == 0 {
			powers = slices.Repeat([]int64{10}, len(ports)/portsPerNode)
		}
		return network, network.create(home, ports, powers, contract)
	})
	flags := command.Flags()
	flags.StringVar(&network.ChainID, "chain-id", "tial-bft-1", "name of the chain")
	flags.Uint64Var(&network.EVMChainID, "evm-chain-id", 31991, "chain id that transactions are signed for")
	flags.IntSliceVar(&ports, "ports", nil, "four free ports for each node: p2p, rpc, eth, ws")
	flags.StringVar(&artifact, "consortium", "", "compiled contract Consortium, a JSON file")
	flags.StringSliceVar(&administrators, "administrators", nil, "their addresses")
	flags.Uint64Var(&threshold, "threshold", 1, "how many administrators an act needs")
	flags.StringToInt64Var(&rights, "rights", nil, "ADDRESS=BITS: 1 may send transactions, 2 may create contracts")
	flags.DurationVar(&blockTime, "block-time", time.Second, "pause between two blocks")
	flags.Int64SliceVar(&powers, "powers", nil, "power of each validator (default: 10 each)")
	return command
}

func addNodeCommand() *cobra.Command {
	var ports []int
	command := reporting("add-node", "Add a node to a network", func(home string) (any, error) {
		return addNode(home, ports)
	})
	command.Flags().IntSliceVar(&ports, "ports", nil, "four free ports: p2p, rpc, eth, ws")
	return command
}

// readConsortium reads the contract's artifact, and the lists of the command line.
func readConsortium(artifact string, administrators []string, rights map[string]int64) (Consortium, error) {
	contract := Consortium{Rights: make(map[common.Address]uint64)}
	text, err := os.ReadFile(artifact)
	if err != nil {
		return contract, err
	}
	var compiled struct {
		Code hexutil.Bytes `json:"deployedBytecode"`
	}
	if err := json.Unmarshal(text, &compiled); err != nil {
		return contract, fmt.Errorf("%s: %w", artifact, err)
	}
	contract.Code = compiled.Code
	var account common.Address
	for _, name := range administrators {
		if err := account.UnmarshalText([]byte(name)); err != nil {
			return contract, fmt.Errorf("%q is no address: %w", name, err)
		}
		contract.Administrators = append(contract.Administrators, account)
	}
	for name, bits := range rights {
		if err := account.UnmarshalText([]byte(name)); err != nil {
			return contract, fmt.Errorf("%q is no address: %w", name, err)
		}
		if _, twice := contract.Rights[account]; twice {
			return contract, fmt.Errorf("the rights of %s are there twice", account)
		}
		contract.Rights[account] = uint64(bits)
	}
	return contract, nil
}

// version tells which cosmos/evm computes the blocks; all nodes of a network must agree in it.
func version(string) (any, error) {
	told := map[string]string{"program": appName, "format": networkFormat}
	info, known := debug.ReadBuildInfo()
	if !known {
		return nil, errors.New("this program was built without its list of modules")
	}
	for _, dependency := range info.Deps {
		if dependency.Path == "github.com/cosmos/evm" {
			told["version"] = dependency.Version
		}
	}
	return told, nil
}
