package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// The contract Consortium stands in the genesis at this address. What it stores decides who may send transactions, who
// may create contracts, and who the validators are; this program reads its storage and never runs its code.
var consortiumAddress = common.HexToAddress("0x0000000000000000000000000000000000000C05")

// Slots of its variables, as contracts/STORAGE.md lists them. Only those that are read or written here.
const (
	slotRights         = 0 // mapping(address => uint256)
	slotValidators     = 1 // Validator[], two slots each: key, power
	slotAdministrators = 2 // address[]
	slotThreshold      = 3 // uint256
)

// Rights of an account: bits of its word in the mapping of slot 0.
const (
	maySend   = 1
	mayCreate = 2
)

const (
	maxValidators     = 64
	maxPower          = 1 << 40
	maxAdministrators = 32
)

// Validator is an Ed25519 key and the power of its vote.
type Validator struct {
	Key   [32]byte
	Power int64
}

// ValidatorSet is a list of distinct validators in the order of the contract.
type ValidatorSet []Validator

// Words reads one word of the contract's storage; an absent word is zero.
type Words func(slot common.Hash) common.Hash

func word(number uint64) common.Hash {
	return common.BigToHash(new(big.Int).SetUint64(number))
}

// rightsSlot is where the rights of an account stand.
func rightsSlot(account common.Address) common.Hash {
	base := word(slotRights)
	return crypto.Keccak256Hash(common.LeftPadBytes(account.Bytes(), 32), base[:])
}

// elementSlot is the slot of one word of a dynamic array: its data begin at the hash of the array's own slot.
func elementSlot(array, index uint64) common.Hash {
	base := word(array)
	start := new(big.Int).SetBytes(crypto.Keccak256(base[:]))
	return common.BigToHash(start.Add(start, new(big.Int).SetUint64(index)))
}

// readValidators returns the list of validators in the storage, or why it cannot be the validators of a chain.
func readValidators(words Words) (ValidatorSet, error) {
	count := words(word(slotValidators)).Big()
	if count.Sign() == 0 || count.Cmp(big.NewInt(maxValidators)) > 0 {
		return nil, fmt.Errorf("%s validators: there must be 1 to %d", count, maxValidators)
	}
	set := make(ValidatorSet, count.Uint64())
	for index := range set {
		at := 2 * uint64(index)
		power := words(elementSlot(slotValidators, at+1)).Big()
		if power.Cmp(big.NewInt(maxPower)) > 0 {
			return nil, fmt.Errorf("validator %d has the power %s: the most is %d", index, power, maxPower)
		}
		set[index] = Validator{Key: words(elementSlot(slotValidators, at)), Power: power.Int64()}
	}
	return set, set.check()
}

func (set ValidatorSet) check() error {
	if len(set) == 0 || len(set) > maxValidators {
		return fmt.Errorf("%d validators: there must be 1 to %d", len(set), maxValidators)
	}
	seen := make(map[[32]byte]bool, len(set))
	for index, validator := range set {
		switch {
		case validator.Key == [32]byte{}:
			return fmt.Errorf("validator %d has no key", index)
		case seen[validator.Key]:
			return fmt.Errorf("the key %x is there twice", validator.Key)
		case validator.Power < 1 || validator.Power > maxPower:
			return fmt.Errorf("validator %d has the power %d: it must be 1 to %d", index, validator.Power, maxPower)
		}
		seen[validator.Key] = true
	}
	return nil
}

// changesTo returns what turns this set into the next one: new or changed powers, then power 0 for those who leave.
func (set ValidatorSet) changesTo(next ValidatorSet) ValidatorSet {
	powers := make(map[[32]byte]int64, len(set))
	for _, validator := range set {
		powers[validator.Key] = validator.Power
	}
	var changes ValidatorSet
	for _, validator := range next {
		if powers[validator.Key] != validator.Power {
			changes = append(changes, validator)
		}
		delete(powers, validator.Key)
	}
	for _, validator := range set {
		if _, leaves := powers[validator.Key]; leaves {
			changes = append(changes, Validator{Key: validator.Key})
		}
	}
	return changes
}

// encode writes the set as 40 bytes a validator: key, power.
func (set ValidatorSet) encode() []byte {
	data := make([]byte, 0, 40*len(set))
	for _, validator := range set {
		data = append(data, validator.Key[:]...)
		data = binary.BigEndian.AppendUint64(data, uint64(validator.Power))
	}
	return data
}

func decodeValidators(data []byte) (ValidatorSet, error) {
	if len(data)%40 != 0 {
		return nil, errors.New("the stored validators are damaged")
	}
	var set ValidatorSet
	for ; len(data) > 0; data = data[40:] {
		power := binary.BigEndian.Uint64(data[32:40])
		set = append(set, Validator{Key: [32]byte(data[:32]), Power: int64(power)})
	}
	return set, set.check()
}

// Consortium is what the contract holds at genesis.
type Consortium struct {
	Rights         map[common.Address]uint64
	Validators     ValidatorSet
	Administrators []common.Address
	Threshold      uint64
}

// check refuses what could never act; the validators are checked where they are made or read.
func (c Consortium) check() error {
	if len(c.Administrators) == 0 || len(c.Administrators) > maxAdministrators {
		return fmt.Errorf("%d administrators: there must be 1 to %d", len(c.Administrators), maxAdministrators)
	}
	if c.Threshold == 0 || c.Threshold > uint64(len(c.Administrators)) {
		return fmt.Errorf("the threshold %d is not between 1 and the number of administrators", c.Threshold)
	}
	seen := make(map[common.Address]bool)
	for _, administrator := range c.Administrators {
		if administrator == (common.Address{}) || seen[administrator] {
			return fmt.Errorf("the administrator %s is no account, or there twice", administrator)
		}
		seen[administrator] = true
	}
	for account, rights := range c.Rights {
		if account == (common.Address{}) || rights > maySend|mayCreate {
			return fmt.Errorf("the rights %s=%d are unknown, or of no account", account, rights)
		}
	}
	return nil
}

// storage lays this out as the contract's constructor would, as pairs of slot and word in the order of the slots.
// Every administrator may send transactions: without that none could act.
func (c Consortium) storage() [][2]common.Hash {
	words := map[common.Hash]common.Hash{
		word(slotValidators):     word(uint64(len(c.Validators))),
		word(slotAdministrators): word(uint64(len(c.Administrators))),
		word(slotThreshold):      word(c.Threshold),
	}
	for account, rights := range c.Rights {
		if rights != 0 {
			words[rightsSlot(account)] = word(rights)
		}
	}
	for index, administrator := range c.Administrators {
		words[elementSlot(slotAdministrators, uint64(index))] = common.BytesToHash(administrator.Bytes())
		words[rightsSlot(administrator)] = word(c.Rights[administrator] | maySend)
	}
	for index, validator := range c.Validators {
		at := 2 * uint64(index)
		words[elementSlot(slotValidators, at)] = validator.Key
		words[elementSlot(slotValidators, at+1)] = word(uint64(validator.Power))
	}
	pairs := make([][2]common.Hash, 0, len(words))
	for _, slot := range slices.SortedFunc(maps.Keys(words), func(a, b common.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		pairs = append(pairs, [2]common.Hash{slot, words[slot]})
	}
	return pairs
}
