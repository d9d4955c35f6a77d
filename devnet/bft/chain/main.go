// bft-chain makes and runs the nodes of a small permissioned EVM network with immediate finality: CometBFT orders
// blocks, the EVM runs them, and the contract Consortium in the genesis says who may send, create and validate.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"
)

func main() {
	setPrefixes()
	root := &cobra.Command{
		Use:           appName,
		Short:         "A permissioned EVM network with immediate finality",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			if command.Name() == "start" || command.Name() == "rollback" {
				return prepareNode(command)
			}
			return nil
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		initCommand(), addNodeCommand(), startCommand(),
		reporting("rollback", "Take back the last block of a stopped node", rollback),
		reporting("version", "Say what this program is built from", version),
	)
	if err := svrcmd.Execute(root, "", ""); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", appName, err)
		os.Exit(1)
	}
}

// reporting makes a command whose result is printed as one JSON object.
func reporting(name, short string, run func(*cobra.Command) (any, error)) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error {
		result, err := run(command)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}}
}

func initCommand() *cobra.Command {
	var plan NetworkPlan
	var artifact string
	var administrators, rights []string
	var powers []int64
	command := reporting("init", "Make a network", func(command *cobra.Command) (any, error) {
		home, err := homeOf(command)
		if err != nil {
			return nil, err
		}
		if plan.Code, err = runtimeCode(artifact); err != nil {
			return nil, err
		}
		for _, text := range administrators {
			account, err := parseAddress(text)
			if err != nil {
				return nil, err
			}
			plan.Consortium.Administrators = append(plan.Consortium.Administrators, account)
		}
		if plan.Consortium.Rights, err = parseRights(rights); err != nil {
			return nil, err
		}
		plan.Powers = powers
		if len(powers) == 0 {
			for range len(plan.Ports) / portsPerNode {
				plan.Powers = append(plan.Powers, 10)
			}
		}
		return makeNetwork(home, plan)
	})
	flags := command.Flags()
	flags.StringVar(&plan.ChainID, "chain-id", "tial-bft-1", "name of the chain")
	flags.Uint64Var(&plan.EVMChainID, "evm-chain-id", 31991, "chain id that transactions are signed for")
	flags.IntSliceVar(&plan.Ports, "ports", nil, "four free ports for each node: p2p, rpc, eth, ws")
	flags.StringVar(&artifact, "consortium", "", "compiled contract Consortium, a JSON file")
	flags.StringSliceVar(&administrators, "administrators", nil, "their addresses")
	flags.Uint64Var(&plan.Consortium.Threshold, "threshold", 1, "how many administrators an act needs")
	flags.StringSliceVar(&rights, "rights", nil, "ADDRESS=BITS: 1 may send transactions, 2 may create contracts")
	flags.DurationVar(&plan.BlockTime, "block-time", 1e9, "pause between two blocks")
	flags.Int64SliceVar(&powers, "powers", nil, "power of each validator (default: 10 each)")
	return command
}

func addNodeCommand() *cobra.Command {
	var ports []int
	command := reporting("add-node", "Add a node to a network", func(command *cobra.Command) (any, error) {
		home, err := homeOf(command)
		if err != nil {
			return nil, err
		}
		return addNode(home, ports)
	})
	command.Flags().IntSliceVar(&ports, "ports", nil, "four free ports: p2p, rpc, eth, ws")
	return command
}

func homeOf(command *cobra.Command) (string, error) {
	home, err := command.Flags().GetString("home")
	if err == nil && home == "" {
		err = errors.New("--home is missing: the folder of the network")
	}
	return home, err
}

// runtimeCode reads the code of a contract from its artifact.
func runtimeCode(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var artifact struct {
		Code string `json:"deployedBytecode"`
	}
	if err := json.Unmarshal(text, &artifact); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	code, err := hex.DecodeString(strings.TrimPrefix(artifact.Code, "0x"))
	if err != nil {
		return nil, fmt.Errorf("%s has no runtime code: %w", path, err)
	}
	return code, nil
}

func parseAddress(text string) (common.Address, error) {
	if len(text) != 42 || !strings.HasPrefix(text, "0x") || !common.IsHexAddress(text) {
		return common.Address{}, fmt.Errorf("%q is no address", text)
	}
	return common.HexToAddress(text), nil
}

func parseRights(list []string) (map[common.Address]uint64, error) {
	rights := make(map[common.Address]uint64)
	for _, entry := range list {
		text, bits, _ := strings.Cut(entry, "=")
		account, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseUint(bits, 10, 8)
		if _, repeated := rights[account]; err != nil || repeated {
			return nil, fmt.Errorf("%q is not ADDRESS=BITS, or its account is there twice", entry)
		}
		rights[account] = number
	}
	return rights, nil
}

// version tells which cosmos/evm computes the blocks; all nodes of a network must agree in it.
func version(*cobra.Command) (any, error) {
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
