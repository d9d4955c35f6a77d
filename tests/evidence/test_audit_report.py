"""An auditor's report has one form, is good only by a named key, and cannot say what cannot be true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.audit_report import (
    CHECKS,
    FULL,
    MAX_FAILURES,
    REPLAYED,
    SAMPLE,
    TYPE,
    Anchored,
    AuditReport,
    Failure,
    ReportSignatureError,
    Sample,
    auditor_kid,
    open_audit_report,
    sign_audit_report,
)
from ledger.statements import cose
from ledger.statements.cbor import decode, encode
from tests.world import key

AUDITOR = key("auditor")
KEY = (AUDITOR.suite.alg or 0, AUDITOR.public_key)
REPORT = AuditReport(
    log_id=bytes(32), size=10, root=b"\x01" * 32, state=b"\x02" * 32, mode=FULL, checked=10,
    counts={"genesis": 1, "manifest": 2, "registration": 7}, checks=REPLAYED | {"anchors"}, time=1_750_000_000,
    software="tial 0.1.0", anchors=Anchored(3, 10, b"\x01" * 32),
)  # fmt: skip
BAD = replace(
    REPORT, state=None, checked=4, counts={"genesis": 1, "registration": 3}, failed=1,
    failures=(Failure("bad_signature", "it does not verify", 4),),
)  # fmt: skip
SAMPLED = replace(
    REPORT, mode=SAMPLE, checked=3, counts={"registration": 3}, sample=Sample(b"block", 3),
    checks=frozenset({"checkpoint", "entries", "signatures"}), notes=("only a sample",),
)  # fmt: skip


@st.composite
def reports(draw: st.DrawFn) -> AuditReport:
    digest = st.binary(min_size=32, max_size=32)
    counts = draw(
        st.dictionaries(st.from_regex("[a-z][a-z0-9_-]{0,20}", fullmatch=True), st.integers(0, 9), max_size=6)
    )
    checked = sum(counts.values())
    words = st.text("abc xyz", min_size=1, max_size=40).map(lambda text: f"a{text}b")
    failures = tuple(
        Failure("found", detail, index)
        for detail, index in draw(
            st.lists(st.tuples(words, st.none() | st.integers(0, 2**63)), unique=True, max_size=5)
        )
    )
    sampled = draw(st.booleans())
    size = checked if not sampled and not failures else checked + draw(st.integers(0, 1000))
    return AuditReport(
        log_id=draw(digest), size=size, root=draw(digest), state=draw(st.none() | digest),
        mode=SAMPLE if sampled else FULL, checked=checked, counts=counts,
        checks=draw(st.frozensets(st.sampled_from(sorted(set(CHECKS) - {"rules", "state"})))),
        time=draw(st.integers(0, 2**53 - 1)), software=draw(words), failed=len(failures), failures=failures,
        anchors=draw(st.none() | st.builds(Anchored, st.integers(1, 9), st.integers(0, size), digest)),
        sample=draw(st.builds(Sample, st.binary(min_size=1, max_size=64), st.integers(1, 99))) if sampled else None,
        notes=tuple(draw(st.lists(words, unique=True, max_size=3))),
    )  # fmt: skip


@given(reports())
def test_every_report_is_read_back_as_it_was_signed(report: AuditReport) -> None:
    raw = sign_audit_report(AUDITOR, report)
    assert open_audit_report(raw, [KEY]) == report
    assert auditor_kid(raw) == AUDITOR.kid


@pytest.mark.parametrize("suite", ["ed25519", "es256"])
def test_a_report_is_good_by_a_named_key_only(suite: str) -> None:
    signer, other = key("an auditor", suite), key("another auditor", suite)
    raw = sign_audit_report(signer, REPORT)
    named = (signer.suite.alg or 0, signer.public_key)
    assert open_audit_report(raw, [KEY, named]) == REPORT
    with pytest.raises(ReportSignatureError):
        open_audit_report(raw, [KEY, (other.suite.alg or 0, other.public_key)])
    with pytest.raises(ReportSignatureError):
        open_audit_report(raw, [])


@settings(max_examples=200)
@given(st.data())
def test_no_altered_report_is_accepted(data: st.DataObject) -> None:
    raw = bytearray(sign_audit_report(AUDITOR, SAMPLED))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(LedgerError):
        open_audit_report(bytes(raw), [KEY])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    for reader in (lambda: open_audit_report(raw, [KEY]), lambda: auditor_kid(raw)):
        with pytest.raises(LedgerError):
            reader()


def resigned(payload: Any) -> bytes:
    protected = encode({1: KEY[0], 4: AUDITOR.kid, 16: TYPE})
    body = payload if isinstance(payload, bytes) else encode(payload)
    return cose.join(protected, body, AUDITOR.sign(cose.sig_structure(protected, body)))


def members() -> dict[str, Any]:
    found: dict[str, Any] = decode(cose.split(sign_audit_report(AUDITOR, REPORT)).payload)
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"size": 9}, {"checked": 9}, {"counts": {"manifest": 9}}, {"counts": {}}, {"failed": 1}, {"mode": "quick"},
        {"mode": "sample"}, {"checks": ["state", "rules"]}, {"checks": ["rules", "rules"]}, {"checks": ["faith"]},
        {"sample": {"seed": b"s", "draws": 1}}, {"anchors": {"count": 0, "size": 1, "root": bytes(32)}},
        {"anchors": {"count": 1, "size": 11, "root": bytes(32)}}, {"log": bytes(31)}, {"time": -1}, {"time": 1 << 53},
        {"software": ""}, {"notes": []}, {"surplus": 1}, {"failures": [{"code": "x", "detail": "y"}]},
        {"failed": 1, "failures": [{"code": "x", "detail": ""}]}, {"state": b""}, {"root": None},
    ],
)  # fmt: skip
def test_a_report_that_contradicts_itself_is_refused_though_it_is_signed(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        open_audit_report(resigned(members() | change), [KEY])


@pytest.mark.parametrize("name", ["log", "size", "root", "mode", "checked", "counts", "checks", "failed", "failures"])
def test_a_member_that_is_missing_is_refused(name: str) -> None:
    payload = members()
    del payload[name]
    with pytest.raises(MalformedError):
        open_audit_report(resigned(payload), [KEY])


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xa1", encode([]), encode({}), encode({1: 2})])
def test_another_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        open_audit_report(resigned(payload), [KEY])


def test_a_sample_cannot_claim_a_replay() -> None:
    with pytest.raises(MalformedError):
        sign_audit_report(AUDITOR, replace(SAMPLED, checks=SAMPLED.checks | {"rules"}))


def test_only_a_clean_replay_of_the_whole_log_vouches_for_the_state() -> None:
    assert REPORT.clean
    assert REPORT.vouches_for_state
    for other in (BAD, SAMPLED, replace(REPORT, checks=REPLAYED - {"state"}), replace(REPORT, state=None)):
        assert not other.vouches_for_state
    assert SAMPLED.clean
    assert not BAD.clean


def test_more_failures_than_a_report_spells_out_are_counted() -> None:
    many = tuple(Failure("found", f"number {n}", n) for n in range(MAX_FAILURES))
    report = replace(BAD, failed=1000, failures=many)
    assert open_audit_report(sign_audit_report(AUDITOR, report), [KEY]) == report
    with pytest.raises(MalformedError):
        sign_audit_report(AUDITOR, replace(report, failures=many[:-1]))


def test_an_acknowledgement_is_no_report() -> None:
    protected = encode({1: KEY[0], 4: AUDITOR.kid, 16: "application/vnd.tial.ack+cose"})
    body = encode(members())
    raw = cose.join(protected, body, AUDITOR.sign(cose.sig_structure(protected, body)))
    with pytest.raises(MalformedError):
        open_audit_report(raw, [KEY])
