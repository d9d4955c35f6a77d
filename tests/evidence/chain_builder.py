"""A chain that stands still: contract storage, state, and a header over it, made with independent code.

The trie is of tests/evidence/trie_builder.py, slots and words are computed here from contracts/STORAGE.md, seals are
signed with eth_keys: nothing of what is tested makes its own input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak

from ledger.evidence.chain import ChainPolicy
from ledger.evidence.chain.ethereum import make_evidence
from tests.evidence.trie_builder import Trie

LOG = keccak(text="log")
OTHER_LOG = keccak(text="another log")
ROOT = keccak(text="root at 9")
LEAF = keccak(text="a leaf that waits")
CONTRACT = keccak(text="contract")[:20]
CODE_HASH = keccak(text="code")
SENDER = keccak(text="sender")[:20]
SUCCESSOR = keccak(text="successor")
KEYS = [KeyAPI().PrivateKey(number.to_bytes(32, "big")) for number in range(1, 5)]
VALIDATORS = tuple(key.public_key.to_canonical_address() for key in KEYS)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def slot(place: int, *keys: bytes) -> bytes:
    found = word(place)
    for key in keys:
        found = keccak(key + found)
    return found


def plus(value: bytes, more: int) -> bytes:
    return word((int.from_bytes(value, "big") + more) % 2**256)


def meta(block: int, time: int) -> bytes:
    return word(block | time << 56 | int.from_bytes(SENDER, "big") << 96)


def head(size: int, time: int, sealed_size: int = 0, flags: int = 0) -> bytes:
    return word(size | time << 64 | sealed_size << 104 | flags << 168)


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@dataclass
class Still:
    """The chain. `words`: contract storage by slot. Change what is to be wrong, then make header and evidence."""

    words: dict[bytes, bytes] = field(default_factory=dict)
    code_hash: bytes = CODE_HASH
    number: int = 42
    time: int = 2_000
    extra: bytes = b""
    fields: int = 21
    account_tail: tuple[bytes, ...] = ()

    @classmethod
    def anchored(cls) -> Still:
        """LOG anchored at 9 in block 40 at time 1900, among other logs."""
        words = {
            slot(0, LOG, word(1)): LOG,
            slot(1, LOG, word(1)): meta(30, 1_000),
            slot(0, LOG, word(9)): ROOT,
            slot(1, LOG, word(9)): meta(40, 1_900),
            slot(2, LOG): head(9, 1_900),
        }
        for i in range(40):
            words[slot(2, keccak(b"noise %d" % i))] = head(i + 1, 1_500)
        return cls(words)

    def sealed(self, size: int) -> Still:
        self.words[slot(2, LOG)] = head(9, 1_900, size, 3 if size < 9 else 1)
        first = slot(4, LOG)
        self.words |= {first: ROOT, plus(first, 1): SUCCESSOR, plus(first, 2): meta(41, 1_950)}
        return self

    def requested(self, leaf: bytes) -> Still:
        self.words[slot(5, LOG, leaf)] = meta(41, 1_960)
        return self

    def tries(self) -> tuple[Trie, Trie]:
        storage = Trie(
            {keccak(key): rlp.encode(value.lstrip(b"\0")) for key, value in self.words.items() if any(value)}
        )
        accounts = {keccak(b"account %d" % i): rlp.encode([b"", b"\1", bytes(32), bytes(32)]) for i in range(60)}
        accounts[keccak(CONTRACT)] = rlp.encode([b"\1", b"", storage.root, self.code_hash, *self.account_tail])
        return Trie(accounts), storage

    def header_fields(self, extra: bytes | None = None) -> list[bytes]:
        state, _ = self.tries()
        extra = self.extra if extra is None else extra
        filled = [bytes([i]) * 32 for i in range(21)]
        filled[2], filled[3], filled[6], filled[14] = bytes(20), state.root, bytes(256), bytes(8)
        for place, value in {7: 1, 8: self.number, 9: 30_000_000, 10: 0, 11: self.time, 15: 7, 17: 0, 18: 0}.items():
            filled[place] = number(value)
        filled[12] = extra
        return filled[: self.fields]

    def header(self) -> bytes:
        return bytes(rlp.encode(self.header_fields()))

    def seal_qbft(
        self,
        keys: Sequence[Any] = KEYS[:3],
        turn: int = 0,
        listed: Sequence[bytes] = VALIDATORS,
        extra_seals: Sequence[bytes] = (),
    ) -> Still:
        """Have validators seal the block as QBFT does."""
        vanity = bytes(32)
        unsealed = [vanity, list(listed), [], number(turn), []]
        digest = keccak(rlp.encode(self.header_fields(rlp.encode(unsealed))))
        seals = [key.sign_msg_hash(digest).to_bytes() for key in keys]
        return replace(self, extra=rlp.encode([*unsealed[:4], [*seals, *extra_seals]]))

    def seal_ibft2(self, keys: Sequence[Any] = KEYS[:3], turn: int = 0) -> Still:
        """Have validators seal the block as IBFT 2.0 does."""
        unsealed = [bytes(32), list(VALIDATORS), b"", turn.to_bytes(4, "big")]
        digest = keccak(rlp.encode(self.header_fields(rlp.encode(unsealed))))
        return replace(self, extra=rlp.encode([*unsealed, [key.sign_msg_hash(digest).to_bytes() for key in keys]]))

    def evidence(self, *, size: int = 9, requested: tuple[bytes, ...] = ()) -> bytes:
        accounts, storage = self.tries()
        return make_evidence(
            chain_id=7,
            contract=CONTRACT,
            log_id=LOG,
            size=size,
            header=self.header(),
            nodes=[*accounts.nodes, *storage.nodes],
            requested=requested,
        )

    def policy(self, **changes: Any) -> ChainPolicy:
        """Return a policy that pins this header."""
        base = ChainPolicy("ethereum", 7, CONTRACT, CODE_HASH, headers=(keccak(self.header()),))
        return replace(base, **changes)


def by_validators(**changes: Any) -> ChainPolicy:
    """Return a policy that pins the four validators."""
    return replace(ChainPolicy("ethereum", 7, CONTRACT, CODE_HASH, validators=VALIDATORS), **changes)
