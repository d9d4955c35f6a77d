package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// maxPlan is far more bytes than the largest plan has: 64 validators, and the code of a contract.
const maxPlan = 1 << 20

// Plan is what a chain is to begin with. In JSON all bytes are hex with 0x.
type Plan struct {
	ChainID        string           `json:"chain_id"`
	EVMChainID     uint64           `json:"evm_chain_id"`
	Code           hexutil.Bytes    `json:"code"` // of the contract Consortium, as it runs
	Threshold      uint64           `json:"threshold"`
	Administrators []common.Address `json:"administrators"`
	Rights         Rights           `json:"rights"`
	Validators     []Validator      `json:"validators"`
}

// Rights has the bits of each account.
type Rights map[common.Address]uint64

// Validator has its Ed25519 key and its share of the votes.
type Validator struct {
	Key   common.Hash `json:"key"`
	Power uint64      `json:"power"`
}

// readPlan reads one JSON object, with no field that is unknown and nothing behind it.
func readPlan(input io.Reader) (Plan, error) {
	var plan Plan
	decoder := json.NewDecoder(io.LimitReader(input, maxPlan))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&plan); err != nil {
		return plan, fmt.Errorf("the standard input, at most %d bytes of it: %w", maxPlan, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return plan, errors.New("the standard input goes on behind the plan")
	}
	return plan, nil
}

// UnmarshalJSON refuses rights that are given twice to one account, in two spellings of its address.
func (rights *Rights) UnmarshalJSON(data []byte) error {
	var spellings map[string]uint64
	if err := json.Unmarshal(data, &spellings); err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	var accounts map[common.Address]uint64
	if err := json.Unmarshal(data, &accounts); err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	if len(accounts) != len(spellings) {
		return errors.New("rights: an account is there twice")
	}
	*rights = accounts
	return nil
}

// check refuses what could never act, never make a block, or means nothing.
func (plan Plan) check() error {
	if plan.EVMChainID == 0 {
		return errors.New("evm_chain_id: 0 is no chain id of an EVM")
	}
	if len(plan.Code) == 0 {
		return errors.New("code: the contract has none")
	}
	distinct := make(map[common.Address]bool)
	for _, administrator := range plan.Administrators {
		distinct[administrator] = true
	}
	count := len(plan.Administrators)
	if len(distinct) != count || distinct[common.Address{}] || plan.Threshold < 1 || plan.Threshold > uint64(count) {
		return fmt.Errorf("threshold, administrators: %d of %d: there must be as many distinct accounts", plan.Threshold, count)
	}
	for account, bits := range plan.Rights {
		if bits > maySend|mayCreate {
			return fmt.Errorf("rights: those of %s are unknown: %d", account, bits)
		}
	}
	words := plan.storage()
	if _, err := readPowers(func(slot common.Hash) common.Hash { return words[slot] }); err != nil {
		return fmt.Errorf("validators: %w", err)
	}
	return nil
}

// storage lays the contract's variables out as its constructor would. Every administrator may send transactions:
// without that none could act.
func (plan Plan) storage() map[common.Hash]common.Hash {
	words := map[common.Hash]common.Hash{
		word(slotValidators):     word(uint64(len(plan.Validators))),
		word(slotAdministrators): word(uint64(len(plan.Administrators))),
		word(slotThreshold):      word(plan.Threshold),
	}
	for account, bits := range plan.Rights {
		if bits != 0 {
			words[rightsSlot(account)] = word(bits)
		}
	}
	for index, administrator := range plan.Administrators {
		words[elementSlot(slotAdministrators, uint64(index))] = common.BytesToHash(administrator.Bytes())
		words[rightsSlot(administrator)] = word(plan.Rights[administrator] | maySend)
	}
	for index, validator := range plan.Validators {
		at := 2 * uint64(index)
		words[elementSlot(slotValidators, at)] = validator.Key
		words[elementSlot(slotValidators, at+1)] = word(validator.Power)
	}
	return words
}
