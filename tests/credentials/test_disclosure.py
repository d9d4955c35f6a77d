"""Concealed members are found again only with their own disclosures."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.credentials.disclosure import DisclosureError, conceal, digest_of, reveal
from ledger.crypto.canonical import canonical_json

DOCUMENT: dict[str, Any] = {
    "id": "urn:uuid:1",
    "credentialSubject": {"id": "vaa:88.118.8/A", "lab": {"name": "laboratory", "score": 7}, "batch": "L1"},
}
names = st.text("abcdefgh", min_size=1, max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text("xyz ", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def test_all_disclosures_give_the_document_back():
    concealed, disclosures = conceal(DOCUMENT, ["/credentialSubject/lab/name", "/credentialSubject/lab", "/id"])
    assert "laboratory" not in canonical_json(concealed).decode()
    assert "lab" not in concealed["credentialSubject"]
    assert reveal(concealed, disclosures) == DOCUMENT


def test_what_is_not_disclosed_stays_away():
    concealed, disclosures = conceal(DOCUMENT, ["/credentialSubject/lab", "/credentialSubject/batch"])
    revealed = reveal(concealed, disclosures[1:])
    assert revealed["credentialSubject"] == {"id": "vaa:88.118.8/A", "batch": "L1"}


def test_equal_values_have_unequal_digests():
    one, _ = conceal({"a": 1}, ["/a"])
    two, _ = conceal({"a": 1}, ["/a"])
    assert one["_sd"] != two["_sd"], "each member has 128 bits of salt of its own"


@given(st.dictionaries(names, values, min_size=1, max_size=5), st.data())
def test_any_choice_of_members_comes_back(document: dict[str, Any], data: st.DataObject):
    chosen = data.draw(st.lists(st.sampled_from(sorted(document)), unique=True))
    concealed, disclosures = conceal(document, [f"/{name}" for name in chosen])
    assert set(concealed) - {"_sd", "_sd_alg"} == set(document) - set(chosen)
    assert reveal(concealed, disclosures) == document


@pytest.mark.parametrize(
    "change", ["foreign", "twice", "salt", "value", "padded", "not base64", "not an array", "reserved"]
)
def test_a_disclosure_that_does_not_belong_is_refused(change: str):
    concealed, disclosures = conceal(DOCUMENT, ["/id"])
    _, foreign = conceal({"id": "urn:uuid:1"}, ["/id"])

    def text(value: Any) -> str:
        return base64.urlsafe_b64encode(canonical_json(value)).rstrip(b"=").decode()

    bad = {
        "foreign": foreign,
        "twice": disclosures * 2,
        "salt": [text(["AAAA", "id", "urn:uuid:1"])],
        "value": [text(["AAAAAAAAAAAAAAAAAAAAAA", "id", "urn:uuid:2"])],
        "padded": [disclosures[0] + "="],
        "not base64": ["!!!"],
        "not an array": [text({"id": 1})],
        "reserved": [text(["AAAAAAAAAAAAAAAAAAAAAA", "_sd", 1])],
    }[change]
    with pytest.raises(DisclosureError):
        reveal(concealed, bad)


def test_a_disclosure_cannot_overwrite_a_visible_member():
    concealed, disclosures = conceal({"a": 1, "b": 2}, ["/a"])
    forged = dict(concealed, a=3)
    with pytest.raises(DisclosureError, match="there already"):
        reveal(forged, disclosures)


@pytest.mark.parametrize("pointer", ["", "/nothing", "/id/deeper", "id"])
def test_only_members_that_are_there_can_be_concealed(pointer: str):
    with pytest.raises(DisclosureError):
        conceal(DOCUMENT, [pointer])


def test_reserved_names_are_refused():
    with pytest.raises(DisclosureError, match="reserved"):
        conceal({"a": {"_sd": []}}, ["/a"])


def test_the_digest_is_that_of_the_standard():
    """RFC 9901 section 4.2.3, its example for the family name."""
    disclosure = "WyI2cU1RdlJMNWhhaiIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert digest_of(disclosure) == "uutlBuYeMDyjLLTpf6Jxi7yNkEF35jdyWMn9U7b_RYY"
