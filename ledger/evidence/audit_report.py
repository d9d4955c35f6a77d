"""The auditor's signed report: what somebody who does not trust the operator checked of a log, and what they found.

Owns the form of the report: a COSE_Sign1 (RFC 9052) of its own type whose payload is one deterministic CBOR map, and
the meaning of its members (docs/formats.md). It names the log, the size and the root, so it speaks of exactly one tree.
Trusts the keys that the caller hands in, and takes the signer's word for what was checked: that is what naming an
auditor in a policy means. A report is never proof of a failure; the entries it points at are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from ledger.crypto.digests import kid
from ledger.crypto.suites import Signer, suite_by_alg
from ledger.errors import LedgerError, MalformedError
from ledger.statements import cose
from ledger.statements.cbor import decode, encode
from ledger.statements.shapes import (
    Members,
    array_of,
    code,
    digest,
    map_of,
    octets_up_to,
    one_of,
    text,
    time,
    uint,
)

TYPE: Final = "application/vnd.tial.audit-report+cose"
FULL: Final = "full"
SAMPLE: Final = "sample"
MAX_FAILURES: Final = 64
"""Failures that a report spells out; `failed` counts them all."""
MAX_DETAIL: Final = 300

CHECKS: Final[Mapping[str, str]] = {
    "checkpoint": "the log's signature on the checkpoint, and its root against the entries that were checked",
    "entries": "every entry checked is in the tree of the checkpoint, byte for byte",
    "signatures": "the signature of every entry checked, consents included",
    "rules": "the transition function over every entry from genesis on: who was entitled, and no act twice",
    "state": "the state tree, rebuilt, against the root in every manifest",
    "manifests": "number, first index, counts and time of every manifest",
    "cosignatures": "the witnesses' cosignatures on the checkpoint, to the quorum of the auditor's policy",
    "anchors": "the root at every anchored size against the anchor, as the node tells of it",
    "chain": "the root at every anchored size against the chain itself",
}
"""What an audit can check, by the code in a report. What a report does not name was not checked."""

REPLAYED: Final = frozenset({"checkpoint", "entries", "signatures", "rules", "state", "manifests"})
"""What a full audit always checks: together they make the state at the report's size."""

AuditorKey: TypeAlias = tuple[int, bytes]
"""(COSE algorithm, public key) of an auditor."""


class ReportSignatureError(LedgerError):
    """A report that no given key signed, or whose signature does not verify."""

    code = "report-signature"


@dataclass(frozen=True, slots=True)
class Failure:
    """One finding: a stable code, a sentence, and the entry it was found at (None: it is about the whole log)."""

    code: str
    detail: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Anchored:
    """The anchors that were compared: how many, and the newest of them."""

    count: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """How the entries of a sample were drawn: seed, and how many draws (`ledger.audit.sample`)."""

    seed: bytes
    draws: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked of the tree of `size` entries with `root`, by whom signed is for `open_audit_report` to say.

    `state`: state root in the manifest at index size - 1, recomputed in full mode, None where that entry is no readable
    manifest. `checked`: entries that were checked, `counts` the same by statement type. `failed`: how many findings
    there are; `failures` holds the first `MAX_FAILURES`. `time`: the auditor's clock, Unix seconds. `checks`: codes of
    `CHECKS`.
    """

    log_id: bytes
    size: int
    root: bytes
    state: bytes | None
    mode: str
    checked: int
    counts: Mapping[str, int]
    checks: frozenset[str]
    time: int
    software: str
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    anchors: Anchored | None = None
    sample: Sample | None = None
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing was found. What was not checked cannot be found: see `checks`."""
        return self.failed == 0

    @property
    def vouches_for_state(self) -> bool:
        """Whether this is a clean replay of the whole log: only then does it speak for the state root (step 7)."""
        return self.clean and self.mode == FULL and self.checks >= REPLAYED and self.state is not None


_FAILURE: Final = Members({"code!": code, "detail!": text(MAX_DETAIL), "index": uint})
_ANCHORS: Final = Members({"count!": uint, "size!": uint, "root!": digest})
_SAMPLE: Final = Members({"seed!": octets_up_to(64), "draws!": uint})
_REPORT: Final = Members(
    {
        "log!": digest,
        "size!": uint,
        "root!": digest,
        "state": digest,
        "mode!": one_of((FULL, SAMPLE)),
        "checked!": uint,
        "counts!": map_of(code, uint),
        "checks!": array_of(one_of(CHECKS)),
        "time!": time,
        "software!": text(128),
        "failed!": uint,
        "failures!": array_of(_FAILURE, most=MAX_FAILURES),
        "anchors": _ANCHORS,
        "sample": _SAMPLE,
        "notes": array_of(text(MAX_DETAIL), least=1, most=16),
    }
)


