"""A random sample of a log that others can draw again, and what can be said about its entries without a full replay.

Draw k is the SHA-256 of the seed and k as uint64, as a number, modulo the size; the same index may be drawn twice. Let
the seed be something that nobody knew when the checkpoint was signed, such as the hash of a later block: then the
operator could not arrange for the bad entries to be missed.

Checked for each entry drawn: that it stands in the tree of the checkpoint, that it is a statement of this log, and that
the issuer it names signed it, with a key that an earlier statement introduced for that issuer. One quick pass over the
log collects those statements; their own signatures are not checked. Not checked: whether the issuer was entitled, and
every sum over the log (state, counts, time, no act twice). Only a replay can (`ledger.audit.engine`).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, Protocol, TypeAlias

from ledger.audit.ahead import keys_in
from ledger.audit.engine import Audit, EntrySource, Progress
from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import suite_by_alg
from ledger.errors import LedgerError, MalformedError
from ledger.identifiers.did_key import did_key
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.proofs import inclusion_proof, root_from_inclusion
from ledger.log.tiles import TileNodes
from ledger.log.tree import leaf_hash
from ledger.state.log_keys import LogKeys
from ledger.statements import Statement, decode_statement
from ledger.statements.types import media_type

MAX_DRAWS: Final = 1_000_000
_KEY_TYPES: Final = tuple(media_type(name).encode() for name in ("log", "actor", "rotation"))

Keys: TypeAlias = dict[tuple[str, bytes], tuple[int, int, bytes]]
"""(DID, kid) -> (index of the entry that introduced it first, COSE algorithm, key)."""


class SampleSource(EntrySource, Protocol):
    """Entries, and the tree that they stand in."""

    def entry(self, index: int) -> bytes:
        """Return one entry."""
        ...

    def nodes(self, size: int) -> TileNodes:
        """Return the tree nodes at a size."""
        ...


def draw(seed: bytes, draws: int, size: int) -> list[int]:
    """Return the entry indexes drawn, in ascending order, each once."""
    if not 1 <= draws <= MAX_DRAWS:
        raise MalformedError(f"a sample has 1 to {MAX_DRAWS} draws, not {draws}", where="draws")
    if not 1 <= len(seed) <= 64:
        raise MalformedError("a seed has 1 to 64 bytes", where="seed")
    if size < 1:
        raise MalformedError("an empty log has nothing to draw from", where="size")
    numbers = (int.from_bytes(sha256(seed + number.to_bytes(8, "big")).digest(), "big") for number in range(draws))
    return sorted({number % size for number in numbers})


def audit_sample(
    source: SampleSource,
    note: bytes,
    seed: bytes,
    draws: int,
    progress: Progress | None = None,
) -> Audit:
    """Check the entries that `seed` draws from the tree of the checkpoint `note`, and its signature by the log's key.

    Raises:
        MalformedError: the note is no checkpoint; seed or number of draws out of bounds.
        CorruptError: the source lacks entries or tiles.

    """
    checkpoint = Checkpoint.parse(Note.parse(note).text)
    size = checkpoint.size
    indexes = draw(seed, draws, size)
    genesis = decode_statement(source.entry(0))
    found = Audit(genesis.leaf, size, checkpoint.root)
    log_keys, keys = _keys(source, size, progress)
    try:
        log_keys.open_checkpoint(note)
    except LedgerError as error:
        found.fail("checkpoint", f"the log's note key did not sign the checkpoint: {error.detail}")
    get_node = source.nodes(size).get_node
    for index in indexes:
        raw = source.entry(index)
        found.checked += 1
        st = _decoded(found, raw, index)
        found.counts["" if st is None else st.type] += 1
        proof = inclusion_proof(index, size, get_node)
        if root_from_inclusion(leaf_hash(raw), index, size, proof) != checkpoint.root:
            found.fail("root", "the entry is not in the tree of the checkpoint", index)
        if st is not None:
            _check_statement(found, st, index, keys)
    unreadable = found.counts.pop("", 0)
    found.checked -= unreadable
    found.state = _state(source.entry(size - 1))
    return found


def _state(raw: bytes) -> bytes | None:
    """The state root that the last manifest states; nobody recomputed it."""
    try:
        root: bytes | None = decode_statement(raw).body.get("state")
    except MalformedError:
        return None
    return root


def _decoded(found: Audit, raw: bytes, index: int) -> Statement | None:
    try:
        return decode_statement(raw)
    except MalformedError as error:
        found.fail("malformed", error.detail, index)
        return None


def _check_statement(found: Audit, st: Statement, index: int, keys: Keys) -> None:
    if st.type != "genesis" and st.aud != found.log_id.hex():
        found.fail("wrong_log", f"it names the log {st.aud}", index)
    introduced = keys.get((st.iss, st.kid))
    if introduced is None or introduced[0] > index or introduced[1] != st.alg:
        found.fail("unknown_key", f"no earlier entry introduces the key {st.kid.hex()} of {st.iss}", index)
        return
    if not suite_by_alg(st.alg).verify(introduced[2], st.signed, st.signature):
        found.fail("bad_signature", f"the signature of {st.iss} does not verify", index)


def _keys(source: EntrySource, size: int, progress: Progress | None) -> tuple[LogKeys, Keys]:
    """One pass over the log: the log's own, and every key that a statement introduces."""
    keys: Keys = {}
    changes: list[tuple[int, Statement]] = []
    for index, raw in enumerate(source.iter_entries(0, size)):
        if index and not any(media in raw for media in _KEY_TYPES):
            continue
        if progress is not None:
            progress(index, size)
        try:
            st = decode_statement(raw)
        except LedgerError:
            continue  # no statement introduces no key; where it was drawn, that is a finding
        if "keys" in st.body and st.type in {"genesis", "log"}:
            changes.append((index, st))
        for did, alg, key in _introduced(st):
            keys.setdefault((did, kid_of(key)), (index, alg, key))
    return LogKeys.of(changes), keys


def _introduced(st: Statement) -> Iterator[tuple[str, int, bytes]]:
    """The keys of a statement with the DID that may sign with each."""
    if st.type in {"actor", "rotation"}:
        for alg, key in keys_in(st):
            yield st.sub, alg, key
        return
    if "root" in st.body:
        for member in st.body["root"]["members"]:
            yield member["did"], member["alg"], member["key"]
    if "keys" in st.body:
        cose = st.body["keys"]["cose"]
        yield did_key(cose["key"], suite_by_alg(cose["alg"]).name), cose["alg"], cose["key"]
