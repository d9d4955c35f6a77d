"""Which log a subject belongs to, as the anchor contract says: the longest mapped prefix, and the record of its log.

Owns the order of the questions and the reading of the answers. Everything is read as words of the contract's storage
(contracts/STORAGE.md, slots 2 to 4 and 6) through one function, slot to word, so that who vouches for the words is the
caller's choice: `plain_words` takes the word of the chain's node, a chain with storage proofs gives proven ones. The
origin is no word of storage: it is taken from the event of the registration, and has to have the hash that is one.
Follows DESIGN section 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from eth_utils.crypto import keccak

from ledger.errors import MalformedError
from ledger.evidence.chain import storage
from ledger.identifiers import identify, parse_subject, scheme_of, subject
from ledger.statements.subjects import delegation_ref, parse, parse_delegation_ref
from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import Rpc, RpcError, unhex

Words = Callable[[bytes], bytes]
"""The contract's storage at one block: slot to word, 32 bytes each. Zero for a slot that was never written."""
Ask = Callable[..., Any]
"""A JSON-RPC call: method and parameters to the result; raises ChainUnavailableError."""

MAX_TEXT: Final = 256
"""Bytes of a prefix or an origin, as in the contract."""
MAX_HISTORY: Final = 32
"""Records of a prefix that are read, the newest; what is older is counted only."""
NO_LOG: Final = bytes(32)
_LOGS: Final = 3
_PREFIXES: Final = 6
_MAX_RECORDS: Final = 1 << 32
_REGISTERED: Final = keccak(text="LogRegistered(bytes32,string,address)")


@dataclass(frozen=True, slots=True)
class Mapped:
    """One chapter in the history of a prefix: the log it was given to (`NO_LOG`: to none), when, and by whom."""

    log: bytes
    when: storage.Meta


@dataclass(frozen=True, slots=True)
class MappedPrefix:
    """The longest prefix that belongs to a log. `history`: oldest first; the last record holds now.

    `earlier` counts records older than those of `history`. `longer`: the prefixes above it that belong to no log.
    """

    prefix: str
    history: tuple[Mapped, ...]
    earlier: int
    longer: tuple[str, ...]

    @property
    def log(self) -> bytes:
        """The log that it belongs to now."""
        return self.history[-1].log


@dataclass(frozen=True, slots=True)
class RegisteredLog:
    """What the contract holds about a log. `root` is at the size of the newest anchor; `registered` is of its first.

    `successor`: the log that the seal names; None where it names none or the log is not sealed.
    """

    log: bytes
    origin: str
    authoriser: bytes
    registered: storage.Meta
    head: storage.HeadWord
    root: bytes
    successor: bytes | None


# -- prefixes of subjects ----------------------------------------------------------------------------------------------


def subject_of(text: str) -> str:
    """The typed subject that `text` is, or the one identifier that it spells; MalformedError for several or none."""
    try:
        candidates(text)
    except MalformedError as error:
        found = [subject(identifier) for identifier in identify(text)]
        if not found:
            raise
        if len(found) > 1:
            raise MalformedError(
                "this could be several things", where=text[:80], remedy=f"Write one of {', '.join(found)}"
            ) from error
        return found[0]
    return text


def candidates(text: str) -> tuple[str, ...]:
    """Prefixes that could cover a subject, longest first, as the contract spells them: `vaa/88.118.8`, `vaa/88.118`.

    An identifier and a DID have those of their scheme, a delegation its own and those above: at most 32, for schemes
    bound their components. MalformedError for another subject, which tells no prefix.
    """
    kind, *parts = parse(text)
    if kind == "delegation":
        check_prefix(text.removeprefix("delegation:"))
        tag, prefix = parts
        found = (prefix, *scheme_of(tag).parent_prefixes(prefix))
    elif kind in {"identifier", "actor"}:
        identifier = parse_subject(text)
        tag = identifier.scheme
        found = scheme_of(tag).prefixes(identifier.normal)
    else:
        raise MalformedError(
            f"a subject of the kind {kind} has no prefix",
            where=text[:80],
            remedy="Name an identifier or a delegation: what a certificate is about, for example",
        )
    spelled = (delegation_ref(tag, prefix) for prefix in found)
    return tuple(prefix for prefix in spelled if len(prefix) <= MAX_TEXT)  # a longer one cannot be mapped