def sign_audit_report(signer: Signer, report: AuditReport) -> bytes:
    """Return the report as a tagged COSE_Sign1; MalformedError where its members contradict each other."""
    payload = encode(_to_object(report))
    _from_object(decode(payload))
    protected = _protected(signer.suite.alg, signer.public_key)
    return cose.join(protected, payload, signer.sign(cose.sig_structure(protected, payload)))


def open_audit_report(raw: bytes, keys: Iterable[AuditorKey]) -> AuditReport:
    """Check the signature by one of the auditors' keys and return the content.

    Raises:
        MalformedError: other bytes than `sign_audit_report` writes.
        ReportSignatureError: none of the keys signed it, or the signature does not verify.

    """
    parts = cose.split(raw)
    for alg, key in keys:
        if parts.protected == _protected(alg, key):
            if not suite_by_alg(alg).verify(key, parts.signed, parts.signature):
                raise ReportSignatureError("the auditor's signature does not verify", where="signature")
            return _from_object(decode(parts.payload))
    _check_header(parts.protected)
    raise ReportSignatureError(
        "none of the given keys signed this report",
        where="protected.4",
        remedy="Name the auditor's key in the policy, if you trust that auditor",
    )


def auditor_kid(raw: bytes) -> bytes:
    """The key identifier that a report names as its signer; nothing is checked but the form."""
    header = _check_header(cose.split(raw).protected)
    found: bytes = header[4]
    return found


def _protected(alg: int | None, key: bytes) -> bytes:
    return encode({1: alg, 4: kid(key), 16: TYPE})


def _check_header(protected: bytes) -> dict[Any, Any]:
    header = decode(protected)
    if (
        type(header) is not dict
        or header.keys() != {1, 4, 16}
        or header[16] != TYPE
        or type(header[1]) is not int
        or type(header[4]) is not bytes
        or len(header[4]) != 32
    ):
        raise MalformedError("This is not an auditor's report", where="protected")
    return header


def _to_object(report: AuditReport) -> dict[str, Any]:
    members: dict[str, Any] = {
        "log": report.log_id,
        "size": report.size,
        "root": report.root,
        "state": report.state,
        "mode": report.mode,
        "checked": report.checked,
        "counts": dict(report.counts),
        "checks": sorted(report.checks),
        "time": report.time,
        "software": report.software,
        "failed": report.failed,
        "failures": [_failure_object(failure) for failure in report.failures],
        "anchors": None if report.anchors is None else asdict(report.anchors),
        "sample": None if report.sample is None else asdict(report.sample),
        "notes": list(report.notes) or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _failure_object(failure: Failure) -> dict[str, Any]:
    place = {} if failure.index is None else {"index": failure.index}
    return {"code": failure.code, "detail": failure.detail, **place}


def _from_object(value: Any) -> AuditReport:
    _REPORT(value)
    anchors, sample = value.get("anchors"), value.get("sample")
    report = AuditReport(
        log_id=value["log"],
        size=value["size"],
        root=value["root"],
        state=value.get("state"),
        mode=value["mode"],
        checked=value["checked"],
        counts=value["counts"],
        checks=frozenset(value["checks"]),
        time=value["time"],
        software=value["software"],
        failed=value["failed"],
        failures=tuple(Failure(f["code"], f["detail"], f.get("index")) for f in value["failures"]),
        anchors=None if anchors is None else Anchored(anchors["count"], anchors["size"], anchors["root"]),
        sample=None if sample is None else Sample(sample["seed"], sample["draws"]),
        notes=tuple(value.get("notes", ())),
    )
    if value["checks"] != sorted(value["checks"]):
        raise MalformedError("the checks are not in alphabetical order", where="checks")
    _check_agreement(report)
    return report


def _check_agreement(report: AuditReport) -> None:
    """Refuse a report whose members cannot all be true."""
    spelled = len(report.failures)
    if spelled != min(report.failed, MAX_FAILURES):
        raise MalformedError(f"{report.failed} failures are counted, {spelled} spelled out", where="failures")
    if sum(report.counts.values()) != report.checked or report.checked > report.size:
        raise MalformedError("the counts are not those of the entries checked", where="counts")
    if (report.mode == SAMPLE) != (report.sample is not None):
        raise MalformedError("a sample, and nothing else, says how it was drawn", where="sample")
    if report.mode == FULL and report.clean and report.checked != report.size:
        raise MalformedError("a full audit without failures has checked every entry", where="checked")
    if report.mode == SAMPLE and not report.checks.isdisjoint({"rules", "state"}):
        raise MalformedError("a sample cannot have replayed the rules or the state", where="checks")
    if report.anchors is not None and (report.anchors.count == 0 or report.anchors.size > report.size):
        raise MalformedError("the newest anchor checked lies beyond the log that was checked", where="anchors")
