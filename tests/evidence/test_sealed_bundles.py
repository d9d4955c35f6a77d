"""Step 9 with the consortium's seal: demanded, and judged for what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.crypto import bls12381
from ledger.crypto.bls12381 import SUITE, prove_possession
from ledger.errors import UnavailableError
from ledger.evidence.policy import PLAIN, REPLAYING, Witnesses, parse_policy
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.report import Verdict
from ledger.evidence.seal import Roster, Seal, SealMember, join, sign_share
from ledger.log.checkpoint import Checkpoint
from tests.evidence.bundles import ORIGIN, Scene, step, verdict

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL
SIGNERS = [SUITE.from_secret((number + 5).to_bytes(32, "big")) for number in range(3)]
MEMBERS = tuple(SealMember(f"did:example:{n}", s.public_key, prove_possession(s)) for n, s in enumerate(SIGNERS))
ROSTER = Roster(MEMBERS, 2)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def sealed(scene: Scene, roster: Roster = ROSTER, **other: Any) -> bytes:
    source = scene.source()
    over = Checkpoint(ORIGIN, other.get("size", source.size), other.get("root", source.root))
    shares = [sign_share(signer, other.get("log", scene.world.log_id), over) for signer in SIGNERS[:2]]
    return join(shares, roster).encode()


def test_a_seal_of_enough_members_is_valid_and_says_whose_it_is(scene: Scene):
    policy = scene.policy(roster=ROSTER)
    report = scene.verify(replace(scene.bundle(), seal=sealed(scene)), policy)
    assert report.overall is VALID, report.as_text()
    assert "did:example:0, did:example:1" in " ".join(report.rests_on)
    assert "2 of 3 members" in step(report, 9).reason
    assert "plain witnesses" in step(report, 9).reason
    assert "印章" in report.as_text("zh")
    assert parse_policy(dump_policy(policy)) == policy


def test_a_seal_alone_answers_step_9_where_no_witness_is_named(scene: Scene):
    policy = scene.policy(
        roster=ROSTER, plain=Witnesses(PLAIN), replaying=Witnesses(REPLAYING), max_age=None, trust_operator_state=True
    )
    report = scene.verify(replace(scene.bundle(), seal=sealed(scene)), policy)
    assert report.overall is VALID, report.as_text()
    without = scene.verify(scene.bundle(), policy)
    assert 9 in without.required
    assert verdict(without, 9) is CANNOT_TELL


def test_nobody_asks_for_a_seal_that_the_policy_does_not_name(scene: Scene):
    report = scene.verify(replace(scene.bundle(), seal=b"anything"))
    assert report.overall is VALID


@pytest.mark.parametrize(
    ("seal", "expected", "words"),
    [
        (lambda _: None, CANNOT_TELL, "holds none"),
        (lambda _: b"no seal", INVALID, "not a seal"),
        (lambda scene: sealed(scene, size=7), CANNOT_TELL, "size 7"),
        (lambda scene: sealed(scene, log=bytes(32)), CANNOT_TELL, "not over this checkpoint"),
        (lambda scene: sealed(scene, root=bytes(32)), INVALID, "another root"),
        (lambda scene: sealed(scene, Roster(MEMBERS[::-1], 2)), CANNOT_TELL, "another roster"),
        (
            lambda scene: Seal.decode(sealed(scene))._replace(bitmap=b"\x06").encode(), INVALID, "not that of these",
        ),
        (lambda scene: Seal.decode(sealed(scene))._replace(bitmap=b"\x13").encode(), INVALID, "one bit"),
        (lambda scene: Seal.decode(sealed(scene))._replace(bitmap=b"\x01").encode(), CANNOT_TELL, "1 members sealed"),
    ],
)  # fmt: skip
def test_each_seal_that_is_not_enough_or_false_is_told_apart(scene: Scene, seal: Any, expected: Verdict, words: str):
    report = scene.verify(replace(scene.bundle(), seal=seal(scene)), scene.policy(roster=ROSTER))
    assert verdict(report, 9) is expected, report.as_text()
    assert words in step(report, 9).reason
    assert report.overall is expected


def test_a_roster_whose_member_holds_no_key_judges_nothing(scene: Scene):
    loose = Roster((*MEMBERS[:2], MEMBERS[2]._replace(proof=MEMBERS[0].proof)), 2)
    raw = Seal.decode(sealed(scene))._replace(roster=loose.digest).encode()
    report = scene.verify(replace(scene.bundle(), seal=raw), scene.policy(roster=loose))
    assert verdict(report, 9) is CANNOT_TELL
    assert "possession" in step(report, 9).reason


def test_without_a_library_for_such_keys_nothing_can_be_told(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    raw = sealed(scene)

    def missing() -> None:
        raise UnavailableError("no library")

    bls12381.possesses.cache_clear()
    monkeypatch.setattr(bls12381, "_arithmetic", missing)
    report = scene.verify(replace(scene.bundle(), seal=raw), scene.policy(roster=ROSTER))
    assert verdict(report, 9) is CANNOT_TELL
    assert "no library" in step(report, 9).reason
    assert report.overall is CANNOT_TELL


def test_a_false_seal_is_not_made_good_by_witnesses_nor_the_reverse(scene: Scene):
    lonely = scene.policy(roster=ROSTER, plain=Witnesses(PLAIN, scene.policy().plain.vkeys, 3))
    report = scene.verify(replace(scene.bundle(), seal=sealed(scene)), lonely)
    assert verdict(report, 9) is CANNOT_TELL
    assert "2 of 3 plain" in step(report, 9).reason
