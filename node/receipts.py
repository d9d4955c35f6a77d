"""Receipts of a running log: COSE receipts, transparent statements, proof files, and the keys that sign receipts.

Everything is made on demand from the published tree; nothing is stored. A receipt signs only roots of published sizes,
so that no signature ever stands on a tree that a checkpoint could still contradict (DESIGN rule 5). Belongs to the
event loop's thread, like `Queries`: a receipt costs some tile reads and one signature.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ledger.crypto.cose_key import to_cose_key
from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.log.receipts import (
    ConsistencyPath,
    InclusionPath,
    make_consistency_receipt,
    make_inclusion_receipt,
)
from ledger.log.tlog_proof import TlogProof
from ledger.state.records import KeyRef
from ledger.statements import decode_statement, encode
from ledger.statements.transparent import attach
from node.node import Node
from node.queries import NotFoundError, Queries

LEAST_SIZE: Final = 2
"""A receipt has a path of at least one hash, and nothing is signed below this size."""

_POLL: Final = 0.05


class Receipts:
    """Makes the receipts of one node's log."""

    def __init__(self, node: Node, queries: Queries) -> None:
        self._node = node
        self._queries = queries
        self._awaited: asyncio.Task[None] | None = None

    def inclusion(self, index: int, size: int | None = None) -> bytes:
        """COSE receipt that entry `index` is in the tree of `size`, by default the published one.

        Raises:
            NotFoundError: there is no such entry in a published tree of that size.
            MalformedError: a size for which there is no receipt.

        """
        _check_size(size)
        found = self._queries.inclusion(index, size)
        sub = decode_statement(self._queries.raw_entry(index)).sub
        proof = InclusionPath(found.size, found.index, tuple(found.proof))
        return make_inclusion_receipt(self._signer(), self._node.origin, sub, found.leaf, proof)

    def consistency(self, old: int, new: int | None = None) -> bytes:
        """COSE receipt that the tree of size `new`, by default the published one, begins with that of size `old`.

        Raises:
            NotFoundError: no tree of that size is published.
            MalformedError: sizes between which there is nothing to prove.

        """
        _check_size(old)
        found = self._queries.consistency(old, new)
        if found.old >= found.new:
            raise MalformedError(
                f"between size {found.old} and size {found.new} there is nothing to prove",
                where="old, new",
                remedy="Ask from a smaller size to a larger one",
            )
        sub = f"log:{self._node.log_id.hex()}"
        proof = ConsistencyPath(found.old, found.new, tuple(found.proof))
        signer = self._signer()
        return make_consistency_receipt(signer, self._node.origin, sub, found.old_root, found.new_root, proof)

    def transparent(self, index: int) -> bytes:
        """The statement of entry `index` with a receipt of the published tree in its unprotected header."""
        receipt = self.inclusion(index)
        return attach(self._queries.raw_entry(index), [receipt])

    def proof_file(self, index: int) -> bytes:
        """C2SP proof file for entry `index` with the published checkpoint and the cosignatures on it."""
        found = self._queries.inclusion(index)
        assert found.checkpoint is not None  # the published size always has one
        return TlogProof(found.index, tuple(found.proof), found.checkpoint).serialise()

    def known_keys(self) -> tuple[KeyRef, ...]:
        """Every cose key that the log has had, the newest first: retired ones keep old receipts verifiable."""
        return tuple(period.key for period in reversed(self._node.keys.cose))

    def key_set(self) -> bytes:
        """COSE key set (RFC 9052 section 7) of all keys."""
        return encode([to_cose_key(*ref) for ref in self.known_keys()])

    def key(self, kid: bytes) -> bytes:
        """COSE key with this kid (32 bytes), or NotFoundError."""
        for ref in self.known_keys():
            shown = to_cose_key(*ref)
            if shown[2] == kid:
                return encode(shown)
        raise NotFoundError("No key of this log has this kid", where="kid", remedy="See /.well-known/scitt-keys")

    async def published(self, index: int, patience: float) -> bool:
        """Wait until entry `index` is published, at most `patience` seconds; tells whether it is."""
        end = asyncio.get_running_loop().time() + patience
        while not self.is_published(index):
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await asyncio.wait((self._next_publication(),), timeout=left)
        return True

    def is_published(self, index: int) -> bool:
        """Whether entry `index` is in the published tree."""
        return index < self._node.publisher.published.size

    def _signer(self) -> Signer:
        """The cose key in force: retired keys sign nothing, also not about entries of their time."""
        return self._node.ring.cose_signer(self._node.keys.cose[-1].key)

    def _next_publication(self) -> asyncio.Task[None]:
        """One look-out for all who wait, so that a thousand waiters cost no more than one."""
        if self._awaited is None or self._awaited.done():
            self._awaited = asyncio.create_task(self._look_out(self._node.publisher.published.size))
        return self._awaited

    async def _look_out(self, size: int) -> None:
        for _ in range(int(60 / _POLL)):  # ends by itself when nobody publishes any more
            if self._node.publisher.published.size != size:
                return
            await asyncio.sleep(_POLL)


def _check_size(size: int | None) -> None:
    if size is not None and size < LEAST_SIZE:
        raise MalformedError(
            f"there is no receipt at size {size}", where="size", remedy=f"Ask for size {LEAST_SIZE} or more"
        )
