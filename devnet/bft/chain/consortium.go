package main

import (
	"fmt"
	"math/big"

	sdk "github.com/cosmos/cosmos-sdk/types"
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
	maxValidators = 64
	maxPower      = 1 << 40
)

// State reads a contract's storage; the EVM's keeper does.
type State interface {
	GetState(ctx sdk.Context, address common.Address, slot common.Hash) common.Hash
}

// Words reads one word of the contract's storage; an absent word is zero.
type Words func(slot common.Hash) common.Hash

func contractWords(ctx sdk.Context, state State) Words {
	return func(slot common.Hash) common.Hash { return state.GetState(ctx, consortiumAddress, slot) }
}

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
	start := crypto.Keccak256Hash(base[:]).Big()
	return common.BigToHash(start.Add(start, new(big.Int).SetUint64(index)))
}

// Powers has the power of each validator by its Ed25519 key.
type Powers map[common.Hash]int64

// readPowers returns the list of validators in the storage, or why it cannot be the validators of a chain.
func readPowers(words Words) (Powers, error) {
	count := words(word(slotValidators)).Big()
	if count.Sign() == 0 || count.Cmp(big.NewInt(maxValidators)) > 0 {
		return nil, fmt.Errorf("%s validators: there must be 1 to %d", count, maxValidators)
	}
	powers := make(Powers)
	for index := range count.Uint64() {
		key := words(elementSlot(slotValidators, 2*index))
		power := words(elementSlot(slotValidators, 2*index+1)).Big()
		if _, twice := powers[key]; twice || key == (common.Hash{}) {
			return nil, fmt.Errorf("validator %d has no key of its own: %s", index, key)
		}
		if power.Sign() == 0 || power.Cmp(big.NewInt(maxPower)) > 0 {
			return nil, fmt.Errorf("validator %d has the power %s: it must be 1 to %d", index, power, maxPower)
		}
		powers[key] = power.Int64()
	}
	return powers, nil
}
