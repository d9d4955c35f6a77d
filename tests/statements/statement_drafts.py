"""One full draft of each statement type, and the tools to take signed bytes apart and put them together wrongly."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from ledger.crypto.suites import Signer, suite_by_name
from ledger.statements import Draft, make_consent, sign, subjects
from ledger.statements.cbor import decode, encode, encode_bytes

ACTOR = suite_by_name("ed25519").from_secret(bytes(range(32)))
OTHER = suite_by_name("es256").from_secret(bytes(range(1, 33)))
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
OTHER_DID = "did:web:partner.example%3A8443:registrar"
LOG_ID = bytes(range(100, 132))
AUD = LOG_ID.hex()
IAT = 1_763_900_000
LATER = IAT + 86_400
IDENTIFIER = "vaa:88.118.8/JXDY2106023"
CREDENTIAL = "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8"
DIGEST = bytes(range(200, 232))

KEY = {"alg": -8, "key": ACTOR.public_key}
OTHER_KEY = {"alg": -7, "key": OTHER.public_key}
ACTOR_KEY = {**KEY, "purposes": ["statement", "consent"], "nbf": IAT}
ROOT = {"members": [{"did": DID, **KEY}, {"did": OTHER_DID, **OTHER_KEY}], "threshold": 2}
POLICY = {"skew": 60, "max_age": 3600, "rotation_delay": 86_400}
WITNESS = "witness.example+0123abcd+" + base64.b64encode(b"\x04" + ACTOR.public_key).decode()


def _draft(name: str, sub: str, **members: Any) -> Draft:
    return Draft(name, DID, sub, members.pop("aud", AUD), IAT, **members)


DRAFTS: dict[str, Draft] = {
    draft.type: draft
    for draft in (
        _draft(
            "genesis", "log:node.example/log", aud=None,
            body={
                "origin": "node.example/log", "keys": {"cose": KEY, "note": KEY}, "root": ROOT, "suites": [-8, -7],
                "policy": POLICY, "rules": 1, "witnesses": [WITNESS],
            },
        ),
        _draft(
            "log", f"log:{AUD}", claims={"seq": 1},
            body={
                "keys": {"cose": KEY, "note": KEY}, "root": ROOT, "suites": [-8], "policy": POLICY, "rules": 2,
                "witnesses": [], "roles": {DID: ["enroller", "regulator"], OTHER_DID: []}, "seal": {"successor": AUD},
            },
        ),
        _draft(
            "actor", DID,
            body={
                "keys": [ACTOR_KEY], "roles": ["registrar"], "name": "示范电子有限公司", "uscc": "91350100M000100Y43",
                "lei": "5493000IBP32UQZ0KL24",
            },
        ),
        _draft("rotation", DID, claims={"seq": 3}, body={"add": [ACTOR_KEY], "remove": [OTHER.kid], "cancel": 7}),
        _draft(
            "compromise", DID, claims={"seq": 4},
            body={"bad": [{"kid": ACTOR.kid, "from": IAT}], "confirmed": [OTHER.kid], "reconfirmed": [DIGEST]},
        ),
        _draft(
            "delegation", "delegation:vaa/88.118.8", nbf=IAT, exp=LATER, body={},
            claims={"holder": DID, "rights": ["register"], "delegation": "vaa/88.118", "reclaim": True, "seq": 2},
        ),
        _draft(
            "template", "template:battery-safety/1.2",
            claims={"industry": "battery", "schema": DIGEST, "state": "approved", "seq": 1},
            body={
                "name": "Battery safety", "mapping": {"class": "/credentialSubject/class", "site": "/a~1b/~0"},
                "standards": ["GB 38031-2020"], "classes": ["*"],
            },
        ),
        _draft(
            "accreditation", f"accreditation:{subjects.pct_encode(OTHER_DID)}/12", nbf=IAT, exp=LATER,
            claims={"certifier": OTHER_DID, "seq": 5},
            body={"templates": ["battery-safety/1.2"], "standards": ["*"], "classes": ["*"], "sites": ["苏州一厂"]},
        ),
        _draft(
            "registration", IDENTIFIER, digest=DIGEST,
            claims={"holder": DID, "delegation": "vaa/88.118.8", "generation": 2, "seq": 9},
        ),
        _draft("transfer", IDENTIFIER, claims={"holder": OTHER_DID, "generation": 2, "seq": 1}, body={}),
        _draft(
            "certification", CREDENTIAL, nbf=IAT, exp=LATER, digest=DIGEST,
            claims={
                "identifier": IDENTIFIER, "generation": 3, "template": "battery-safety/1.2", "class": "traction",
                "site": "苏州一厂", "standard": "GB 38031-2020", "accreditation": 12,
            },
        ),
        _draft(
            "status", CREDENTIAL, body={"note": "Recall of lot 7"},
            claims={"state": "suspended", "reason": "recall", "role": "issuer", "effective": IAT, "seq": 2},
        ),
        _draft(
            "manifest", "batch:17",
            body={
                "first": 2, "count": 3, "counts": {"registration": 3}, "rules": 1, "state": bytes(32), "began": 0,
            },
        ),
    )
}  # fmt: skip

# Types with the member `consents` in their payload; the first group must have it.
NEED_CONSENTS = ("genesis", "log", "actor", "transfer")
MAY_CONSENT = (*NEED_CONSENTS, "rotation", "compromise", "delegation", "template", "accreditation", "status")


def signed(name: str, signer: Signer = ACTOR) -> bytes:
    """Sign the draft of this type, with two consents where the type takes them."""
    draft = DRAFTS[name]
    if name not in MAY_CONSENT:
        return sign(draft, signer)
    digest = draft.consent_digest(signer)
    return sign(draft, signer, [make_consent(OTHER, OTHER_DID, LATER, digest), make_consent(ACTOR, DID, LATER, digest)])


def without(members: Mapping[Any, Any], key: object) -> dict[Any, Any]:
    """Leave one member out."""
    return {name: value for name, value in members.items() if name != key}


def header_of(draft: Draft, signer: Signer = ACTOR, **changes: Any) -> dict[Any, Any]:
    """Decode the draft's protected header to a dictionary that can be spoilt; `changes` go to its claims."""
    header: dict[Any, Any] = decode(draft.protected(signer))
    header[15] |= changes
    return header


def assemble(
    protected: bytes | Mapping[Any, Any],
    payload: bytes | Mapping[Any, Any] = DIGEST,
    signature: bytes = bytes(64),
    *,
    tag: bytes = b"\xd2",
    unprotected: bytes = b"\xa0",
    bstr: Callable[[bytes], bytes] = encode_bytes,
) -> bytes:
    """Write a COSE_Sign1 from parts, however wrong; maps are encoded deterministically."""
    parts = [part if isinstance(part, bytes) else encode(dict(part)) for part in (protected, payload)]
    return tag + b"\x84" + bstr(parts[0]) + unprotected + bstr(parts[1]) + bstr(signature)
