"""Kinds of the log: statements, receipts, proof files, notes, proofs of tree and state, acknowledgements.

Proofs are held against the tree and the state themselves: whatever verifies under the honest root must be true there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.errors import MalformedError
from ledger.log.checkpoint import open_cosigned, verify_cosignature
from ledger.log.multiproof import inclusion_multiproof, root_from_multiproof
from ledger.log.notes import ED25519, Note, NoteSignature, Vkey, verify_note
from ledger.log.proofs import (
    consistency_proof,
    inclusion_proof,
    range_proof,
    root_from_range,
    verify_consistency,
    verify_inclusion,
)
from ledger.log.receipts import (
    ConsistencyPath,
    InclusionPath,
    decode_receipt,
    make_consistency_receipt,
    make_inclusion_receipt,
    verify_consistency_receipt,
    verify_inclusion_receipt,
)
from ledger.log.tlog_proof import TlogProof, verify_tlog_proof
from ledger.log.tree import root_of
from ledger.state.proofs import StateProof, root_from_state_proof
from ledger.state.records import KIND_OF, encode_record, record_key
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import decode_statement
from ledger.statements.acknowledgement import (
    Acknowledgement,
    Refusal,
    open_acknowledgement,
    open_refusal,
    sign_acknowledgement,
    sign_refusal,
)
from ledger.statements.cbor import decode, encode
from ledger.statements.transparent import attach, split_transparent
from tests.evidence.bundles import ORIGIN, PLAIN_WITNESSES, REPLAYERS, LogSource, witness
from tests.mutations.honest import Honest
from tests.mutations.kinds import Kind, made
from tests.world import key

NOTE, COSE = key("note"), key("cose")
VKEY = Vkey(ORIGIN, ED25519, NOTE.public_key)
WITNESSES = [witness(name) for name in (*PLAIN_WITNESSES, *REPLAYERS)]
ALG = COSE.suite.alg or 0


def kinds(honest: Honest) -> list[Kind]:
    """All kinds of this module."""
    return [
        _statements(honest), *_receipts(honest), _transparent(honest), _proof_files(honest), *_notes(honest),
        *_tree_proofs(honest), _state_proofs(honest), *_promises(honest),
    ]  # fmt: skip


# -- statements --------------------------------------------------------------------------------------------------------


def _statements(honest: Honest) -> Kind:
    """Statements against the transition function, each at its own place: admitted means the same act, unaltered.

    Nothing at all may differ: signature, payload and consents are all compared, as the leaf is.
    """
    source = honest.town.early
    chosen = [i for i, one in enumerate(source.statements) if i > 0 and (one.consents or i % 3 == 0)]
    states: dict[int, MemoryState] = {}
    state = MemoryState()
    for index, statement in enumerate(source.statements):
        if index in chosen:
            states[index] = MemoryState()
            states[index].records = dict(state.records)
        state.apply(transition(state, statement, index))

    def check(raw: bytes) -> bytes | None:
        statement = decode_statement(raw)
        for index, before in states.items():
            if source.statements[index].sub == statement.sub and source.statements[index].type == statement.type:
                transition(before, statement, index)
                return statement.raw
        return None

    raws = {f"entry {index}": source.entries[index] for index in chosen}
    return made("statement", 12, raws, check, tag=18)


# -- receipts, proof files ---------------------------------------------------------------------------------------------


def _inclusion_receipt(source: LogSource, index: int) -> bytes:
    path = InclusionPath(source.size, index, tuple(inclusion_proof(index, source.size, source.node)))
    return make_inclusion_receipt(COSE, ORIGIN, source.statements[index].sub, source.leaves[index], path)


def _receipts(honest: Honest) -> list[Kind]:
    """COSE receipts. Their sizes and index are signed by nobody (`ledger.log.receipts` says so): what they prove is the
    signed root, and that is what is compared; who wants index and size takes them from a checkpoint."""
    early, late = honest.town.early, honest.town.late
    at = list(early.entries).index(honest.town.certification.raw)
    sub, leaf = early.statements[at].sub, early.leaves[at]

    def check(raw: bytes) -> bytes:
        return verify_inclusion_receipt(decode_receipt(raw), leaf, ALG, COSE.public_key, origin=ORIGIN, sub=sub)

    def growth(old: LogSource, new: LogSource, size: int) -> bytes:
        path = ConsistencyPath(size, new.size, tuple(consistency_proof(size, new.size, new.node)))
        roots = root_of(old.leaves[:size]), new.root
        return make_consistency_receipt(COSE, ORIGIN, f"log:{old.log_id.hex()}", *roots, path)

    def check_growth(raw: bytes) -> bytes:
        old = early.size
        return verify_consistency_receipt(decode_receipt(raw), old, early.root, ALG, COSE.public_key, origin=ORIGIN)

    raws = {"early": _inclusion_receipt(early, at), "late": _inclusion_receipt(late, at)}
    other = {
        "another entry": _inclusion_receipt(early, at + 1),
        "elsewhere": _inclusion_receipt(honest.other.early, at),
    }
    grown = {"grown": growth(early, late, early.size), "from elsewhere": growth(early, late, 30)}
    return [
        made("receipt", 10, raws | other, check, valid=lambda name: name in raws, tag=18),
        made("receipt of growth", 6, grown, check_growth, valid=lambda name: name == "grown", tag=18),
    ]


def _transparent(honest: Honest) -> Kind:
    """Transparent statements: receipts are unprotected, so their order and number are the holder's affair.

    What counts is the statement and which roots prove it: at least one, and none that no honest receipt had.
    """
    early, late = honest.town.early, honest.town.late
    raws = {}
    for name, statement in (("sale", honest.town.sale), ("certified", honest.town.certification)):
        at = list(early.entries).index(statement.raw)
        raws[name] = attach(statement.raw, [_inclusion_receipt(early, at), _inclusion_receipt(late, at)])

    def check(raw: bytes) -> tuple[bytes, frozenset[bytes]]:
        whole, receipts = split_transparent(raw)
        one = decode_statement(whole)
        return whole, frozenset(
            verify_inclusion_receipt(decode_receipt(each), one.leaf, ALG, COSE.public_key, origin=ORIGIN, sub=one.sub)
            for each in receipts
        )

    def agrees(claim: Any, honest: Any) -> bool:
        return bool(claim[0] == honest[0] and claim[1] and claim[1] <= honest[1])

    return made("transparent statement", 8, raws, check, agrees=agrees, tag=18)


def _proof_files(honest: Honest) -> Kind:
    """C2SP proof files. The `extra` line is opaque to the format, and cosignatures beyond those asked for may go."""
    early, late = honest.town.early, honest.town.late
    at = list(early.entries).index(honest.town.sale.raw)
    leaf = early.leaves[at]

    def written(source: LogSource, index: int, extra: bytes | None = None) -> bytes:
        return TlogProof(index, tuple(inclusion_proof(index, source.size, source.node)), source.note, extra).serialise()

    def check(raw: bytes) -> tuple[Any, ...]:
        proof = TlogProof.parse(raw)
        checkpoint, cosigned = verify_tlog_proof(proof, leaf, VKEY, WITNESSES, 4)
        return proof.index, checkpoint, frozenset(cosigned)

    raws = {"early": written(early, at), "late": written(late, at, b"more"), "another": written(early, at + 1)}
    return made(
        "tlog-proof", 8, raws, check, valid=lambda name: name != "another", cbor=False,
        agrees=lambda claim, honest: bool(claim[:2] == honest[:2] and claim[2] <= honest[2]),
    )  # fmt: skip


def _notes(honest: Honest) -> list[Kind]:
    """Notes are a text and a set of lines: the text is compared, and that nobody vouches who did not."""
    raws = {"early": honest.town.early.note, "late": honest.town.late.note, "elsewhere": honest.other.early.note}

    def check_note(raw: bytes) -> tuple[Any, ...]:
        note = Note.parse(raw)
        return note.text, frozenset(verify_note(note, [VKEY, *WITNESSES]))

    def check(raw: bytes) -> tuple[Any, ...]:
        checkpoint, cosigned = open_cosigned(raw, VKEY, WITNESSES)
        return checkpoint, frozenset(cosigned)

    def fewer(claim: Any, honest: Any) -> bool:
        return bool(claim[0] == honest[0] and claim[1] <= honest[1])

    text, line = _cosigned_text(honest.town.early.note)
    lines = {"first": line, "another": _cosigned_text(honest.town.late.note)[1]}

    def check_line(raw: bytes) -> int:
        match decode(raw):
            case [str(name), bytes(key_id), bytes(signature)]:
                return verify_cosignature(WITNESSES[0], text, NoteSignature(name, key_id, signature))
        raise MalformedError("not a cosignature of this test")

    return [
        made("note", 7, raws, check_note, agrees=fewer, cbor=False),
        made("checkpoint", 8, raws, check, agrees=fewer, cbor=False),
        made("cosignature", 4, lines, check_line, valid=lambda name: name == "first"),
    ]


def _cosigned_text(raw: bytes) -> tuple[bytes, bytes]:
    note = Note.parse(raw)
    line = next(line for line in note.signatures if line.name == WITNESSES[0].name)
    return note.text, encode([line.name, line.key_id, line.signature])


# -- proofs ------------------------------------------------------------------------------------------------------------


def _tree_proofs(honest: Honest) -> list[Kind]:
    """Proofs under the root of one size, which a verifier has from a checkpoint; indexes, hashes, paths are altered."""
    source = honest.town.late
    leaves, size, root, node = source.leaves, source.size, source.root, source.node
    picked = [0, 3, 17, 31, size - 2, size - 1]

    def stands(index: int, leaf: bytes) -> bool:
        return 0 <= index < size and leaves[index] == leaf

    def inclusion(raw: bytes) -> Any:
        index, leaf, path = _shaped(raw, int, bytes, list)
        return {index: leaf} if verify_inclusion(leaf, index, size, _hashes(path), root) else None

    def consistency(raw: bytes) -> Any:
        old, old_root, path = _shaped(raw, int, bytes, list)
        return (old, old_root) if verify_consistency(old, size, old_root, root, _hashes(path)) else None

    def multiproof(raw: bytes) -> Any:
        pairs, path = _shaped(raw, list, list)
        if any(type(pair) is not list or list(map(type, pair)) != [int, bytes] for pair in pairs):
            raise MalformedError("not pairs")
        claimed = dict(pairs)
        return claimed if root_from_multiproof(claimed, size, _hashes(path)) == root else None

    def span(raw: bytes) -> Any:
        first, run, path = _shaped(raw, int, list, list)
        if root_from_range(first, _hashes(run), size, _hashes(path)) != root:
            return None
        return {first + at: leaf for at, leaf in enumerate(run)}

    def every_leaf(claim: Any, _: Any) -> bool:
        return all(stands(index, leaf) for index, leaf in claim.items())

    def prefix(claim: Any, _: Any) -> bool:
        return bool(0 <= claim[0] <= size and root_of(leaves[: claim[0]]) == claim[1])

    return [
        made(
            "inclusion proof", 8,
            {f"leaf {i}": encode([i, leaves[i], inclusion_proof(i, size, node)]) for i in picked},
            inclusion, agrees=every_leaf,
        ),
        made(
            "consistency proof", 8,
            {f"size {i}": encode([i, root_of(leaves[:i]), consistency_proof(i, size, node)]) for i in (1, 8, 30, size)},
            consistency, agrees=prefix,
        ),
        made(
            "multiproof", 8,
            {
                str(chosen): encode([[[i, leaves[i]] for i in chosen], inclusion_multiproof(chosen, size, node)])
                for chosen in ([0], [2, 3, 9], picked, list(range(0, size, 4)))
            },
            multiproof, agrees=every_leaf,
        ),
        made(
            "range proof", 6,
            {
                f"{first}, {count}": encode([first, leaves[first : first + count], range_proof(first, count, leaves)])
                for first, count in ((0, 1), (7, 5), (size - 3, 3))
            },
            span, agrees=every_leaf,
        ),
    ]  # fmt: skip


def _shaped(raw: bytes, *types: type) -> Sequence[Any]:
    """The array of these types that the test's own files are; proofs have no file of their own."""
    value = decode(raw)
    if type(value) is not list or list(map(type, value)) != list(types):
        raise MalformedError("not a proof of this test")
    return value


