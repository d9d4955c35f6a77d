"""The four questions, each answered and proven.

Who registered it? Who certified it, and were they entitled? What is its status? Is the batch on the chain?

Every answer is found twice. Once here, from what the auditor downloaded, replayed and read on the chain itself: that
rests on nobody's word. And once by POST /v1/verify, whose numbered steps are shown as the node gives them, with what
each of them rests on. A check that fails makes the demonstration fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.answers import check_inclusion
from api.client import Client
from api.demo.auditor import Audit
from api.demo.cast import Cast
from api.demo.onchain import AnchorReader, ChainAnchor
from api.demo.play import Certificate, Story
from ledger.crypto.digests import sha256
from ledger.errors import LedgerError
from ledger.identifiers import subject
from ledger.log.notes import Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tree import root_of
from ledger.state.records import (
    ZERO_HEAD,
    AccreditationRecord,
    ActorRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    TemplateRecord,
    next_head,
)
from ledger.state.view import Place
from ledger.statements import Statement, subjects
from ledger.statements.statement import verify_statement_signature


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. `rests_on` is empty where it was computed here from what is signed."""

    text: str
    passed: bool
    rests_on: str = ""


@dataclass(slots=True)
class Question:
    """A question with its answer, the checks made here, and the node's own report; `steps` of that speak to it."""

    title: str
    answer: str = ""
    checks: list[Check] = field(default_factory=list)
    steps: tuple[int, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def proven(self) -> bool:
        """Whether all that was checked held, here and there."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def check(self, text: str, passed: bool, rests_on: str = "") -> None:
        """Note a check."""
        self.checks.append(Check(text, passed, rests_on))

    def as_json(self) -> dict[str, Any]:
        """The question for the summary."""
        return {
            "question": self.title,
            "answer": self.answer,
            "proven": self.proven,
            "checks": [{"check": c.text, "passed": c.passed, "rests_on": c.rests_on} for c in self.checks],
            "verify": self.report,
        }


class Inquiry:
    """Somebody who asks, holding an audited copy of the log and a way to read the chain."""

    def __init__(
        self, cast: Cast, story: Story, client: Client, *, found: Audit, chain: AnchorReader, vkey: Vkey
    ) -> None:
        """`vkey` is the log's verifier key as known beforehand: the node's own word for it counts for nothing."""
        self.cast = cast
        self.story = story
        self.client = client
        self.audit = found
        self.chain = chain
        self.info = client.log().trusting(vkey.format())
        self.log_id = found.leaves[0]

    def ask(self) -> list[Question]:
        """Ask all four."""
        return [self.who_registered(), self.who_certified(), self.what_status(), self.on_chain()]

    # -- 1 --------------------------------------------------------------------------------------------------------

    def who_registered(self) -> Question:
        """Who registered the identifier that later changed hands, by what right, and who holds it now."""
        name = self.story.transferred
        question = Question(f"Who registered {name}?", steps=(1, 2, 4, 5, 6, 7, 8, 9, 14))
        index = self.story.entries[name]
        entry = self.audit.entries[index]
        maker = self.cast.name_of(entry.iss)
        record = self.audit.state.read(IdentifierRecord, name)
        assert record is not None
        holder = self.cast.name_of(record.holder)
        question.answer = (
            f"The {maker}, as entry {index} on {moment(self.audit.log_times[index])}; held by the {holder} since entry"
            f" {self.story.transfer_entry}"
        )
        self._signed(question, entry, index)
        self._included(question, entry, index)
        self._delegated(question, entry)
        document = self.client.document(entry.digest or b"")
        question.check("the registration document has the digest that was signed", sha256(document) == entry.digest)
        transfer = self.audit.entries[self.story.transfer_entry]
        consented = [self.cast.name_of(consent.iss) for consent in transfer.consents]
        question.check(
            f"the transfer is signed by the {self.cast.name_of(transfer.iss)}, with consent of the"
            f" {', '.join(consented)}",
            transfer.sub == name and transfer.iss == entry.iss and record.holder in {c.iss for c in transfer.consents},
        )
        self._complete(question, (IdentifierRecord, name), record.head)
        question.report = self._verify(question, {"subject": name})
        return question

    def _signed(self, question: Question, entry: Statement, index: int) -> None:
        actor = self.audit.state.read(ActorRecord, entry.iss)
        keys = () if actor is None else actor.keys
        question.check(
            f"entry {index} is signed by a key of the {self.cast.name_of(entry.iss)}"
            f" ({'ES256' if entry.alg == -7 else 'Ed25519'}, {entry.kid.hex()[:16]}…)",
            any(verify_statement_signature(entry, key.key) for key in keys if key.kid == entry.kid),
        )

    def _included(self, question: Question, entry: Statement, index: int) -> None:
        """Check the proof that the node serves against the checkpoint; the log's key is known from before."""
        proof = self.client.inclusion(index)
        try:
            checkpoint = check_inclusion(self.info, entry.raw, proof)
        except LedgerError as error:
            question.check(f"inclusion: {error.explain()}", passed=False)
            return
        question.check(
            f"{len(proof.proof)} hashes lead from entry {index} to the root of the signed checkpoint of size"
            f" {checkpoint.size}",
            checkpoint.size <= len(self.audit.leaves) and checkpoint.root == self.audit.root_at(checkpoint.size),
        )

    def _delegated(self, question: Question, entry: Statement) -> None:
        scheme, prefix = subjects.parse_delegation_ref(entry.claims["delegation"])
        path = []
        while prefix:
            record = self.audit.state.read(DelegationRecord, scheme, prefix)
            if record is None:
                break
            path.append(f"{scheme}/{prefix} to the {self.cast.name_of(record.holder)}")
            prefix = record.parent
        question.check(f"its right comes from the root: {' ← '.join(path)}", bool(path) and not prefix)

    # -- 2 --------------------------------------------------------------------------------------------------------

    def who_certified(self) -> Question:
        """Who certified the same thing, and was and is that certifier entitled."""
        certificate = self._certificate()
        question = Question(f"Who certified it ({certificate.credential}), and were they entitled?", steps=(3, 11, 12))
        entry = self.audit.entries[certificate.entry]
        state = self.audit.state
        credential = state.read(CredentialRecord, certificate.credential)
        accreditation = state.read(AccreditationRecord, entry.iss, entry.claims["accreditation"])
        assert credential is not None
        assert accreditation is not None
        question.answer = (
            f"The {self.cast.name_of(entry.iss)}, under accreditation {credential.accreditation} by the"
            f" {self.cast.name_of(accreditation.accreditor)}; entitled then and now"
        )
        self._signed(question, entry, certificate.entry)
        self._included(question, entry, certificate.entry)
        self._in_scope(question, certificate, entry, accreditation)
        document = self.client.document(entry.digest or b"")
        question.check(
            "the certificate's document has the digest that was signed, and is the one that was issued",
            sha256(document) == entry.digest and document == certificate.document,
        )
        self._complete(question, (AccreditationRecord, entry.iss, credential.accreditation), accreditation.head)
        question.report = self._verify(question, {"subject": certificate.credential})
        return question

    def _in_scope(
        self, question: Question, certificate: Certificate, entry: Statement, accreditation: AccreditationRecord
    ) -> None:
        request, then = certificate.request, self.audit.log_times[certificate.entry]
        question.check(
            f"its scope covers {request.template}, {request.standard}, class {request.product_class}, site"
            f" {request.site}",
            request.template in accreditation.templates
            and request.standard in accreditation.standards
            and request.product_class in accreditation.classes
            and request.site in accreditation.sites,
        )
        question.check(
            f"it was in force at issuance, {moment(then)}, and still is",
            accreditation.state == "active"
            and accreditation.since <= then
            and accreditation.nbf <= then < accreditation.exp
            and accreditation.nbf <= self.audit.log_times[-1] < accreditation.exp,
        )
        template = self.audit.state.read(TemplateRecord, *subjects.parse_template_ref(request.template))
        giver = accreditation.accreditor
        accreditor = self.audit.state.read(ActorRecord, giver)
        question.check(
            f"template and accreditor were put in office by others: {request.template} is approved, the"
            f" {self.cast.name_of(giver)} was enrolled by the root",
            template is not None and template.state == "approved" and accreditor is not None
            and "accreditor" in accreditor.roles and accreditor.enroller == "" and entry.iss != giver,
        )  # fmt: skip

    # -- 3 --------------------------------------------------------------------------------------------------------

    def what_status(self) -> Question:
        """What the state of the five changed certificates is, and of all others."""
        question = Question(f"What is the status of the {len(self.story.certificates)} certificates?", steps=(13,))
        counts: dict[str, int] = {}
        for certificate in self.story.certificates:
            state = self._state_of(certificate.credential)
            counts[state] = counts.get(state, 0) + 1
        question.answer = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        for change in self.story.changes:
            record = self.audit.state.read(CredentialRecord, change.credential)
            view = self.client.lookup(change.credential)
            assert record is not None
            moves = ", ".join(f"{state} ({reason})" for state, reason in change.moves)
            question.check(
                f"{change.credential[9:17]}… is {record.state}: {moves} by the {change.by}; the node says the same",
                record.state == change.expected and view is not None and view.state == record.state,
            )
            self._complete(question, (CredentialRecord, change.credential), record.head)
        changed = {change.credential for change in self.story.changes}
        others = [c.credential for c in self.story.certificates if c.credential not in changed]
        question.check(
            f"the other {len(others)} were never touched and are active",
            all(
                self._state_of(name) == "active" and len(self.audit.touches[CredentialRecord, name]) == 1
                for name in others
            ),
        )
        revoked = next(change for change in self.story.changes if change.expected == "revoked")
        question.report = self._verify(question, {"subject": revoked.credential}, verdict="invalid", step=13)
        return question

    def _state_of(self, credential: str) -> str:
        record = self.audit.state.read(CredentialRecord, credential)
        return "unknown" if record is None else record.state

    # -- 4 --------------------------------------------------------------------------------------------------------

    def on_chain(self) -> Question:
        """Whether the batch that holds the certification is anchored, as the contract itself has it."""
        question = Question("Is the batch on the chain?", steps=(10,))
        anchors = self.chain.anchors(self.log_id)
        index = self._certificate().entry
        covering = [anchor for anchor in anchors if anchor.size > index]
        if not covering:
            question.check(f"an anchor covers entry {index}", passed=False)
            return question
        anchor = covering[0]
        question.answer = (
            f"Yes: root {anchor.root.hex()[:16]}… at size {anchor.size} in block {anchor.block}, {moment(anchor.time)},"
            f" transaction {anchor.tx[:18]}…"
        )
        self._anchored(question, anchors, anchor, index)
        last = anchors[-1]
        question.check(
            f"the newest anchor is the whole log as downloaded: size {last.size}",
            last.size == self.audit.checkpoint.size and last.root == self.audit.checkpoint.root,
            "the chain",
        )
        question.report = self._verify(question, {"index": index})
        return question

    def _anchored(self, question: Question, anchors: Sequence[ChainAnchor], anchor: ChainAnchor, index: int) -> None:
        question.check(
            f"the contract's root at size {anchor.size}, read by web3, is the one computed here from the entries",
            self.chain.root(self.log_id, anchor.size) == self.audit.root_at(anchor.size),
            "the chain",
        )
        question.check(
            f"all {len(anchors)} anchors on the chain are roots of this log",
            all(found.root == self.audit.root_at(found.size) for found in anchors),
            "the chain",
        )
        proof = tuple(self._proof(index, anchor.size))
        leaf = self.audit.leaves[index]
        wrong = sha256(leaf)
        question.check(
            f"the contract itself verifies that entry {index} is in it ({len(proof)} hashes), and refuses another leaf",
            self.chain.includes(self.log_id, anchor.size, index, leaf, proof)
            and not self.chain.includes(self.log_id, anchor.size, index, wrong, proof),
            "the chain",
        )

    def _proof(self, index: int, size: int) -> list[bytes]:
        leaves = self.audit.leaves

        def node(level: int, place: int) -> bytes:
            return root_of(leaves[place << level : (place + 1) << level])

        return inclusion_proof(index, size, node)

    # -- what they share ------------------------------------------------------------------------------------------

    def _certificate(self) -> Certificate:
        """The certificate of the item that changed hands."""
        name = self.story.transferred
        return next(c for c in self.story.certificates if subject(c.request.identifier) == name)

    def _complete(self, question: Question, place: Place, head: bytes) -> None:
        """Check that the node's list of entries about a record is complete: their chain ends in the record's head."""
        touched = self.audit.touches[place]
        chained = ZERO_HEAD
        for index in touched:
            chained = next_head(chained, index, self.audit.leaves[index])
        name = place[1] if len(place) == 2 else subjects.accreditation(*place[1:])
        listed = [entry["index"] for entry in self.client.touches(name)]
        short = name if len(name) < 40 else name[:36] + "…"
        question.check(
            f"its history is complete: {len(touched)} {'entry' if len(touched) == 1 else 'entries'} about {short}",
            chained == head and listed == touched,
        )

    def _verify(
        self, question: Question, request: dict[str, Any], *, verdict: str = "valid", step: int | None = None
    ) -> dict[str, Any]:
        report = self.client.verify(request)
        if step is None:
            text, passed = f"POST /v1/verify answers {report['verdict']}", report["verdict"] == verdict
        else:
            one = next(found for found in report["steps"] if found["step"] == step)
            text = f"POST /v1/verify answers {report['verdict']} for a revoked one, at step {step} ({one['name']})"
            passed = report["verdict"] == verdict and one["verdict"] == verdict
        question.check(text, passed, "; ".join(report.get("rests_on", ())))
        return report


def moment(seconds: int) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
