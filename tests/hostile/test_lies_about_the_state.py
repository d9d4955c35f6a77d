"""Lies about what the entries lead to: a false state, acts against the rules, other times, other documents."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from ledger.audit.progress import Anchor
from ledger.crypto.canonical import canonical_json
from ledger.evidence.audit_report import open_audit_report, sign_audit_report
from ledger.evidence.bundle import Bundle, Document
from ledger.evidence.report import Report
from ledger.evidence.verifier import verify_history
from ledger.evidence.violation import LoggedEntry, Violation
from ledger.log.multiproof import inclusion_multiproof
from ledger.log.proofs import inclusion_proof
from ledger.state.records import BatchRecord, CredentialRecord, IdentifierRecord
from ledger.state.transition import transition
from ledger.state.view import Changes, MemoryState
from ledger.statements import Statement, decode_statement
from node.audit import AuditOptions, audit
from tests.evidence.bundles import DOCUMENT, ITEM, LogSource, step, verdict
from tests.evidence.test_verifier import Lawless, beyond_scope
from tests.hostile.liar import ALONE, CANNOT_TELL, INVALID, VALID, Operator, Shown
from tests.world import Party, credential, key

HOUR = 3_600


def convicted(operator: Operator, lie: Shown, work: Path) -> int | None:
    """The replaying witness alone refuses the lie; its file, and a replay of what is served, name this entry."""
    assert list(lie.refused) == ["replaying.example"]
    return operator.convicts(operator.witnesses.violation(), work)


def unvouched(report: Report) -> bool:
    """The plain witnesses cosigned, the replaying one did not: the state rests on the operator alone."""
    return (verdict(report, 9), verdict(report, 7), report.overall) == (VALID, CANNOT_TELL, CANNOT_TELL)


def test_the_operator_hides_a_revocation(operator: Operator, tmp_path: Path) -> None:
    alone = operator.policy(**ALONE)
    certifier, sub = operator.parties["certifier"], operator.certification.sub
    before = operator.show()
    old = Bundle.decode(before.about(operator.certification))
    assert operator.judged(old.encode()).overall is VALID
    operator.pass_time(10)
    revocation = operator.world.put(operator.world.status(certifier, sub, "revoked", "issuer", 1))
    operator.pass_time(10)
    now = operator.show()
    fresh = Bundle.decode(now.about(operator.certification))
    assert verdict(operator.judged(fresh.encode()), 13) is INVALID  # the truth
    proof = now.about(revocation)
    assert operator.judged(proof).overall is VALID
    assert (Bundle.decode(proof).index or 0) >= before.source.size  # what was shown before contradicts nothing

    # The old state under the fresh checkpoint: whichever manifest is shown, a step sees it, whoever is trusted.
    indexes = [index for index, _ in old.entries]
    proven = tuple(inclusion_multiproof(indexes, now.source.size, now.source.node))
    for lie, number, found in (
        (replace(old, checkpoint=fresh.checkpoint), 5, INVALID),
        (replace(old, checkpoint=fresh.checkpoint, inclusion=proven), 6, CANNOT_TELL),
        (replace(fresh, claims=old.claims, state=old.state, touches=old.touches), 7, INVALID),
    ):
        for policy in (operator.policy(), alone):
            report = operator.judged(lie.encode(), policy)
            assert (verdict(report, number), report.overall) == (found, found)

    # A new manifest that commits to the state before the revocation: that is a lie with a signature under it.
    place = (CredentialRecord, sub)
    operator.witnesses.clock.passes(10)
    operator.close_with(lambda records: records.update({place: before.source.state.records[place]}))
    signed = operator.show()
    signed.source.touched[place] = before.source.touched[place]
    shown = signed.about(operator.certification)
    assert unvouched(operator.judged(shown))
    assert convicted(operator, signed, tmp_path) == signed.source.size - 1
    # Who believes the operator is fooled; beside it the bundle of the revocation is of the same log, and older.
    assert [operator.judged(raw, alone).overall for raw in (shown, proof)] == [VALID, VALID]
    assert (Bundle.decode(proof).index or 0) < (step(operator.judged(proof), 7).size or 0) < signed.source.size


def test_the_operator_writes_a_false_state_root(operator: Operator, tmp_path: Path) -> None:
    honest = operator.show()
    assert operator.judged(honest.about(operator.certification)).overall is VALID
    index = honest.source.size - 1
    honest_entry = LoggedEntry(
        index, honest.source.entries[index], tuple(inclusion_proof(index, index + 1, honest.source.node))
    )
    invented = Violation("a witness says so", operator.clock, honest.note, honest_entry, honest_entry)
    assert operator.convicts(invented.encode(), tmp_path / "honest") is None  # a file convicts by what it holds

    operator.witnesses.clock.passes(10)
    world = operator.world
    world.entries.append(world.manifest(operator.clock, state=bytes(31) + b"\x01"))
    lie = operator.show()
    bundle = lie.about(operator.certification)
    for policy in (operator.policy(), operator.policy(**ALONE)):
        report = operator.judged(bundle, policy)
        assert (verdict(report, 7), report.overall) == (INVALID, INVALID)
    assert convicted(operator, lie, tmp_path / "work") == index + 1

    auditor = key("auditor")
    report_file = sign_audit_report(
        auditor, audit(operator.folder, AuditOptions(work=tmp_path / "audit", processes=1), lambda: operator.clock)
    )
    told = open_audit_report(report_file, [(auditor.suite.alg or 0, auditor.public_key)])
    assert (told.size, told.vouches_for_state) == (lie.source.size, False)
    assert [(failure.code, failure.index) for failure in told.failures] == [("manifest", index + 1)]


def test_the_operator_claims_that_an_identifier_was_never_registered(operator: Operator, tmp_path: Path) -> None:
    alone = operator.policy(**ALONE)
    early = operator.show().absence("vaa:88.118.8/NEW")
    assert operator.judged(early).overall is VALID  # it is not, at that size
    enterprise = operator.parties["enterprise"]
    registered = operator.world.put(operator.world.registration(enterprise, "vaa:88.118.8/NEW", "vaa/88.118.8"))
    operator.pass_time(10)
    honest = operator.show()
    held = honest.about(registered)
    assert operator.judged(held, alone).overall is VALID
    assert (Bundle.decode(held).index or 0) >= (step(operator.judged(early), 7).size or 0)  # no contradiction

    true = Bundle.decode(honest.absence("vaa:88.118.8/NEW"))
    assert verdict(operator.judged(true.encode()), 13) is INVALID
    claims = tuple(claim._replace(record=None) if claim.kind == "identifier" else claim for claim in true.claims)
    for policy in (operator.policy(), alone):
        assert verdict(operator.judged(replace(true, claims=claims).encode(), policy), 7) is INVALID

    operator.witnesses.clock.passes(10)
    operator.close_with(lambda records: records.pop((IdentifierRecord, "vaa:88.118.8/NEW")))
    lie = operator.show()
    absent = lie.absence("vaa:88.118.8/NEW")
    assert unvouched(operator.judged(absent))
    assert convicted(operator, lie, tmp_path) == lie.source.size - 1
    # Who believes the operator is fooled, until the holder shows the older bundle of the registration.
    assert [operator.judged(raw, alone).overall for raw in (absent, held)] == [VALID, VALID]
    assert (Bundle.decode(held).index or 0) < (step(operator.judged(absent, alone), 7).size or 0)


def test_the_operator_admits_an_out_of_scope_certificate(operator: Operator, tmp_path: Path) -> None:
    world, certifier = operator.world, operator.parties["certifier"]
    inside = world.put(world.certification(certifier, ITEM, 8, digest=operator.certification.digest))
    operator.pass_time(10)
    assert operator.judged(operator.show().about(inside)).overall is VALID

    beyond = decode_statement(
        world.certification(certifier, ITEM, 9, claims={"class": "crane"}, digest=operator.certification.digest)
    )
    index = len(world.entries)
    world.state.apply(beyond_scope(world.state, beyond, index))
    world.entries.append(beyond.raw)
    world.counts["certification"] += 1
    operator.pass_time(10)
    lie = operator.show(Lawless)
    bundle = lie.about(beyond)
    for policy in (operator.policy(), operator.policy(**ALONE)):  # the bundle convicts, whoever vouches for the state
        report = operator.judged(bundle, policy)
        assert (verdict(report, 11), report.overall) == (INVALID, INVALID)
        assert "out_of_scope" in step(report, 11).reason
    assert operator.judged(lie.about(inside), operator.policy(**ALONE)).overall is VALID  # others do not suffer
    assert convicted(operator, lie, tmp_path) == index


def test_the_operator_changes_the_state_without_a_statement(operator: Operator, tmp_path: Path) -> None:
    alone = operator.policy(**ALONE)
    thing = next(found for found in map(decode_statement, operator.world.entries) if found.sub == "vaa:88.118.8/B3")
    honest = operator.show().about(thing)
    assert operator.judged(honest, alone).overall is VALID
    assert verify_history(honest, operator.policy(), operator.clock).report.overall is VALID

    place, thief = (IdentifierRecord, thing.sub), Party("thief")
    operator.witnesses.clock.passes(10)
    operator.close_with(lambda records: records.update({place: records[place]._replace(holder=thief.did)}))
    lie = operator.show()
    bundle = lie.about(thing)
    assert unvouched(operator.judged(bundle))
    for policy in (operator.policy(), alone):  # the signed state does not follow from the record's whole history
        whole = verify_history(bundle, policy, operator.clock).report
        assert (verdict(whole, 11), whole.overall) == (INVALID, INVALID)
        assert "do not lead to the record" in step(whole, 11).reason
    assert convicted(operator, lie, tmp_path) == lie.source.size - 1


# -- time --------------------------------------------------------------------------------------------------------------


class Pretending(LogSource):
    """A log whose operator admitted credential 9 as if log time were `time`."""

    time = 0

    def admit(self, statement: Statement, index: int) -> Changes:
        if statement.sub != credential(9):
            return super().admit(statement, index)
        return earlier(self.state, statement, index, self.time)


def earlier(state: MemoryState, statement: Statement, index: int, time: int) -> Changes:
    """What the rules would do if log time were `time`."""
    pretended = MemoryState()
    place = (BatchRecord,)
    pretended.records = state.records | {place: state.records[place]._replace(time=time)}
    return transition(pretended, statement, index)


def short_lived(operator: Operator) -> tuple[Party, int]:
    """A certifier whose accreditation ends soon, and when."""
    world, brief = operator.world, Party("brief")
    world.enrol(brief, "certifier")
    ends = world.now + 100
    world.accredit(operator.parties["accreditor"], brief, exp=ends)
    operator.pass_time(10)
    return brief, ends


def test_the_operator_backdates_an_entry(operator: Operator, tmp_path: Path) -> None:
    brief, ends = short_lived(operator)
    in_time = operator.world.put(operator.world.certification(brief, ITEM, 8, digest=operator.certification.digest))
    operator.pass_time(10)
    assert operator.judged(operator.show().about(in_time)).overall is VALID

    operator.pass_time(200)
    operator.show()
    world, pretended = operator.world, ends - 10
    late = decode_statement(
        world.certification(brief, ITEM, 9, digest=operator.certification.digest, iat=pretended, nbf=pretended)
    )
    index = len(world.entries)
    world.state.apply(earlier(world.state, late, index, pretended))
    world.entries.append(late.raw)
    world.counts["certification"] += 1
    operator.witnesses.clock.passes(10)
    kind = type("Then", (Pretending,), {"time": pretended})
    honest = operator.twin(world.fork())
    world.entries.append(world.manifest(operator.clock, began=pretended))  # as if the batch had begun back then
    lie = operator.show(kind)
    assert unvouched(operator.judged(lie.about(late)))
    fooled = operator.judged(lie.about(late), operator.policy(**ALONE))
    assert fooled.overall is VALID
    assert "the operator" in " ".join(fooled.rests_on)
    assert convicted(operator, lie, tmp_path / "work") == index

    honest.world.close(operator.clock)  # without the false beginning the bundle convicts itself
    told = operator.judged(honest.show(kind).about(late), operator.policy(**ALONE))
    assert (verdict(told, 11), told.overall) == (INVALID, INVALID)


def claimed_too_early(before: Report, of: Report) -> bool:
    """Whether two bundles show together that an entry's log time is not the time at which it came into the log.

    By the first a quorum of witnesses was still shown the smaller log at a time later, beyond all lag, than the log
    time at which the second says that the entry was admitted.
    """
    seen, issued = step(before, 9), step(of, 11)
    assert all(verdict(before, number) is VALID for number in (5, 8, 9))
    assert all(verdict(of, number) is VALID for number in (5, 8, 11))
    assert None not in (seen.size, seen.time, issued.size, issued.time)
    return (seen.size or 0) <= (issued.size or 0) and (seen.time or 0) > (issued.time or 0) + HOUR


def test_the_operator_freezes_its_clock_so_that_an_expired_certifier_can_issue(
    operator: Operator, tmp_path: Path
) -> None:
    brief, ends = short_lived(operator)
    first = operator.judged(operator.show().absence(credential(8)))
    in_time = operator.world.put(operator.world.certification(brief, ITEM, 8, digest=operator.certification.digest))
    operator.pass_time(10)
    honest = operator.judged(operator.show().about(in_time))
    assert honest.overall is VALID
    assert not claimed_too_early(first, honest)

    operator.witnesses.clock.passes(3 * HOUR)  # nothing happens, and the witnesses cosign the same again
    idle = operator.judged(operator.show().absence(credential(9)))
    late = operator.world.put(operator.world.certification(brief, ITEM, 9, digest=operator.certification.digest))
    operator.world.close(operator.world.now)  # as if no time had passed
    assert operator.world.now < ends < operator.clock
    lie = operator.show()
    report = operator.judged(lie.about(late))
    assert (verdict(report, 6), verdict(report, 7), report.overall) == (CANNOT_TELL, CANNOT_TELL, CANNOT_TELL)
    assert (step(report, 9).time or 0) - (step(report, 6).time or 0) == 3 * HOUR
    assert list(lie.refused) == ["replaying.example"]
    shown = Violation.decode(operator.witnesses.violation())
    assert shown.check([operator.vkey]).size == lie.source.size
    assert decode_statement(shown.manifest.entry).iat + 3 * HOUR == shown.time

    # The clock goes on, and the replaying witness with it, for the log is of now again. What was shown stays shown.
    operator.pass_time(10)
    thawed = operator.show()
    assert thawed.refused == {}
    after = operator.judged(thawed.about(late))
    assert (verdict(after, 11), verdict(after, 12), after.overall) == (VALID, INVALID, VALID)
    assert claimed_too_early(idle, after)
    assert not claimed_too_early(idle, operator.judged(thawed.about(in_time)))  # who issued in time is not touched
    auditor = key("auditor")
    anchor = Anchor(lie.source.size, lie.source.root, operator.clock - 10)
    options = AuditOptions(work=tmp_path / "audit", processes=1, chain_anchors=lambda _: [anchor])
    audited = sign_audit_report(auditor, audit(operator.folder, options, lambda: operator.clock))
    told = open_audit_report(audited, [(auditor.suite.alg or 0, auditor.public_key)])
    assert f"log time was at most {3 * HOUR} seconds behind the block of an anchor" in told.notes


# -- documents ---------------------------------------------------------------------------------------------------------


def test_the_operator_swaps_documents(operator: Operator) -> None:
    other = canonical_json(DOCUMENT | {"rating": 1})
    elsewhere = canonical_json(DOCUMENT | {"credentialSubject": {"id": "vaa:88.118.8/B1"}})
    world, certifier = operator.world, operator.parties["certifier"]
    signed = world.put(world.certification(certifier, ITEM, 9, digest=hashlib.sha256(elsewhere).digest()))
    operator.pass_time(10)
    shown = operator.show()
    bundle = Bundle.decode(shown.about(operator.certification))
    assert operator.judged(bundle.encode()).overall is VALID

    for policy in (operator.policy(), operator.policy(**ALONE)):
        report = operator.judged(replace(bundle, documents=(Document(other),)).encode(), policy)
        assert (verdict(report, 3), report.overall) == (INVALID, INVALID)
        assert hashlib.sha256(other).hexdigest() in step(report, 3).reason  # beside the digest that was signed
    assert verdict(operator.judged(replace(bundle, documents=()).encode()), 3) is CANNOT_TELL  # one that is not shown

    # A document that the certifier did sign, admitted although it says something else than the statement.
    contradicting = Bundle.decode(shown.about(signed))
    report = operator.judged(replace(contradicting, documents=(Document(elsewhere),)).encode())
    assert (verdict(report, 3), report.overall) == (INVALID, INVALID)
    assert verdict(report, 4) is VALID
