"""What the parties do in the demonstration, up to the published batches: rights, registrations, certificates, changes.

Every act is signed by the party whose act it is, with that party's own key, through the same client and drafts that
`tial` uses. Owns the order of the play and what is remembered for the questions afterwards; decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from api.acts import Desk, Period
from api.answers import ItemResult, Receipt, Refused, check_acknowledgement
from api.cli.documents import certificate_document, registration_document
from api.client import Client
from api.demo.cast import Cast, Party
from api.demo.lines import CertificateRequest, Item
from ledger.crypto.canonical import canonical_json
from ledger.crypto.digests import sha256
from ledger.errors import LedgerError
from ledger.identifiers import subject
from ledger.log.tree import leaf_hash
from ledger.statements import Draft, make_consent, sign

DAY: Final = 86_400
MONTH: Final = 30 * DAY
TEN_YEARS: Final = 3652
IN_FLIGHT: Final = 2
"""Bulk requests under way at once: while the node works on one, the next is on its way."""
MAPPING: Final = {
    "sub": "/id",
    "iss": "/issuer",
    "identifier": "/credentialSubject/id",
    "class": "/credentialSubject/productClass",
    "site": "/credentialSubject/site",
    "standard": "/credentialSubject/standard",
    "nbf": "/validFrom",
    "exp": "/validUntil",
}
"""Claims of a certification and the members of its document that must equal them."""
TEMPLATES: Final[dict[str, dict[str, Any]]] = {
    "product-safety/1": {
        "name": "Product safety certificate 产品安全证书",
        "mapping": MAPPING,
        "standards": ["GB 4943.1-2022", "GB/T 12668.501-2013"],
        "classes": ["power-supply", "industrial-gateway", "servo-drive"],
    },
    "traction-battery/1": {
        "name": "Traction battery certificate 动力电池证书",
        "mapping": MAPPING,
        "standards": ["GB 38031-2020", "GB/T 38661-2020"],
        "classes": ["cell", "module", "pack", "battery-management-unit"],
    },
}
INDUSTRY: Final = "c38"  # electrical machinery, GB/T 4754
SCHEMA: Final = {
    "title": "certificate of conformity",
    "required": ["id", "issuer", "validFrom", "validUntil", "credentialSubject"],
}
CERTIFIER_SCOPE: Final = {
    "templates": list(TEMPLATES),
    "standards": [standard for template in TEMPLATES.values() for standard in template["standards"]],
    "classes": [name for template in TEMPLATES.values() for name in template["classes"]],
    "sites": ["SITE-E1", "SITE-B1"],
}
LABORATORY_SCOPE: Final = {
    "templates": ["product-safety/1"],
    "standards": ["GB 4943.1-2022"],
    "classes": ["power-supply"],
    "sites": ["SITE-E1"],
}


@dataclass(frozen=True, slots=True)
class Submission:
    """Many statements of one party, submitted in one stream. Times in seconds, sizes in bytes."""

    label: str
    receipts: tuple[Receipt, ...]
    raws: tuple[bytes, ...]
    signing: float
    documents: float
    submitting: float
    acknowledged: int

    @property
    def count(self) -> int:
        """How many statements."""
        return len(self.raws)

    @property
    def bytes(self) -> int:
        """Their size together."""
        return sum(map(len, self.raws))


@dataclass(frozen=True, slots=True)
class Certificate:
    """An issued certificate: its subject, what it is about, its document and its entry."""

    credential: str
    request: CertificateRequest
    document: bytes
    entry: int


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A change of one certificate's state. `expected` is what the state must be once all changes are in."""

    credential: str
    by: str
    moves: tuple[tuple[str, str], ...]
    expected: str
    entries: tuple[int, ...]


@dataclass(slots=True)
class Story:
    """What happened so far."""

    registrations: list[Submission] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    certifications: Submission | None = None
    certificates: list[Certificate] = field(default_factory=list)
    changes: list[StatusChange] = field(default_factory=list)
    transferred: str = ""
    transfer_entry: int = 0


class UnexpectedError(LedgerError):
    """The demonstration met something that it did not expect: it fails, loudly."""

    code = "demo-unexpected"


