"""A history is the whole of it, or visibly not: bundles that hold every statement about a thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.build import build
from ledger.evidence.bundle import Bundle
from ledger.evidence.container import MAX_CONTENT, pack, unpack
from ledger.evidence.past import TooLongError
from ledger.evidence.report import ABSENCE, HISTORY, Verdict
from ledger.evidence.timeline import as_of
from ledger.evidence.verifier import Verification, verify_history
from ledger.evidence.whole import REMEDY
from ledger.log.multiproof import inclusion_multiproof
from ledger.state.records import CredentialRecord, IdentifierRecord, record_key
from ledger.statements import subjects
from ledger.statements.cbor import decode, encode
from tests.evidence.bundles import ITEM, LogSource, Scene, step, verdict
from tests.evidence.test_hostile_bundles import alterations
from tests.world import DAY

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL


class Story(Scene):
    """The scene, after which the certificate was suspended, lifted, and revoked from a time before that."""

    def __init__(self) -> None:
        super().__init__()
        p = self.parties
        sub = self.certification.sub
        self.times = []
        for count, (state, back) in enumerate((("suspended", 0), ("active", 0), ("revoked", 15 * DAY)), 1):
            self.world.later(10 * DAY)
            self.times.append(self.world.now)
            claims = {"effective": self.world.now - back}
            self.world.put(self.world.status(p["certifier"], sub, state, "issuer", count, claims=claims))
        self.world.later(10)

    def whole(self, about: str, index: int | None = None, source: LogSource | None = None) -> Bundle:
        found = source or self.source()
        if index is None:
            index = next(at for at, one in enumerate(found.statements) if one.sub == about)
        return build(found, about, index, whole=True)

    def judged(self, bundle: Bundle, **policy: Any) -> Verification:
        return verify_history(bundle.encode(), self.policy(**policy), self.clock)


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


def subjects_of(story: Story) -> list[str]:
    did = story.parties["certifier"].did
    return [
        story.certification.sub, ITEM, did, subjects.accreditation(did, 1), subjects.delegation("vaa", "88.118.8"),
        "template:product-safety/1", subjects.origin("example.org/log"),
    ]  # fmt: skip


def test_the_whole_history_of_anything_verifies_and_tells_each_statement(story: Story):
    source = story.source()
    for about in subjects_of(story):
        found = story.judged(story.whole(about, source=source))
        assert (found.report.overall, found.report.claim) == (VALID, HISTORY), found.report.as_text()
        assert found.whole is not None
        own = found.whole.timelines[0]
        assert [change.index for change in own.changes] == source.touches(own.place)
        assert found.whole.as_json()["timelines"][0]["count"] == len(own.changes)


def test_who_knew_when_follows_from_the_file_alone(story: Story):
    found = story.judged(story.whole(story.certification.sub))
    assert found.whole is not None
    credential_, identifier = found.whole.timelines
    assert (credential_.place[0], identifier.place) == (CredentialRecord, (IdentifierRecord, ITEM))
    suspended, lifted, revoked = story.times
    backdated = revoked - 15 * DAY
    assert [as_of(credential_, at).state for at in (suspended - 1, backdated - 1, backdated, lifted)] == [
        "active", "suspended", "revoked", "revoked",
    ]  # fmt: skip
    assert [as_of(credential_, at, revoked - 1).state for at in (suspended - 1, suspended, lifted, revoked - 1)] == [
        "active", "suspended", "active", "active",
    ]  # fmt: skip
    answer = as_of(credential_, backdated).as_json()
    assert (answer["state"], answer["since"], answer["known_since"]) == ("revoked", backdated, revoked)
    assert answer["iss"] == story.parties["certifier"].did


def test_an_ordinary_bundle_is_no_history(story: Story):
    found = story.judged(story.bundle(story.registration))
    assert found.report.overall is CANNOT_TELL
    assert found.whole is None


def test_the_same_file_answers_the_ordinary_question_too(story: Story):
    report = story.verify(story.whole(ITEM))
    assert verdict(report, 11) is VALID
    assert report.overall is VALID
    revoked = story.verify(story.whole(story.certification.sub))
    assert verdict(revoked, 13) is INVALID


def test_of_what_never_was_there_is_an_absence(story: Story):
    found = verify_history(story.absence("vaa:88.118.8/NEVER").encode(), story.policy(), story.clock)
    assert (found.report.overall, found.report.claim, found.whole) == (VALID, ABSENCE, None)


def test_without_replaying_witnesses_it_rests_on_the_operator(story: Story):
    source = story.source()
    bundle = replace(story.whole(ITEM, source=source), checkpoint=source.note.rsplit(b"\n", 3)[0] + b"\n")
    found = story.judged(bundle)
    assert found.report.overall is CANNOT_TELL
    assert "operator alone" in step(found.report, 13).reason
    assert found.whole is not None


# -- an operator that leaves something out -----------------------------------------------------------------------------


def lists(bundle: Bundle, kind: str, change: Callable[[list[Any]], list[Any]]) -> Bundle:
    """The bundle with another list of touches for its subject's record."""
    number = next(n for n, claim in enumerate(bundle.claims) if claim.key == record_key(kind, bundle.about))
    touches = tuple((n, tuple(change(list(found))) if n == number else found) for n, found in bundle.touches)
    return replace(bundle, touches=touches)


