"""A split-view proof convinces a stranger exactly when a log said two things that cannot both be true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.suites import Signer
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.split_view import (
    Finding,
    LogIdentity,
    NoContradictionError,
    Prefix,
    broken_promise,
    late_promise,
    prefix_of,
    split_checkpoints,
    split_from_chain,
    verify_split_view,
)
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.group import GroupTree
from ledger.log.notes import ED25519, NoteSignatureError, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tree import leaf_hash, root_of
from ledger.state.log_keys import KeyPeriod, LogKeys
from ledger.state.records import KeyRef
from ledger.statements.acknowledgement import Acknowledgement, sign_acknowledgement
from ledger.statements.cbor import decode, encode
from tests.world import PREFIX, Consortium, key

ORIGIN = "example.org/log"
NOTE, COSE = key("note"), key("cose")
ID = b"\x07" * 32
LOG = LogIdentity.of(ID, Vkey(ORIGIN, ED25519, NOTE.public_key), KeyRef(COSE.suite.alg or 0, COSE.public_key))


def leaves(size: int, forked_at: int | None = None) -> list[bytes]:
    split = size if forked_at is None else forked_at
    return [leaf_hash(b"%d" % n if n < split else b"other %d" % n) for n in range(size)]


def nodes(tree: list[bytes]) -> Callable[[int, int], bytes]:
    return lambda level, index: root_of(tree[index << level : (index + 1) << level])


def signed(tree: list[bytes], signer: Signer = NOTE, origin: str = ORIGIN) -> bytes:
    return sign_checkpoint(signer, Checkpoint(origin, len(tree), root_of(tree)))


def split(old: list[bytes], new: list[bytes], **by: Any) -> bytes:
    prefix = prefix_of(len(old), len(new), nodes(new)) if len(old) < len(new) else None
    notes = sorted([signed(old, **by), signed(new, **by)]) if prefix is None else [signed(old, **by), signed(new, **by)]
    if prefix is None:
        notes = [signed(tree, **by) for tree in sorted((old, new), key=root_of)]
    return split_checkpoints(notes[0], notes[1], prefix)


def checked(raw: bytes, log: LogIdentity = LOG) -> Finding:
    return verify_split_view(raw, log)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_two_checkpoints_of_trees_that_parted_prove_it_at_every_pair_of_sizes(data: st.DataObject) -> None:
    new_size = data.draw(st.integers(1, 70))
    old_size = data.draw(st.integers(1, new_size))
    parted = data.draw(st.integers(0, old_size - 1))
    raw = split(leaves(old_size), leaves(new_size, parted))
    assert checked(raw).kind == "checkpoints"


@given(st.integers(1, 70), st.integers(1, 70))
@settings(deadline=None)
def test_an_honest_log_that_grew_proves_nothing(one: int, two: int) -> None:
    old, new = sorted((one, two))
    with pytest.raises(NoContradictionError):
        checked(split(leaves(old), leaves(new)))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_altered_proof_convinces(data: st.DataObject) -> None:
    """Nothing but the very file: the parts that matter are signed or hashed, the rest has one form."""
    raw = bytearray(split(leaves(5), leaves(21, 2)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(LedgerError):
        checked(bytes(raw))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        checked(raw)


@pytest.mark.parametrize("size", [8, 13])
def test_a_prefix_that_somebody_invented_is_no_proof(size: int) -> None:
    old, new = leaves(size), leaves(40)
    honest = prefix_of(size, 40, nodes(new))
    for prefix in (Prefix(bytes(32), honest.proof), Prefix(bytes(32), ()), Prefix(honest.root, honest.proof[:-1])):
        with pytest.raises(NoContradictionError):
            checked(split_checkpoints(signed(old), signed(new), prefix))


def test_a_stranger_s_checkpoints_prove_nothing_about_the_log() -> None:
    raw = split(leaves(5), leaves(9, 2), signer=key("stranger"))
    with pytest.raises(NoteSignatureError):
        checked(raw)
    half = split_checkpoints(signed(leaves(5)), signed(leaves(5, 1), key("stranger")))
    with pytest.raises(LedgerError):
        checked(half)


def test_checkpoints_of_another_origin_prove_nothing() -> None:
    raw = split(leaves(5), leaves(9, 2), origin="elsewhere.example/log")
    with pytest.raises(LedgerError):
        checked(raw)


def test_a_former_key_that_leaked_accuses_nobody() -> None:
    """The key signed sizes below 8 in its time; what it signs beyond proves who holds it, not what the log says."""
    leaked, present = key("leaked"), key("present")
    periods = (KeyPeriod(KeyRef(-8, leaked.public_key), 0, 8), KeyPeriod(KeyRef(-8, present.public_key), 8))
    log = LogIdentity(ID, LogKeys(ORIGIN, LOG.keys.cose, periods))
    new, forged = leaves(12), leaves(10, 3)
    prefix = prefix_of(10, 12, nodes(new))
    with pytest.raises(NoteSignatureError):
        checked(split_checkpoints(signed(forged, leaked), signed(new, present), prefix), log)
    early = split_checkpoints(signed(leaves(5, 3), leaked), signed(new, present), prefix_of(5, 12, nodes(new)))
    assert checked(early, log).kind == "checkpoints"


def test_the_larger_checkpoint_does_not_come_first() -> None:
    old, new = leaves(5), leaves(9, 2)
    with pytest.raises(MalformedError):
        checked(split_checkpoints(signed(new), signed(old), prefix_of(5, 9, nodes(new))))


def test_two_sizes_without_the_prefix_prove_nothing() -> None:
    with pytest.raises(NoContradictionError):
        checked(split_checkpoints(signed(leaves(5)), signed(leaves(9, 2))))


def test_a_proof_from_the_chain_needs_a_policy_and_evidence() -> None:
    raw = split_from_chain(signed(leaves(5)), b"\x81\x60")
    with pytest.raises(NoContradictionError, match="chain policy"):
        checked(raw)


# -- acknowledgements --------------------------------------------------------------------------------------------------


class Forgetful:
    """A log that acknowledged a group of entries, and a consortium to sign its manifests."""

    def __init__(self) -> None:
        self.c = Consortium()
        self.group = [leaf_hash(self.c.registration(self.c.registrar, f"vaa:88.118.8/F{n}", PREFIX)) for n in range(3)]
        self.first = len(self.c.entries)
        self.ack = Acknowledgement(
            self.c.log_id, self.first, 3, GroupTree(self.group).root, self.c.now, self.c.now + 60
        )  # fmt: skip
        self.log = LogIdentity.of(
            self.c.log_id, Vkey(ORIGIN, ED25519, NOTE.public_key), KeyRef(COSE.suite.alg or 0, COSE.public_key)
        )

    def signed_ack(self, signer: Signer = COSE) -> bytes:
        return sign_acknowledgement(signer, self.ack)

    def late(self, seconds: int, signer: Signer = COSE) -> bytes:
        """The proof from a tree that ends before the group, closed `seconds` after log time."""
        self.c.close(self.c.now + seconds)
        tree = [leaf_hash(raw) for raw in self.c.entries]
        proof = inclusion_proof(len(tree) - 1, len(tree), nodes(tree))
        return late_promise(self.signed_ack(signer), signed(tree), manifest=self.c.entries[-1], proof=proof)

    def replaced(self, place: int, by: bytes | None = None) -> bytes:
        """The proof from a tree that holds another leaf at a place of the group."""
        tree = [leaf_hash(raw) for raw in self.c.entries] + self.group
        index = self.first + place
        tree[index] = leaf_hash(b"something else") if by is None else by
        return broken_promise(
            self.signed_ack(), signed(tree), index=index, leaf=self.group[place],
            group_proof=GroupTree(self.group).range_proof(place, 1), logged=tree[index],
            proof=inclusion_proof(index, len(tree), nodes(tree)),
        )  # fmt: skip


@pytest.mark.parametrize("place", [0, 1, 2])
def test_another_leaf_where_one_was_acknowledged_is_proven(place: int) -> None:
    made = Forgetful()
    assert "acknowledged" in checked(made.replaced(place), made.log).detail


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_log_that_kept_its_promise_is_not_accused(place: int) -> None:
    made = Forgetful()
    with pytest.raises(NoContradictionError):
        checked(made.replaced(place, made.group[place]), made.log)


def test_a_tree_closed_after_publish_by_without_the_entries_is_proven() -> None:
    made = Forgetful()
    assert "ends before them" in checked(made.late(61), made.log).detail


def test_a_tree_closed_in_time_proves_nothing_yet() -> None:
    made = Forgetful()
    with pytest.raises(NoContradictionError, match="not later"):
        checked(made.late(60), made.log)


def test_a_batch_closed_after_publish_by_is_proven_late_and_one_closed_in_time_is_not() -> None:
    for seconds in (60, 61):
        made = Forgetful()
        for n in range(3):
            made.c.put(made.c.registration(made.c.registrar, f"vaa:88.118.8/F{n}", PREFIX))
        raw = made.late(seconds)
        if seconds == 61:
            assert "only at" in checked(raw, made.log).detail
            continue
        with pytest.raises(NoContradictionError, match="not later"):
            checked(raw, made.log)


def test_the_manifest_of_another_batch_proves_nothing() -> None:
    made = Forgetful()
    for n in range(3):
        made.c.put(made.c.registration(made.c.registrar, f"vaa:88.118.8/F{n}", PREFIX))
    made.c.close(made.c.now + 5)
    with pytest.raises(NoContradictionError, match="closes none"):
        checked(made.late(100), made.log)


def test_an_acknowledgement_that_the_log_did_not_sign_proves_nothing() -> None:
    made = Forgetful()
    with pytest.raises(MalformedError):
        checked(made.late(61, key("stranger")), made.log)


def test_an_acknowledgement_of_another_log_proves_nothing() -> None:
    made = Forgetful()
    raw = made.late(61)
    with pytest.raises(NoContradictionError):
        checked(raw, LogIdentity(ID, made.log.keys))


def test_a_leaf_that_was_not_acknowledged_proves_nothing() -> None:
    made = Forgetful()
    raw = made.replaced(1)
    form, kind, members = decode(raw)
    for change in ({"leaf": bytes(32)}, {"index": 0}, {"index": made.first + 2}, {"logged": bytes(32)}):
        with pytest.raises(LedgerError):
            checked(encode([form, kind, members | change]), made.log)


def test_a_proof_with_parts_of_both_kinds_is_refused() -> None:
    made = Forgetful()
    form, kind, members = decode(made.late(61))
    for change in ({"leaf": bytes(32)}, {"index": 3}):
        with pytest.raises(MalformedError):
            checked(encode([form, kind, members | change]), made.log)
    del members["manifest"]
    with pytest.raises(MalformedError):
        checked(encode([form, kind, members]), made.log)


def test_a_manifest_that_is_not_the_last_entry_proves_nothing() -> None:
    made = Forgetful()
    form, kind, members = decode(made.late(61))
    earlier = next(raw for raw in made.c.entries if b"manifest+cose" in raw)
    with pytest.raises(NoContradictionError):
        checked(encode([form, kind, members | {"manifest": earlier}]), made.log)
    with pytest.raises(NoContradictionError):
        checked(encode([form, kind, members | {"manifest": made.c.entries[-2]}]), made.log)