class Play:
    """The parties at one node. `operator` is a client with the operator's token."""

    def __init__(self, cast: Cast, client: Client, operator: Client) -> None:
        self.cast = cast
        self.client = client
        self.operator = operator
        self.story = Story()
        self.now = int(time.time())

    def desk(self, party: Party) -> Desk:
        """The desk at which `party` drafts its acts."""
        return Desk(self.client, party.did)

    def submit(self, party: Party, draft: Draft, *consenting: Party) -> Receipt:
        """Sign an act, with the consents it needs, and submit it."""
        digest = draft.consent_digest(party.signer) if consenting else b""
        consents = [make_consent(other.signer, other.did, self.now + DAY, digest) for other in consenting]
        return self.client.submit(sign(draft, party.signer, consents))

    # -- rights ---------------------------------------------------------------------------------------------------

    def enrol(self) -> None:
        """Enrol everybody: the root those with public offices, the second-level node those below it."""
        cast = self.cast
        for party in cast.enrolled:
            by_root = party in (cast.operator, cast.accreditor, cast.regulator)
            draft = self.desk(party).enrol([party.signer], party.name, party.roles, uscc=party.uscc)
            self.submit(party, draft, *(cast.root[:2] if by_root else (cast.operator,)))

    def delegate(self) -> list[tuple[str, str, str]]:
        """Delegate prefixes from the root down; returns (from, prefix, to)."""
        cast = self.cast
        root, both = cast.root[0], ["delegate", "register"]
        plan = (
            (root, "vaa/88.118", cast.operator, both, ""),
            (root, "gs1/690", cast.operator, both, ""),
            (root, "battery/08E", cast.battery, ["register"], ""),
            (cast.operator, "vaa/88.118.8", cast.electronics, ["register"], "vaa/88.118"),
            (cast.operator, "vaa/88.118.21", cast.battery, ["register"], "vaa/88.118"),
            (cast.operator, "gs1/6901234", cast.electronics, ["register"], "gs1/690"),
        )
        for giver, prefix, holder, rights, parent in plan:
            # Below the root's own a little shorter: a delegation stays inside its parent's dates.
            days = TEN_YEARS if giver is root else TEN_YEARS - 1
            period = Period(self.now - (DAY if giver is root else 0), self.now + days * DAY)
            draft = self.desk(giver).delegate(prefix, holder.did, rights, period, parent=parent)
            self.submit(giver, draft, *([cast.root[1]] if giver is root else []))
        return [("root" if giver is root else giver.name, prefix, holder.name) for giver, prefix, holder, *_ in plan]

    def approve(self) -> None:
        """Approve the templates and accredit both certifiers."""
        desk = self.desk(self.cast.accreditor)
        schema = sha256(canonical_json(SCHEMA))
        for ref, body in TEMPLATES.items():
            self.submit(self.cast.accreditor, desk.template(ref, INDUSTRY, schema, body))
        period = desk.period(3 * 365, self.now - DAY)
        for certifier, scope in ((self.cast.certifier, CERTIFIER_SCOPE), (self.cast.laboratory, LABORATORY_SCOPE)):
            self.submit(self.cast.accreditor, desk.accredit(certifier.did, 1, scope, period))

    # -- registrations --------------------------------------------------------------------------------------------

    def register(self, party: Party, label: str, items: Sequence[Item]) -> Submission:
        """Register a line's items for their maker: documents first, then statements, as one stream each."""
        start = time.perf_counter()
        desk = self.desk(party)
        documents = [registration_document(subject(item.identifier), party.did, item.members) for item in items]
        raws = [
            sign(desk.first_registration(item.identifier, sha256(document), party.did), party.signer)
            for item, document in zip(items, documents, strict=True)
        ]
        signed = time.perf_counter()
        self._put(documents)
        stored = time.perf_counter()
        submission = self._submit_many(label, raws, signed - start, stored - signed)
        for item, receipt in zip(items, submission.receipts, strict=True):
            self.story.entries[subject(item.identifier)] = receipt.index
        self.story.registrations.append(submission)
        return submission

    def _put(self, documents: Iterable[bytes]) -> None:
        for result in self.client.put_documents(documents, in_flight=IN_FLIGHT):
            if isinstance(result, Refused):
                raise UnexpectedError(f"A document was refused: {result.explain()}", where=result.reason)

    def _submit_many(self, label: str, raws: list[bytes], signing: float, documents: float) -> Submission:
        start = time.perf_counter()
        results = list(self.client.submit_many(raws, in_flight=IN_FLIGHT))
        seconds = time.perf_counter() - start
        receipts = tuple(_taken(result) for result in results)
        for raw, receipt in zip(raws, receipts, strict=True):
            if leaf_hash(raw) != receipt.leaf or receipt.duplicate:
                raise UnexpectedError("The node answered for another statement", where=f"entry {receipt.index}")
        acknowledged = self._check_acknowledgements(receipts)
        return Submission(label, receipts, tuple(raws), signing, documents, seconds, acknowledged)

    def _check_acknowledgements(self, receipts: Sequence[Receipt]) -> int:
        """Check the log's signed promise for every one of these entries; returns how many signatures that were."""
        info = self.client.log()
        checked = 0
        for run, covered in groupby(receipts, key=lambda receipt: receipt.run):
            if run is None:
                raise UnexpectedError("An entry came without an acknowledgement")
            check_acknowledgement(info, run, [receipt.leaf for receipt in covered])
            checked += 1
        return checked

    # -- certificates ---------------------------------------------------------------------------------------------

    def certify(self, requests: Sequence[CertificateRequest]) -> Submission:
        """Issue the certificates asked for: documents first, since the node compares them with the claims."""
        start = time.perf_counter()
        party = self.cast.certifier
        desk = self.desk(party)
        documents, raws, credentials = [], [], []
        for request in requests:
            period = Period(self.now, self.now + request.months * MONTH)
            document = certificate(request, party.did, period)
            draft = desk.certify(request.credential, certification_claims(request), sha256(document), period)
            documents.append(document)
            raws.append(sign(draft, party.signer))
            credentials.append(request.credential)
        signed = time.perf_counter()
        self._put(documents)
        stored = time.perf_counter()
        submission = self._submit_many("certificates", raws, signed - start, stored - signed)
        self.story.certifications = submission
        self.story.certificates = [
            Certificate(credential, request, document, receipt.index)
            for credential, request, document, receipt in zip(
                credentials, requests, documents, submission.receipts, strict=True
            )
        ]
        return submission

    def change_states(self) -> list[StatusChange]:
        """Suspend and withdraw five certificates, for five reasons, by two authorities."""
        certifier, regulator = self.cast.certifier, self.cast.regulator
        plan: tuple[tuple[Party, tuple[tuple[str, str], ...]], ...] = (
            (certifier, (("suspended", "surveillance-overdue"),)),
            (certifier, (("suspended", "report-incomplete"), ("active", "report-completed"))),
            (certifier, (("revoked", "test-report-withdrawn"),)),
            (regulator, (("suspended", "market-sample-failed"),)),
            (regulator, (("suspended", "safety-complaint"), ("revoked", "safety-recall"))),
        )
        chosen = self.story.certificates[1 : 1 + len(plan)]
        for certificate, (party, moves) in zip(chosen, plan, strict=True):
            desk = self.desk(party)
            role = "issuer" if party is certifier else "regulator"
            entries = [
                self.submit(party, desk.status(certificate.credential, state, reason, role=role)).index
                for state, reason in moves
            ]
            self.story.changes.append(
                StatusChange(certificate.credential, party.name, moves, moves[-1][0], tuple(entries))
            )
        return self.story.changes

    def transfer(self) -> Receipt:
        """Pass a certified power supply to the battery enterprise, which consents: it goes into a test bench."""
        cast = self.cast
        name = next(
            subject(c.request.identifier) for c in self.story.certificates if c.request.applicant == "electronics"
        )
        draft = self.desk(cast.electronics).transfer(name, cast.battery.did)
        receipt = self.submit(cast.electronics, draft, cast.battery)
        self.story.transferred, self.story.transfer_entry = name, receipt.index
        return receipt


def certificate(request: CertificateRequest, issuer: str, period: Period) -> bytes:
    """The document of a certificate: every mapped member holds its claim. Canonical JSON."""
    claims = {**certification_claims(request), "iss": issuer, "sub": request.credential}
    return certificate_document(MAPPING, claims, period, request.members())


def certification_claims(request: CertificateRequest) -> Mapping[str, Any]:
    """The claims of a certification that the transition function judges."""
    return {
        "identifier": subject(request.identifier),
        "template": request.template,
        "class": request.product_class,
        "site": request.site,
        "standard": request.standard,
        "accreditation": 1,
    }


def _taken(result: ItemResult) -> Receipt:
    if isinstance(result, Refused):
        raise UnexpectedError(f"A statement was refused: {result.explain()}", where=result.reason)
    return result
