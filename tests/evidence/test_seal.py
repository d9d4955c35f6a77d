"""The consortium's seal: adds up, says who sealed what, and holds for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.bls12381 import ORDER, SUITE, prove_possession
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.seal import FalseSealError, Roster, Seal, Sealed, SealMember, Share, check_seal, join, sign_share
from ledger.log.checkpoint import Checkpoint
from ledger.statements.cbor import encode

LOG = bytes(range(32))
CHECKPOINT = Checkpoint("example.org/log", 7, bytes([7]) * 32)
OVER = Sealed.of(LOG, CHECKPOINT)


def signer(number: int):
    return SUITE.from_secret((number + 5).to_bytes(32, "big"))


def enrolled(number: int) -> SealMember:
    key = signer(number)
    return SealMember(f"did:example:{number}", key.public_key, prove_possession(key))


MEMBERS = tuple(enrolled(number) for number in range(5))
ROSTER = Roster(MEMBERS, 3)


def shares(*numbers: int) -> list[Share]:
    return [sign_share(signer(number), LOG, CHECKPOINT) for number in numbers]


SEAL = join(shares(0, 2, 4), ROSTER)


def test_a_seal_names_the_members_whose_shares_are_in_it() -> None:
    assert check_seal(SEAL, ROSTER, OVER) == ("did:example:0", "did:example:2", "did:example:4")
    assert SEAL.bitmap == b"\x15"
    assert len(SEAL.signature) == 96
    assert join(shares(4, 0, 2), ROSTER) == SEAL


def test_files_come_back_as_they_were_written() -> None:
    assert Seal.decode(SEAL.encode()) == SEAL
    (share,) = shares(1)
    assert Share.decode(share.encode()) == share
    with pytest.raises(MalformedError):
        Seal.decode(share.encode())


def test_too_few_members_make_no_seal() -> None:
    with pytest.raises(FalseSealError, match="2 of 3"):
        join(shares(0, 1), ROSTER)
    fewer = SEAL._replace(bitmap=b"\x05")
    with pytest.raises(FalseSealError, match="2 members"):
        check_seal(fewer, ROSTER, OVER)


def test_the_bitmap_cannot_claim_others() -> None:
    with pytest.raises(FalseSealError, match="not that of these members"):
        check_seal(SEAL._replace(bitmap=b"\x1d"), ROSTER, OVER)
    for bitmap in (b"\x35", b"\x15\x00", b""):
        with pytest.raises(MalformedError):
            check_seal(SEAL._replace(bitmap=bitmap), ROSTER, OVER)


@pytest.mark.parametrize(
    "other", [OVER._replace(size=8), OVER._replace(root=bytes(32)), OVER._replace(log_id=bytes(32))]
)
def test_a_seal_holds_for_its_own_checkpoint_alone(other: Sealed) -> None:
    with pytest.raises(FalseSealError):
        check_seal(SEAL, ROSTER, other)
    with pytest.raises(FalseSealError, match="not that of these members"):
        check_seal(SEAL._replace(sealed=other), ROSTER, other)


def test_a_seal_of_another_roster_is_told_apart() -> None:
    with pytest.raises(MalformedError, match="another roster"):
        check_seal(SEAL, Roster(MEMBERS[::-1], 3), OVER)


def test_shares_of_strangers_and_over_something_else_are_refused() -> None:
    with pytest.raises(FalseSealError, match="no member"):
        join([*shares(0, 1, 2), *shares(9)], ROSTER)
    other = sign_share(signer(2), LOG, Checkpoint("example.org/log", 8, bytes(32)))
    with pytest.raises(FalseSealError, match="different"):
        join([*shares(0, 1), other], ROSTER)
    false = shares(2)[0]._replace(signature=shares(3)[0].signature)
    with pytest.raises(FalseSealError, match="does not verify"):
        join([*shares(0, 1), false], ROSTER)


def test_nobody_enrols_without_possession() -> None:
    """With a key chosen to cancel out another's, one holder could seal in the name of two."""
    cancelling = SUITE.from_secret((ORDER - 5).to_bytes(32, "big"))
    claimed = SealMember("did:example:x", cancelling.public_key, MEMBERS[0].proof)
    roster = Roster((*MEMBERS[:2], claimed), 2)
    for use in (roster.require_possession, lambda: join(shares(0, 1), roster)):
        with pytest.raises(MalformedError, match="possession"):
            use()
    seal = Seal(OVER, roster.digest, b"\x03", SEAL.signature)
    with pytest.raises(MalformedError, match="possession"):
        check_seal(seal, roster, OVER)


@pytest.mark.parametrize("change", [{"key": bytes(47)}, {"proof": bytes(95)}])
def test_a_key_or_proof_of_another_size_is_refused_at_once(change) -> None:
    with pytest.raises(MalformedError, match="bytes"):
        Roster((*MEMBERS[:2], MEMBERS[2]._replace(**change)), 2)


@pytest.mark.parametrize("threshold", [0, 2, 6, -1])
def test_a_threshold_that_two_halves_could_reach_is_refused(threshold: int) -> None:
    with pytest.raises(MalformedError, match="threshold"):
        Roster(MEMBERS, threshold)


def test_a_member_twice_is_refused() -> None:
    for again in (MEMBERS[0], MEMBERS[0]._replace(did="did:example:z"), MEMBERS[1]._replace(did="did:example:0")):
        with pytest.raises(MalformedError):
            Roster((MEMBERS[0], again), 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_seal_with_a_changed_byte_holds(data) -> None:
    raw = bytearray(SEAL.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        check_seal(Seal.decode(bytes(raw)), ROSTER, OVER)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=100), st.integers(0, 2**64 - 1), st.text(max_size=9)), max_size=9))
def test_anything_else_is_malformed(items) -> None:
    for kind in (Seal, Share):
        with pytest.raises(MalformedError):
            kind.decode(encode(["tial-seal-v1", *items]))