def _hashes(value: list[Any]) -> list[bytes]:
    """Byte strings of any length, where hashes belong: the decoders before these proofs refuse everything else."""
    if any(type(item) is not bytes for item in value):
        raise MalformedError("not hashes")
    return value


def _state_proofs(honest: Honest) -> Kind:
    source = honest.town.late
    state = {
        record_key(KIND_OF[place[0]], *place[1:]): encode_record(record)
        for place, record in source.state.records.items()
    }
    root = source.statements[-1].body["state"]
    names, absent = sorted(state), [bytes([n]) * 32 for n in (0, 7, 200, 255)]

    def written(keys: list[bytes]) -> bytes:
        return encode([[[name, state.get(name)] for name in sorted(keys)], source.prove(keys).to_cbor_object()])

    raws = {
        "one": written(names[:1]), "absent": written(absent[:1]), "some": written([*names[3:9], *absent]),
        "many": written([*names, *absent]),
    }  # fmt: skip

    def check(raw: bytes) -> Any:
        pairs, proof = _shaped(raw, list, list)
        for pair in pairs:
            if (
                type(pair) is not list
                or len(pair) != 2
                or not (type(pair[0]) is bytes and type(pair[1]) in (bytes, type(None)))
            ):
                raise MalformedError("not claims")
        claims = dict(pairs)
        return claims if root_from_state_proof(claims, StateProof.from_cbor_object(proof)) == root else None

    def true(claim: Any, _: Any) -> bool:
        return all(state.get(name) == record for name, record in claim.items())

    return made("state proof", 12, raws, check, agrees=true)


# -- promises ----------------------------------------------------------------------------------------------------------


def _promises(honest: Honest) -> list[Kind]:
    log = honest.town.world.log_id
    acks = [Acknowledgement(log, n, 3, bytes([n]) * 32, 1_750_000_000 + n, 1_750_000_060 + n) for n in (4, 40)]
    refusals = [Refusal(log, bytes([n]) * 32, "not_entitled", n, 1_750_000_000) for n in (4, 40)]
    return [
        made(
            "acknowledgement", 6, {str(ack.first): sign_acknowledgement(COSE, ack) for ack in acks},
            lambda raw: open_acknowledgement(raw, ALG, COSE.public_key), tag=18,
        ),
        made(
            "refusal", 5, {str(one.size): sign_refusal(COSE, one) for one in refusals},
            lambda raw: open_refusal(raw, ALG, COSE.public_key), tag=18,
        ),
    ]  # fmt: skip
