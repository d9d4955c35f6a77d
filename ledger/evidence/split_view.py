"""Split-view proofs: one file by which anybody can see that a log said two things that cannot both be true.

Owns the file's form (one deterministic CBOR array, docs/formats.md) and its check, which needs nothing but the file and
the keys of the log. Three kinds:

* two checkpoints of the log: one size with two roots, or two sizes where the larger tree begins with another tree than
  the smaller checkpoint says. The second is shown by an ordinary consistency proof (RFC 9162 section 2.1.4) that leads
  to the larger root from *another* root at the smaller size: a tree has only one prefix of each size.
* a checkpoint and evidence from the chain that another root was anchored; the same two cases.
* an acknowledgement and a checkpoint: another leaf stands where the acknowledged one was promised, or the checkpoint is
  too small for it although its own manifest is later than the promised time, or the manifest that closes the
  acknowledged entry's batch is: no smaller checkpoint holds the entry.

Trusts the keys and the chain policy that the caller hands in; who made the file does not matter. A log that merely
falls silent signs nothing that could be held against it: that is a matter of freshness, not of this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.chain import ChainPolicy, check_chain_evidence
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import (
    MAX_CONSISTENCY_PROOF,
    MAX_PROOF,
    MAX_RANGE_PROOF,
    GetNode,
    consistency_proof,
    root_from_range,
    verify_consistency,
    verify_inclusion,
)
from ledger.log.tree import fold_right
from ledger.state.log_keys import KeyPeriod, LogKeys
from ledger.state.records import KeyRef
from ledger.statements import Statement, decode_statement, verify_statement_signature
from ledger.statements.acknowledgement import Acknowledgement, open_acknowledgement
from ledger.statements.cbor import decode, encode
from ledger.statements.shapes import Members, below, digest, octets_up_to, uint, wrong

FORMAT: Final = "tial-split-view-v1"
MAX_SIZE: Final = 1 << 20
"""Bytes of a proof: two notes, chain evidence and a few hundred hashes fit many times over."""

_MAX_PART: Final = 1 << 18


class NoContradictionError(LedgerError):
    """The file is well formed and signed, but what it holds can all be true at once."""

    code = "no-contradiction"


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """What a verifier knows of the log: its id, its keys with their periods, and the chain that it trusts.

    What a former key signs outside of its period counts for nothing, here too: a key that leaked later accuses nobody.
    Without `chain`, proofs from the chain cannot be judged.
    """

    log_id: bytes
    keys: LogKeys
    chain: ChainPolicy | None = None

    @classmethod
    def of(cls, log_id: bytes, vkey: Vkey, cose: KeyRef, chain: ChainPolicy | None = None) -> LogIdentity:
        """A log that has had one key of each purpose; `KeyRef(0, b"")` where its cose key is not known."""
        note = KeyRef(-8, vkey.key)
        return cls(log_id, LogKeys(vkey.name, (KeyPeriod(cose, 0),), (KeyPeriod(note, 0),)), chain)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a valid proof shows: its kind, and a sentence that says what cannot both be true."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """The root that a larger tree has at a smaller size, and the consistency proof that shows it."""

    root: bytes
    proof: tuple[bytes, ...]


def prefix_of(old: int, new: int, get_node: GetNode) -> Prefix:
    """Read the prefix at size `old` (from 1) out of the tree of size `new` whose nodes `get_node` gives."""
    hashes, start = [], 0
    while start < old:
        level = (old - start).bit_length() - 1
        hashes.append(get_node(level, start >> level))
        start += 1 << level
    return Prefix(fold_right(hashes), tuple(consistency_proof(old, new, get_node)))


# -- making ------------------------------------------------------------------------------------------------------------


def split_checkpoints(first: bytes, second: bytes, prefix: Prefix | None = None) -> bytes:
    """Write the proof from two checkpoint notes, the smaller first; `prefix` where their sizes differ."""
    return _write("checkpoints", {"first": first, "second": second} | _prefix_object(prefix))


def split_from_chain(note: bytes, evidence: bytes, prefix: Prefix | None = None) -> bytes:
    """Write the proof from a checkpoint and chain evidence; `prefix` is of the larger of both, where sizes differ."""
    return _write("chain", {"checkpoint": note, "evidence": evidence} | _prefix_object(prefix))


def broken_promise(
    ack: bytes,
    note: bytes,
    *,
    index: int,
    leaf: bytes,
    group_proof: Sequence[bytes],
    logged: bytes,
    proof: Sequence[bytes],
) -> bytes:
    """Write the proof that `logged` stands at `index`, where `ack` promised `leaf`.

    `group_proof` is the range proof of `leaf` alone in the acknowledged group, `proof` the inclusion of `logged`.
    """
    members = {"ack": ack, "checkpoint": note, "index": index, "leaf": leaf, "group": list(group_proof)}
    return _write("acknowledgement", members | {"logged": logged, "proof": list(proof)})


def late_promise(ack: bytes, note: bytes, *, manifest: bytes, proof: Sequence[bytes]) -> bytes:
    """Write the proof that what `ack` promised was not published in time.

    `manifest`, with the proof of its inclusion, is later than publish-by: the last entry of a tree that is too small
    for what was promised, or the one that closes the batch of a promised entry.
    """
    return _write("acknowledgement", {"ack": ack, "checkpoint": note, "manifest": manifest, "proof": list(proof)})


def _prefix_object(prefix: Prefix | None) -> dict[str, Any]:
    return {} if prefix is None else {"other": prefix.root, "proof": list(prefix.proof)}


def _write(kind: str, members: dict[str, Any]) -> bytes:
    _SHAPES[kind](members)
    raw = encode([FORMAT, kind, members])
    if len(raw) > MAX_SIZE:
        raise MalformedError(f"a split-view proof has at most {MAX_SIZE} bytes, not {len(raw)}")
    return raw


# -- checking ----------------------------------------------------------------------------------------------------------


def verify_split_view(raw: bytes, log: LogIdentity) -> Finding:
    """Check a split-view proof with the keys of the log alone.

    Raises:
        MalformedError: not the one form of such a file, or a part of it is not.
        NoteSignatureError: a checkpoint in it is not signed by a key of the log.
        NoContradictionError: all that it holds can be true at once, or it does not prove what it claims.
        LedgerError: as the chain evidence's check raises, for a proof from the chain.

    """
    match decode(raw, max_size=MAX_SIZE):
        case [str(name), str(kind), dict(members)] if name == FORMAT and kind in _SHAPES:
            try:
                _SHAPES[kind](members)
            except MalformedError as error:
                raise below(error, kind) from None
        case _:
            raise MalformedError("This is not a split-view proof")
    if kind == "checkpoints":
        return Finding(kind, _two_checkpoints(members, log))
    if kind == "chain":
        return Finding(kind, _chain(members, log))
    return Finding(kind, _acknowledgement(members, log))


def _two_checkpoints(members: dict[str, Any], log: LogIdentity) -> str:
    first, second = log.keys.open_checkpoint(members["first"]), log.keys.open_checkpoint(members["second"])
    if (first.size, first.root) > (second.size, second.root):
        raise MalformedError("the smaller checkpoint comes first", where="first")
    return _two_heads("the log signed", first, "and signed", second, members)


def _chain(members: dict[str, Any], log: LogIdentity) -> str:
    if log.chain is None:
        raise NoContradictionError(
            "without a chain policy nobody can tell what was anchored", remedy="Give the policy that pins the chain"
        )
    checkpoint = log.keys.open_checkpoint(members["checkpoint"])
    facts = check_chain_evidence(members["evidence"], log.chain, log.log_id)
    anchored = Checkpoint(checkpoint.origin, facts.size, facts.root)
    if anchored.size < checkpoint.size:
        return _two_heads("the chain holds", anchored, "but the log signed", checkpoint, members)
    return _two_heads("the log signed", checkpoint, "but the chain holds", anchored, members)


def _two_heads(says: str, old: Checkpoint, contradicts: str, new: Checkpoint, members: dict[str, Any]) -> str:
    """Judge two heads of one log, `old` not the larger."""
    if old.origin != new.origin:
        raise NoContradictionError("the two checkpoints are of different logs", where=new.origin)
    other = members.get("other")
    if old.size == new.size:
        if other is not None:
            raise MalformedError("two roots of one size need no prefix", where="other")
        if old.root == new.root:
            raise NoContradictionError("both say the same root at the same size", where=f"size {old.size}")
        return f"{says} root {old.root.hex()} at size {old.size}, {contradicts} root {new.root.hex()} at that size"
    if other is None:
        raise NoContradictionError("nothing shows that the larger tree does not begin with the smaller", where="other")
    if old.size == 0:
        raise NoContradictionError("every tree follows from the empty one", where="size 0")
    if other == old.root or not verify_consistency(old.size, new.size, other, new.root, members["proof"]):
        raise NoContradictionError("the proof leads to no other tree at the smaller size", where="proof")
    return (
        f"{says} root {old.root.hex()} at size {old.size}, {contradicts} root {new.root.hex()} at size {new.size}, "
        f"whose tree has root {other.hex()} at size {old.size}"
    )


def _acknowledgement(members: dict[str, Any], log: LogIdentity) -> str:
    checkpoint = log.keys.open_checkpoint(members["checkpoint"])
    ack = _open_ack(members["ack"], log)
    if ("manifest" in members) == ("leaf" in members):
        raise MalformedError("either another leaf or a later manifest is shown", where="acknowledgement")
    if "manifest" in members:
        return _too_late(ack, checkpoint, members, log)
    return _other_leaf(ack, checkpoint, members)


def _open_ack(raw: bytes, log: LogIdentity) -> Acknowledgement:
    refused: MalformedError | None = None
    for key in log.keys.may_acknowledge(0):
        try:
            ack = open_acknowledgement(raw, key.alg, key.key)
        except MalformedError as error:
            refused = refused or below(error, "ack")
            continue
        if ack.log_id != log.log_id:
            raise NoContradictionError("the acknowledgement is of another log", where="ack")
        if key not in log.keys.may_acknowledge(ack.first):
            raise NoContradictionError("the key of the acknowledgement was retired before the entry", where="ack")
        return ack
    raise refused or MalformedError("no cose key of the log is known", where="ack")


def _other_leaf(ack: Acknowledgement, checkpoint: Checkpoint, members: dict[str, Any]) -> str:
    missing = {"index", "leaf", "group", "logged"} - members.keys()
    if missing:
        raise MalformedError("the member is missing", where=min(missing))
    index, leaf, logged = members["index"], members["leaf"], members["logged"]
    if not ack.first <= index < ack.first + ack.size:
        raise NoContradictionError("the acknowledgement does not speak of this entry", where=f"entry {index}")
    if root_from_range(index - ack.first, [leaf], ack.size, members["group"]) != ack.root:
        raise NoContradictionError("the leaf was not acknowledged", where="leaf")
    if leaf == logged or not verify_inclusion(logged, index, checkpoint.size, members["proof"], checkpoint.root):
        raise NoContradictionError("no other leaf is shown to stand there", where="logged")
    return (
        f"the log acknowledged leaf {leaf.hex()} as entry {index}, but in the tree of size {checkpoint.size} that it "
        f"signed {logged.hex()} stands there"
    )


def _too_late(ack: Acknowledgement, checkpoint: Checkpoint, members: dict[str, Any], log: LogIdentity) -> str:
    surplus = {"index", "leaf", "group", "logged"} & members.keys()
    if surplus:
        raise MalformedError("the member is unknown here", where=min(surplus))
    manifest = decode_statement(members["manifest"])
    size, end = checkpoint.size, ack.first + ack.size
    named = manifest.type == "manifest" and manifest.aud == log.log_id.hex()
    began = manifest.body["first"] if named else 0
    place = size - 1 if size < end or not named else began + manifest.body["count"]
    if not (size and named and _by_log(manifest, place, log)):
        raise NoContradictionError("this is no manifest signed by the log", where="manifest")
    if size >= end and not max(began, ack.first) < min(place, end):
        raise NoContradictionError("the manifest closes none of the acknowledged entries", where="manifest")
    if manifest.iat <= ack.publish_by:
        raise NoContradictionError("the manifest is not later than the promised time", where="manifest")
    if place >= size or not verify_inclusion(manifest.leaf, place, size, members["proof"], checkpoint.root):
        raise NoContradictionError("the manifest does not stand in the checkpoint's tree", where="manifest")
    if size >= end:
        return (
            f"the log acknowledged entries {ack.first} to {end - 1}, to be published by {ack.publish_by}, but closed "
            f"entries {began} to {place - 1} only at {manifest.iat}, and signs no tree that ends within a batch"
        )
    return (
        f"the log acknowledged entries {ack.first} to {end - 1}, to be published by {ack.publish_by}, but its tree of "
        f"size {size}, closed at {manifest.iat}, ends before them"
    )


def _by_log(manifest: Statement, index: int, log: LogIdentity) -> bool:
    key = log.keys.cose_at(index)
    return key.alg == manifest.alg and verify_statement_signature(manifest, key.key)


def _hashes(most: int) -> Any:
    def check(value: Any) -> None:
        if type(value) is not list or len(value) > most:
            raise wrong(f"an array of at most {most} hashes", value)
        for place, item in enumerate(value):
            try:
                digest(item)
            except MalformedError as error:
                raise below(error, place) from None

    return check


def _with_prefix(members: dict[str, Any]) -> Any:
    shape = Members({**members, "other": digest, "proof": _hashes(MAX_CONSISTENCY_PROOF)})

    def check(value: Any) -> None:
        shape(value)
        if ("other" in value) != ("proof" in value):
            raise MalformedError("another prefix comes with its proof", where="other")

    return check


_NOTE: Final = octets_up_to(_MAX_PART)
_SHAPES: Final[dict[str, Any]] = {
    "checkpoints": _with_prefix({"first!": _NOTE, "second!": _NOTE}),
    "chain": _with_prefix({"checkpoint!": _NOTE, "evidence!": _NOTE}),
    "acknowledgement": Members(
        {
            "ack!": octets_up_to(65_535),
            "checkpoint!": _NOTE,
            "proof!": _hashes(MAX_PROOF),
            "index": uint,
            "leaf": digest,
            "group": _hashes(MAX_RANGE_PROOF),
            "logged": digest,
            "manifest": octets_up_to(65_535),
        }
    ),
}