def check_prefix(text: str) -> str:
    """Return `text` if it is a prefix, `<scheme>/<prefix>` in its one spelling, that the contract can map.

    A prefix in another spelling would be mapped and never be found. Raises MalformedError.
    """
    tag, prefix = parse_delegation_ref(text)
    if not scheme_of(tag).is_prefix(prefix):
        raise MalformedError(
            f"{text[:80]!r} can belong to nobody in its scheme",
            where="prefix",
            remedy="Write <scheme>/<prefix> up to the end of a component, such as vaa/88.118.8",
        )
    if delegation_ref(tag, prefix) != text or len(text) > MAX_TEXT:
        raise MalformedError(f"a prefix has one spelling, of at most {MAX_TEXT} bytes", where=text[:80])
    return text


# -- words of storage --------------------------------------------------------------------------------------------------


def asking(rpc: Rpc) -> Ask:
    """Calls of one node where a JSON-RPC error is no answer either."""

    def ask(method: str, *params: object) -> Any:
        try:
            return rpc.call(method, *params)
        except RpcError as error:
            raise ChainUnavailableError(f"the chain's node failed: {error.message}", where=error.where) from error

    return ask


def plain_words(ask: Ask, contract: str, block: int) -> Words:
    """Words as the chain's node tells them: they rest on its word alone."""
    return lambda slot: unhex(ask("eth_getStorageAt", contract, "0x" + slot.hex(), hex(block)), 32)


def record_slots(prefix: str, place: int) -> tuple[bytes, bytes]:
    """Slots of record `place` of a prefix, counted from 0: log, meta."""
    first = int.from_bytes(keccak(count_slot(prefix)), "big") + 2 * place
    return storage.word(first % (1 << 256)), storage.word((first + 1) % (1 << 256))


def count_slot(prefix: str) -> bytes:
    """Slot of the number of records of a prefix."""
    return keccak(prefix.encode() + storage.word(_PREFIXES))


def find_prefix(found: tuple[str, ...], words: Words) -> MappedPrefix | None:
    """The first of these prefixes, longest first, that belongs to a log now; None where none does.

    A prefix that was taken back, so that it belongs to none, covers nothing: the next shorter one does.
    """
    for place, prefix in enumerate(found):
        count = int.from_bytes(words(count_slot(prefix)), "big")
        if count > _MAX_RECORDS:
            raise ChainUnavailableError("the chain gave a history longer than any can be", where=prefix)
        if count and words(record_slots(prefix, count - 1)[0]) != NO_LOG:
            first = max(0, count - MAX_HISTORY)
            slots = (record_slots(prefix, number) for number in range(first, count))
            history = tuple(Mapped(words(log), storage.Meta.unpack(words(meta))) for log, meta in slots)
            return MappedPrefix(prefix, history, first, found[:place])
    return None


def read_log(log: bytes, words: Words, ask: Ask, contract: str) -> RegisteredLog:
    """What the contract holds about a log, with the origin that it was registered with.

    Raises ChainUnavailableError where the log is not registered, or where the chain's node does not tell the origin
    that has the hash on record: it can withhold it, and not pass off another.
    """
    head = storage.HeadWord.unpack(words(storage.head_slot(log)))
    if head.size == 0:
        raise ChainUnavailableError("the chain names a log that is not registered", where=log.hex())
    first = int.from_bytes(storage.map_slot(storage.word(_LOGS), log), "big")
    origin_hash, authoriser = (words(storage.word((first + n) % (1 << 256))) for n in range(2))
    registered = storage.Meta.unpack(words(storage.meta_slot(log, 1)))
    successor = words(storage.seal_slots(log)[1]) if head.sealed else NO_LOG
    return RegisteredLog(
        log=log,
        origin=_origin(log, origin_hash, registered.block, ask, contract),
        authoriser=authoriser[12:],
        registered=registered,
        head=head,
        root=words(storage.root_slot(log, head.size)),
        successor=None if successor == NO_LOG else successor,
    )


def _origin(log: bytes, origin_hash: bytes, block: int, ask: Ask, contract: str) -> str:
    """The origin in the event of the registration, in the block that the contract kept."""
    topics = ["0x" + _REGISTERED.hex(), "0x" + log.hex()]
    found = ask("eth_getLogs", {"address": contract, "fromBlock": hex(block), "toBlock": hex(block), "topics": topics})
    for entry in found if isinstance(found, list) else ():
        data = unhex(entry.get("data") if isinstance(entry, dict) else None)
        # ABI: place of the text, authoriser, length of the text, the text.
        length = int.from_bytes(data[64:96], "big")
        text = data[96 : 96 + min(length, MAX_TEXT)]
        if sha256(text).digest() == origin_hash:
            try:
                return text.decode()
            except UnicodeDecodeError as error:
                raise ChainUnavailableError("the log was registered with an origin that is no text") from error
    raise ChainUnavailableError(
        "the chain's node does not tell the origin with which the log was registered",
        where=log.hex(),
        remedy="Ask a node of the chain that keeps its logs",
    )
