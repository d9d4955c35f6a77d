"""The consortium contract of a permissioned chain: who may send transactions, who validates, who decides about both.

Owns encoding, sending and reading what `contracts/src/Consortium.sol` offers. A change is an act: a call that as many
administrators as the threshold says have confirmed, word for word, within one round. What is read here a node merely
says: it is checked for shape and bound, but evidence rests on storage proofs instead (contracts/STORAGE.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from ledger.errors import MalformedError
from ledger.evidence.chain.comet.validators import Validator
from node.chain import transactions
from node.chain.artifact import CONSORTIUM, Artifact, load_artifact
from node.chain.protocol import (
    ChainMismatchError,
    ChainSigner,
    ChainUnavailableError,
    ContractMissingError,
)
from node.chain.rehearsal import rehearse
from node.chain.rpc import Rpc, guarded, quantity, require_chain, unhex

ADDRESS: Final = "0x0000000000000000000000000000000000000C05"
"""Where a genesis puts the contract."""
MAY_SEND: Final = 1
MAY_CREATE: Final = 2
MAX_VALIDATORS: Final = 64
MAX_POWER: Final = 1 << 40
MAX_ADMINISTRATORS: Final = 32
WORD: Final = 32


@dataclass(frozen=True, slots=True)
class Act:
    """What one confirmation came to.

    `id` and `tx` are 32 bytes. `confirmations` counts the administrators who stand behind the act, this one included;
    `missing` says how many more it needs, 0 once it was carried out.
    """

    id: bytes
    tx: bytes
    block: int
    confirmations: int
    missing: int

    @property
    def executed(self) -> bool:
        """Whether the act was carried out by this confirmation."""
        return self.missing == 0


class Consortium:
    """The contract at `address` on one chain. Used by one thread at a time.

    `gas_price` in wei, None for what the chain asks; `seconds` bounds the wait for each transaction. Every method that
    reads raises ChainUnavailableError where the node gives no usable answer.
    """

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        *,
        address: str = ADDRESS,
        artifact: Artifact | None = None,
        gas_price: int | None = None,
        seconds: float = 60.0,
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self.address = _account(address)
        self.artifact = artifact or load_artifact(name=CONSORTIUM)
        self.gas_price = gas_price
        self.seconds = seconds

    def check(self) -> None:
        """Ask whether this is the chain, and the contract on it; ChainMismatchError, ContractMissingError if not."""
        require_chain(self.rpc, self.chain_id)
        code = unhex(self._ask("eth_getCode", self.address, "latest"))
        if not code:
            raise ContractMissingError(f"no contract at {self.address}", where=self.rpc.place)
        if keccak(code) != self.artifact.code_hash:
            raise ChainMismatchError(
                f"the code at {self.address} is not that of the consortium contract", where=self.rpc.place
            )

    def rights(self, account: str) -> int:
        """Return what an account may do: a sum of MAY_SEND and MAY_CREATE."""
        return self._number("rights", MAY_SEND | MAY_CREATE, _account(account))

    def validators(self) -> tuple[Validator, ...]:
        """Return the validators in the contract's order. The chain follows a change two blocks later."""
        (rows,) = self._view("validators", ["(bytes32,uint64)[]"], WORD * (2 + 2 * MAX_VALIDATORS))
        found = tuple(Validator(key, power) for key, power in rows)
        self._require_list("validators", [validator.key for validator in found], MAX_VALIDATORS)
        if not all(0 < validator.power <= MAX_POWER for validator in found):
            raise self._strange("validators")
        return found

    def administrators(self) -> tuple[str, ...]:
        """Return the administrators' addresses, checksummed, in the contract's order."""
        (rows,) = self._view("administrators", ["address[]"], WORD * (2 + MAX_ADMINISTRATORS))
        self._require_list("administrators", rows, MAX_ADMINISTRATORS)
        return tuple(to_checksum_address(row) for row in rows)

    def threshold(self) -> int:
        """Return how many administrators an act needs."""
        return self._threshold("latest")

    def round(self) -> int:
        """Return how many acts were carried out: part of the id of the next."""
        return self._number("round", (1 << 256) - 1)

    def act_id(self, call: bytes) -> bytes:
        """Return the 32 bytes that name a call in the present round; in another round it has another id."""
        return _act_id(self.round(), call)

    def confirmations(self, act_id: bytes) -> int:
        """Return how many administrators stand behind an act."""
        return self._number("confirmations", MAX_ADMINISTRATORS, _word(act_id))

    def confirmed(self, act_id: bytes, administrator: str) -> bool:
        """Tell whether one administrator stands behind an act."""
        return self._number("confirmed", 1, _word(act_id), _account(administrator)) == 1

    def call_set_rights(self, account: str, rights: int) -> bytes:
        """Encode the call that sets an account's rights: a sum of MAY_SEND and MAY_CREATE, 0 for none."""
        return self.artifact.encode("setRights", _account(account), _number(rights, 256))

    def call_set_validators(self, validators: Sequence[Validator]) -> bytes:
        """Encode the call that replaces all validators."""
        rows = [(_word(validator.key), _number(validator.power, 64)) for validator in validators]
        return self.artifact.encode("setValidators", rows)

    def call_set_administrators(self, administrators: Sequence[str], threshold: int) -> bytes:
        """Encode the call that replaces all administrators, of whom an act then needs `threshold`."""
        rows = [_account(administrator) for administrator in administrators]
        return self.artifact.encode("setAdministrators", rows, _number(threshold, 256))

    def act(self, signer: ChainSigner, call: bytes) -> Act:
        """Confirm a call, which carries it out when that makes enough confirmations.

        Raises TransactionRefusedError with the name of the contract's error: NotAdministrator, AlreadyConfirmed,
        ValidatorCount and so on. A call that must fail is refused already when the first administrator proposes it.
        """
        data = self.artifact.encode("act", call)
        self._rehearse(signer.address, data)
        self._rehearse(self.address, call)
        tx, receipt = self._transact(signer, data)
        return self._outcome(signer, call, tx, receipt)

    def withdraw(self, signer: ChainSigner, call: bytes) -> None:
        """Take back the signer's confirmation of a call in the present round; refusals as for `act`."""
        data = self.artifact.encode("withdraw", call)
        self._rehearse(signer.address, data)
        self._transact(signer, data)

    def _transact(self, signer: ChainSigner, data: bytes) -> tuple[bytes, dict[str, object]]:
        return transactions.transact(
            self.rpc,
            signer,
            chain_id=self.chain_id,
            to=self.address,
            data=data,
            price=self.gas_price,
            seconds=self.seconds,
        )

    def _rehearse(self, sender: str, data: bytes) -> None:
        rehearse(self.rpc, self.artifact, sender, self.address, data)

    def _outcome(self, signer: ChainSigner, call: bytes, tx: bytes, receipt: dict[str, object]) -> Act:
        """Read from a receipt what the confirmation came to."""
        block = quantity(receipt.get("blockNumber"))
        sender = to_canonical_address(signer.address).rjust(WORD, b"\0")
        confirmed = self._event(receipt, "Confirmed")
        if confirmed is None or confirmed[0][2] != sender:
            raise self._strange("act")
        act_id = confirmed[0][1]
        count, named = self._decode("act", ["uint256", "bytes"], confirmed[1])
        acted = self._event(receipt, "Acted")
        round_before = acted[0][2] if acted else None
        wrong_id = round_before is not None and act_id != keccak(round_before + call)
        if named != call or wrong_id or not 0 < count <= MAX_ADMINISTRATORS:
            raise self._strange("act")
        # What is not carried out lacks one at least; the threshold may have changed since, in the same block.
        missing = 0 if acted else max(1, self._threshold(hex(block)) - count)
        return Act(act_id, tx, block, count, missing)

    def _event(self, receipt: dict[str, object], name: str) -> tuple[list[bytes], bytes] | None:
        """Find an event of this contract in a receipt: its three topics and its data."""
        logs = receipt.get("logs")
        for log in logs if isinstance(logs, list) else []:
            topics = log.get("topics") if isinstance(log, dict) else None
            if not isinstance(topics, list) or unhex(log.get("address"), 20) != to_canonical_address(self.address):
                continue
            words = [unhex(topic, WORD) for topic in topics]
            if len(words) == 3 and words[0] == self.artifact.topics[name]:
                return words, unhex(log.get("data"))
        return None

    def _threshold(self, block: str) -> int:
        found = self._number("threshold", MAX_ADMINISTRATORS, block=block)
        if found == 0:
            raise self._strange("threshold")
        return found

    def _number(self, function: str, largest: int, *arguments: object, block: str = "latest") -> int:
        (found,) = self._view(function, ["uint256"], WORD, *arguments, block=block)
        if found > largest:
            raise self._strange(function)
        return int(found)

    def _view(
        self, function: str, types: Sequence[str], limit: int, *arguments: object, block: str = "latest"
    ) -> tuple[Any, ...]:
        """Ask a view function; an answer of more than `limit` bytes is none."""
        call = {"to": self.address, "data": "0x" + self.artifact.encode(function, *arguments).hex()}
        answer = unhex(self._ask("eth_call", call, block))
        if len(answer) > limit:
            raise self._strange(function)
        return self._decode(function, types, answer)

    def _decode(self, function: str, types: Sequence[str], data: bytes) -> tuple[Any, ...]:
        """Decode what the contract itself would have encoded just so."""
        try:
            values = decode(types, data)
            if encode(types, values) == data:
                return values
        except (DecodingError, OverflowError, ValueError) as error:
            raise self._strange(function) from error
        raise self._strange(function)

    def _require_list(self, function: str, names: Sequence[object], largest: int) -> None:
        if not 0 < len(names) <= largest or len(set(names)) != len(names):
            raise self._strange(function)

    def _strange(self, function: str) -> ChainUnavailableError:
        return ChainUnavailableError(
            f"the chain gave no answer of a consortium contract to {function}()",
            where=self.rpc.place,
            remedy=f"Check that the chain's node is right and that {self.address} is its consortium contract",
        )

    def _ask(self, method: str, *params: object) -> Any:
        return guarded(self.rpc, lambda rpc: rpc.call(method, *params))


def _act_id(number: int, call: bytes) -> bytes:
    return keccak(number.to_bytes(WORD, "big") + call)


def _account(text: object) -> str:
    """Check an address, with its checksum where it is written in both cases."""
    if isinstance(text, str) and re.fullmatch("0x[0-9a-fA-F]{40}", text):
        account = to_checksum_address(text)
        if text in (account, account.lower()):
            return account
    raise MalformedError(
        f"{str(text)[:80]!r} is no address",
        where="account",
        remedy="Write 0x and 40 hex digits, all small or with the checksum of EIP-55",
    )


def _word(value: object) -> bytes:
    if isinstance(value, bytes) and len(value) == WORD:
        return value
    raise MalformedError("32 bytes belong here", where="key or id")


def _number(value: object, bits: int) -> int:
    if type(value) is int and 0 <= value < 1 << bits:
        return value
    raise MalformedError(f"a number below 2^{bits} belongs here", where="rights, power or threshold")
