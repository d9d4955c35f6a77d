"""A document must say what its statement says."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.credentials.mapping import ContradictionError, check_mapping, resolve
from ledger.statements import Draft, Statement, decode_statement, sign
from tests.world import START, YEAR, Party, credential, key

MAPPING = (("identifier", "/credentialSubject/id"), ("class", "/class"), ("exp", "/validUntil"), ("sub", "/id"))


def certification() -> Statement:
    party = Party("certifier")
    draft = Draft(
        "certification", party.did, credential(1), hashlib.sha256(b"log").hexdigest(), START,
        nbf=START, exp=START + YEAR,
        claims={
            "identifier": "vaa:88.118.8/A", "template": "t/1", "class": "power-supply", "site": "S1", "standard": "G",
            "accreditation": 1,
        },
        digest=bytes(32),
    )  # fmt: skip
    return decode_statement(sign(draft, key("certifier")))


def document(**changes: Any) -> dict[str, Any]:
    return {
        "id": credential(1), "credentialSubject": {"id": "vaa:88.118.8/A"}, "class": "power-supply",
        "validUntil": "2026-06-15T15:06:40Z", **changes,
    }  # fmt: skip


def test_a_document_that_agrees_passes_whichever_way_it_writes_times():
    check_mapping(certification(), MAPPING, document())
    check_mapping(certification(), MAPPING, document(validUntil=START + YEAR))
    check_mapping(certification(), MAPPING, document(validUntil="2026-06-15T23:06:40+08:00"))


@pytest.mark.parametrize(
    "changes",
    [
        {"credentialSubject": {"id": "vaa:88.118.8/B"}},
        {"class": "battery"},
        {"class": ["power-supply"]},
        {"validUntil": "2027-06-15T15:06:40Z"},
        {"validUntil": "2026-06-15T15:06:40"},
        {"validUntil": "next year"},
        {"validUntil": "0001-01-01T00:00:00+14:00"},
        {"validUntil": True},
        {"id": credential(2)},
        {"credentialSubject": {}},
        {"credentialSubject": "vaa:88.118.8/A"},
    ],
)
def test_a_document_that_contradicts_or_lacks_a_member_is_refused(changes: dict[str, Any]):
    with pytest.raises(ContradictionError):
        check_mapping(certification(), MAPPING, document(**changes))


def test_a_mapping_of_a_claim_that_the_statement_lacks_is_refused():
    with pytest.raises(ContradictionError, match="no claim"):
        check_mapping(certification(), (("holder", "/id"),), document())


@given(st.dictionaries(st.text("ab/~", min_size=1, max_size=3), st.integers(), min_size=1, max_size=4))
def test_pointers_reach_every_member(members: dict[str, int]):
    for name, value in members.items():
        assert resolve({"list": [members]}, "/list/0/" + name.replace("~", "~0").replace("/", "~1")) == value