LIES: list[tuple[str, Callable[[list[Any]], list[Any]]]] = [
    ("the suspension is left out", lambda found: [found[0], *found[2:]]),
    ("the last is left out", lambda found: found[:-1]),
    ("the first is left out", lambda found: found[1:]),
    ("two change places", lambda found: [found[1], found[0], *found[2:]]),
    ("one stands there twice", lambda found: [*found[:2], found[1], *found[2:]]),
    ("another entry stands for one", lambda found: [found[0], (0, None), *found[2:]]),
    ("none is told", lambda _: []),
]


@pytest.mark.parametrize(("what", "change"), LIES, ids=[what for what, _ in LIES])
def test_a_list_that_is_not_the_whole_of_it_is_invalid(
    story: Story, what: str, change: Callable[[list[Any]], list[Any]]
):
    bundle = lists(story.whole(story.certification.sub), "credential", change)
    found = story.judged(bundle)
    assert verdict(found.report, 13) is INVALID, what
    assert (found.report.overall, found.whole) == (INVALID, None)


def test_a_list_that_is_missing_cannot_be_told(story: Story):
    bundle = story.whole(story.certification.sub)
    found = story.judged(replace(bundle, touches=()))
    assert found.report.overall is not VALID
    assert found.whole is None


def test_another_head_does_not_fit_the_state(story: Story):
    bundle = story.whole(story.certification.sub)
    key = record_key("credential", bundle.about)
    claim = next(claim for claim in bundle.claims if claim.key == key)
    assert claim.record is not None
    head = story.source().state.records[CredentialRecord, bundle.about].head
    other = claim._replace(record=claim.record.replace(head, bytes(32)))
    found = story.judged(replace(bundle, claims=tuple(other if c is claim else c for c in bundle.claims)))
    assert verdict(found.report, 7) is INVALID
    assert verdict(found.report, 13) is CANNOT_TELL
    assert found.whole is None


def test_a_statement_that_is_only_hashed_cannot_be_told(story: Story):
    """The list fits, but one of its statements is not shown."""
    source = story.source()
    bundle = story.whole(story.certification.sub, source=source)
    hidden = source.touches((CredentialRecord, bundle.about))[1]
    entries = tuple((at, raw) for at, raw in bundle.entries if at != hidden)
    touches = tuple(
        (n, tuple((at, source.leaves[at] if at == hidden else leaf) for at, leaf in found))
        for n, found in bundle.touches
    )
    proof = tuple(inclusion_multiproof([at for at, _ in entries], source.size, source.node))
    found = story.judged(replace(bundle, entries=entries, touches=touches, inclusion=proof))
    assert verdict(found.report, 5) is VALID
    assert verdict(found.report, 11) is CANNOT_TELL
    assert (found.report.overall, found.whole) == (CANNOT_TELL, None)


def test_an_index_that_forgot_a_statement_makes_no_history(story: Story):
    class Forgetful(LogSource):
        def touches(self, place: Any) -> list[int]:
            found = super().touches(place)
            return found[:1] + found[2:] if place[0] is CredentialRecord else found

    with pytest.raises(LedgerError):
        story.whole(story.certification.sub, source=story.source(Forgetful))


# -- keys that went bad, and bounds ------------------------------------------------------------------------------------


def test_a_statement_by_a_key_that_was_bad_by_then_is_marked():
    scene = Story()
    world, certifier = scene.world, scene.parties["certifier"]
    bad = scene.times[0] - 1
    kid = certifier.signer.kid
    draft = {"bad": [{"kid": kid, "from": bad}], "confirmed": []}
    root = scene.world.roots[0]
    raw = world.act("compromise", root, certifier.did, {"seq": 2}, draft, consents=world.roots[:2])
    world.put(raw)
    world.later(10)
    found = scene.judged(scene.whole(scene.certification.sub))
    assert verdict(found.report, 4) is INVALID
    assert found.report.overall is VALID  # the history is whole; what it tells of is in doubt
    assert found.whole is not None
    doubts = [change.doubt is not None for change in found.whole.timelines[0].changes]
    assert doubts == [False, True, True, True]
    assert "compromised" in found.whole.timelines[0].as_json()["entries"][1]["doubt"]


def test_a_batch_has_no_history(story: Story):
    source = story.source()
    with pytest.raises(MalformedError):
        build(source, "batch:2", source.closing(2), whole=True)


def test_a_history_that_is_too_long_is_refused_with_a_remedy(story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ledger.evidence.whole.BUDGET", 2)
    with pytest.raises(TooLongError) as refused:
        story.whole(story.certification.sub)
    assert refused.value.remedy == REMEDY


def test_a_history_of_more_entries_than_a_bundle_holds_is_refused(story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ledger.evidence.build.MAX_LEAVES", 20)
    with pytest.raises(TooLongError) as refused:
        story.whole(story.certification.sub)
    assert refused.value.remedy == REMEDY


# -- hostile bytes -----------------------------------------------------------------------------------------------------


HOSTED = Story()
WHOLE = HOSTED.whole(HOSTED.certification.sub).encode()
GOOD = verify_history(WHOLE, HOSTED.policy(), HOSTED.clock)
ITEMS = decode(unpack(WHOLE), max_size=MAX_CONTENT)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_an_altered_bundle_raises_nothing_and_tells_no_other_history(data: st.DataObject):
    try:
        raw = pack(encode(data.draw(alterations(ITEMS))))
    except MalformedError:
        return  # no such bytes can be written
    found = verify_history(raw, HOSTED.policy(), HOSTED.clock)
    assert found.report.overall is not VALID or found.whole == GOOD.whole
    assert found.report.as_text("zh")
