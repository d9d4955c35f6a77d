"""The story side of a bundle: documents, signatures, entitlement, status (steps 3, 4, 11, 12 and 13, DESIGN section 8).

Owns the questions about one statement, asked through a view of the proven state and a past that is run again; and the
question whether something is absent. The verifier asks them of a bundle; the maker of bundles asks them of the log and
puts in whatever was read. Trusts the view and the past; `backing` says who vouches for the state, and where nobody
does, what would be valid is "cannot tell".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.credentials.disclosure import reveal
from ledger.crypto.canonical import document_digest, parse_json
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.bundle import Document
from ledger.evidence.messages import Said, say
from ledger.evidence.past import Past
from ledger.evidence.report import Step, Verdict
from ledger.evidence.signers import possible_keys
from ledger.evidence.standing import BY_HISTORY, compromised, entitled_now, entitled_then, log_time, status_now
from ledger.evidence.steps import check_document, check_signatures
from ledger.identifiers import SCHEMES, parse_subject
from ledger.identifiers.did import METHODS
from ledger.state.places import PARTIES, place_of_subject
from ledger.state.records import ActorRecord, LogRecord, TemplateRecord
from ledger.state.view import Place, Verify, View
from ledger.statements import Statement, subjects


class Story(NamedTuple):
    """What the questions are asked through. `clock` is the verifier's, Unix seconds."""

    view: View
    past: Past
    verify: Verify
    backing: tuple[Said, ...]
    clock: int

    def steps(self, statement: Statement, index: int, documents: Sequence[Document]) -> list[Step]:
        """Steps 3, 4, 11, 12 and 13 about the statement at `index`."""
        answers: tuple[tuple[int, Callable[[], Step | None]], ...] = (
            (3, lambda: self._document(statement, documents)),
            (4, lambda: self._backed(self._signatures(statement, index))),
            (11, lambda: self._backed(self._then(statement, index))),
            (12, lambda: self._backed(entitled_now(self.view, statement, self.backing))),
            (13, lambda: self._backed(status_now(self.view, statement, index, self.backing, clock=self.clock))),
        )
        found: list[Step] = []
        for number, answer in answers:
            try:
                step = answer()
            except LedgerError as error:  # what it needs is not shown, or does not hold together
                step = Step(number, Verdict.CANNOT_TELL, say("missing", why=error.explain()))
            if step is not None:
                found.append(step)
        return found

    def _backed(self, step: Step | None) -> Step | None:
        return step if step is None or self.backing else capped(step)

    def _document(self, statement: Statement, documents: Sequence[Document]) -> Step | None:
        """Step 3: a document is what the statement was signed over, and agrees with it; no other stands beside it."""
        own: Document | None = None
        for document in documents:
            try:
                parsed = parse_json(document.raw)
                digest = document_digest(parsed)
                if digest == statement.digest:
                    reveal(parsed, document.disclosures)
            except MalformedError as error:
                return Step(3, Verdict.INVALID, say("not_a_document", why=error.explain()))
            if statement.digest is None:  # nothing would judge it, and nothing unjudged may stand in what is valid
                return Step(3, Verdict.INVALID, say("document_stray", found=digest.hex()))
            if digest != statement.digest:
                altered = say("document_altered", found=digest.hex(), signed=statement.digest.hex())
                return Step(3, Verdict.INVALID, altered)
            own = document
        if statement.digest is None:
            return None
        if own is None:
            return Step(3, Verdict.CANNOT_TELL, say("document_missing", digest=statement.digest.hex()))
        if statement.type != "certification":
            return check_document(statement, own.raw, None)
        name = statement.claims["template"]
        template = self.view.read(TemplateRecord, *name.split("/", 1))
        if template is None:
            return Step(3, Verdict.INVALID, say("document_no_template", template=name), self.backing)
        return self._backed(check_document(statement, own.raw, template.mapping, rests_on=self.backing))

    def _signatures(self, statement: Statement, index: int) -> Step:
        """Step 4, with every key that ever was the signers', then the reports of compromise."""
        before = self.past.before(index)
        keys = possible_keys(statement, self.view, [self.view.read(LogRecord), before.read(LogRecord)])
        step = check_signatures(statement, keys, rests_on=self.backing, verify=self.verify)
        if step.verdict is not Verdict.VALID:
            return step
        why = compromised(self.view, statement, log_time(before))
        return step if why is None else Step(4, Verdict.INVALID, why, self.backing)

    def _then(self, statement: Statement, index: int) -> Step:
        step = entitled_then(self.past, statement, index)
        if step.verdict is not Verdict.VALID:
            return step
        for at in self.past.supports(index):
            support = self.past.statement(at)
            # A party's acts about itself are settled by whoever reported its keys and confirmed those that remain.
            own = support.sub if support.type in PARTIES else ""
            doubt = compromised(self.view, support, log_time(self.past.before(at)), settled=own)
            if doubt is not None:  # nobody knows whether its author or a thief gave this right
                return Step(11, Verdict.CANNOT_TELL, say("then_doubtful", index=at, why=doubt), (), index)
        return Step(11, step.verdict, step.said, (BY_HISTORY, *self.backing), step.size, step.time)


def absence(view: View, about: str, size: int, backing: tuple[Said, ...]) -> Step:
    """Step 13 where the question is whether something exists: valid where the state holds no record of it."""
    try:
        present = [place for place in places_of(about) if view.read(*place) is not None]
    except LedgerError as error:
        return Step(13, Verdict.CANNOT_TELL, say("missing", why=error.explain()))
    if present:
        return Step(13, Verdict.INVALID, say("not_absent", about=about, size=size), backing, size, log_time(view))
    return Step(13, Verdict.VALID, say("absent", about=about, size=size), backing, size, log_time(view))


def may_be_absent(about: str) -> bool:
    """Whether the absence of `about` says something: it names a thing, and in the one spelling that it would have.

    What exists under another spelling is absent under this one; nobody must be able to show that as "never registered".
    """
    if not places_of(about):
        return False
    kind, *parts = subjects.parse(about)
    if kind == "delegation":
        return parts[0] in SCHEMES and SCHEMES[parts[0]].is_prefix(parts[1])
    if kind == "identifier" or (kind == "actor" and about.split(":", 2)[1] in METHODS):
        try:
            parse_subject(about)
        except MalformedError:
            return False
    return True


def places_of(about: str) -> list[Place]:
    """The records that must be absent for the absence of `about`; none where it is no subject that can be absent."""
    try:
        parsed = subjects.parse(about)
    except MalformedError:
        return []
    if parsed[0] in {"origin", "log", "batch"}:
        return []
    places = [place_of_subject(parsed, about)]
    return [*places, (ActorRecord, about)] if parsed[0] == "actor" else places


def capped(step: Step) -> Step:
    """A step as it is where nobody but the operator vouches for the state: what was valid cannot be told."""
    if step.verdict is not Verdict.VALID:
        return step
    return Step(step.number, Verdict.CANNOT_TELL, say("capped", reason=step.said), (), step.size, step.time)


def remembering(verify: Verify) -> Verify:
    """Check each signature once; ask again and hear the same."""
    known: dict[tuple[int, bytes, bytes, bytes], bool] = {}

    def asked(alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
        place = (alg, key, message, signature)
        answer = known.get(place)
        if answer is None:
            answer = known[place] = verify(alg, key, message, signature)
        return answer

    return asked
