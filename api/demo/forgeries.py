"""Three forgeries, each in the ways a forger would try: certifier out of scope, altered document, another's prefix.

The forgers have real keys and are enrolled; what they lack is the right. Each attempt states beforehand by which name
the log must refuse it: another refusal, or none, makes the demonstration fail.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

import httpx

from api.acts import Desk, Period
from api.answers import ApiError
from api.client import Client
from api.demo.cast import Cast
from api.demo.play import Certificate, Story, certificate, certification_claims
from ledger.crypto.canonical import canonical_json, parse_json
from ledger.crypto.digests import sha256
from ledger.identifiers import parse
from ledger.statements import Draft, sign, subjects

OUT_OF_SCOPE: Final = "out-of-scope certifier"
ALTERED: Final = "altered document"
FOREIGN: Final = "someone else's prefix"
YEAR: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: what was tried, the refusal expected and the one that came, and its explanation."""

    forgery: str
    tried: str
    expected: str
    refused: str
    detail: str

    @property
    def as_expected(self) -> bool:
        """Whether it was refused by the name stated beforehand."""
        return self.refused == self.expected

    def as_json(self) -> dict[str, Any]:
        """The attempt for the summary."""
        return {**asdict(self), "as_expected": self.as_expected}


class Forgers:
    """Those who try. Nothing that they submit may become an entry."""

    def __init__(self, cast: Cast, story: Story, client: Client) -> None:
        self.cast = cast
        self.story = story
        self.client = client
        self.now = int(time.time())

    def try_all(self) -> list[Attempt]:
        """Try everything."""
        return [
            *self.out_of_scope(),
            *self.altered_document(),
            *self.foreign_prefix(),
        ]

    # -- an out-of-scope certifier --------------------------------------------------------------------------------

    def out_of_scope(self) -> list[Attempt]:
        """A laboratory accredited for power supplies certifies a battery."""
        laboratory = self.cast.laboratory
        victim = next(c for c in self.story.certificates if c.request.applicant == "battery")
        request = replace(victim.request, credential=_fresh())
        document = certificate(request, laboratory.did, self._period())
        self.client.put_document(document)
        draft = self._certification(laboratory.did, request.credential, victim, sha256(document))
        return [
            self._attempt(
                OUT_OF_SCOPE,
                f"the {laboratory.name} certifies {request.identifier.normal} ({request.product_class})",
                "out_of_scope",
                lambda: self.client.submit(sign(draft, laboratory.signer)),
            )
        ]

    # -- an altered document --------------------------------------------------------------------------------------

    def altered_document(self) -> list[Attempt]:
        """A better test value is written into a certificate: put into the store, shown to a verifier, certified."""
        victim = self.story.certificates[0]
        altered = _improved(victim.document)
        digest = sha256(victim.document).hex()
        certifier = self.cast.certifier
        other = certificate(replace(victim.request, credential=_fresh()), certifier.did, self._period())
        self.client.put_document(other)
        contradicting = self._certification(certifier.did, _fresh(), victim, sha256(other))
        return [
            self._attempt(
                ALTERED,
                "the altered document is put in the original's place",
                "malformed",
                lambda: self._put_as(digest, altered),
            ),
            self._attempt(
                ALTERED,
                "the altered document is shown with the genuine certification",
                "step 3: document digests and claim mapping",
                lambda: self._shown(victim, altered),
            ),
            self._attempt(
                ALTERED,
                "a document of another certificate is certified",
                "document-contradicts-statement",
                lambda: self.client.submit(sign(contradicting, certifier.signer)),
            ),
        ]

    def _put_as(self, digest: str, document: bytes) -> object:
        headers = {"content-type": "application/json"}
        url = f"{self.client.url}/v1/documents/{digest}"
        answer = httpx.put(url, params={"grade": "public"}, content=document, headers=headers, trust_env=False)
        if answer.is_success:
            return answer
        problem = answer.json()
        raise ApiError(problem["code"], answer.status_code, problem["detail"], where=problem.get("where", ""))

    def _shown(self, victim: Certificate, document: bytes) -> object:
        """Ask for a verification; an answer of invalid is raised as the refusal that it is."""
        report = self.client.verify({"index": victim.entry, "document": base64.b64encode(document).decode()})
        failed = [step for step in report["steps"] if step["verdict"] == "invalid"]
        if report["verdict"] == "invalid" and failed:
            raise ApiError(f"step {failed[0]['step']}: {failed[0]['name']}", 200, failed[0]["reason"])
        return report

    # -- someone else's prefix ------------------------------------------------------------------------------------

    def foreign_prefix(self) -> list[Attempt]:
        """The battery enterprise registers identifiers of the electronics enterprise."""
        forger = self.cast.battery
        vaa = parse("vaa", "88.118.8/PSU-240W-24V.FORGED0001")
        gtin = parse("gs1", "(01)06901234000016(21)FORGED0001")
        desk = Desk(self.client, forger.did)
        digest = sha256(b"{}")
        plan = (
            ("under the delegation of the electronics enterprise", vaa, "vaa/88.118.8", "wrong_signer"),
            ("under its own delegation 88.118.21", vaa, "vaa/88.118.21", "not_covered"),
            ("with the company prefix of the electronics enterprise", gtin, "gs1/6901234", "wrong_signer"),
        )
        attempts = []
        for how, identifier, named, expected in plan:
            raw = sign(desk.first_registration(identifier, digest, forger.did, named), forger.signer)
            tried = f"the {forger.name} registers {identifier.normal} {how}"
            attempts.append(self._attempt(FOREIGN, tried, expected, partial(self.client.submit, raw)))
        return attempts

    # -- what they share ------------------------------------------------------------------------------------------

    def _certification(self, iss: str, credential: str, victim: Certificate, digest: bytes) -> Draft:
        desk = Desk(self.client, iss)
        return desk.certify(credential, certification_claims(victim.request), digest, self._period())

    def _period(self) -> Period:
        return Period(self.now, self.now + YEAR)

    def _attempt(self, forgery: str, tried: str, expected: str, act: Callable[[], object]) -> Attempt:
        try:
            act()
        except ApiError as error:
            return Attempt(forgery, tried, expected, error.code, error.explain())
        return Attempt(forgery, tried, expected, "", "It was taken")


def _fresh() -> str:
    return subjects.credential(str(uuid.uuid4()))


def _improved(document: bytes) -> bytes:
    """The document with its first test value ten times as good."""
    content = parse_json(document)
    test = content["credentialSubject"]["tests"][0]
    test["value"] = f"{test['value']}0"
    return canonical_json(content)
