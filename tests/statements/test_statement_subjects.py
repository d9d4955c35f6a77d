"""Typed subjects: one thing has one subject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.statements import subjects
from ledger.statements.text import text_problem

GOOD = {
    "vaa:88.118.8/JXDY2106023": ("identifier", "vaa", "88.118.8/JXDY2106023"),
    "gs1:01/06901234567892/21/A%2FB": ("identifier", "gs1", "01/06901234567892/21/A%2FB"),
    "vaa:88.118.8/%E6%B0%B4": ("identifier", "vaa", "88.118.8/%E6%B0%B4"),
    "did:bid:efnVUgqQFfYeu97ABf6sGm3WFtVXHZB2": ("actor", "did:bid:efnVUgqQFfYeu97ABf6sGm3WFtVXHZB2"),
    "did:web:localhost%3A8443": ("actor", "did:web:localhost%3A8443"),
    "log:node.example/log": ("origin", "node.example/log"),
    "log:" + "0a" * 32: ("log", "0a" * 32),
    "batch:0": ("batch", 0),
    "batch:18446744073709551615": ("batch", (1 << 64) - 1),
    "delegation:vaa/88.118.8": ("delegation", "vaa", "88.118.8"),
    "delegation:gs1/01/0690": ("delegation", "gs1", "01/0690"),
    "delegation:handle/": ("delegation", "handle", ""),
    "delegation:did/web:%25": ("delegation", "did", "web:%"),
    "template:battery-safety/1.2": ("template", "battery-safety", "1.2"),
    "accreditation:did:web:a.example%253A8443/7": ("accreditation", "did:web:a.example%3A8443", 7),
    "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8": ("credential", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
}


@pytest.mark.parametrize("subject", GOOD)
def test_each_kind_is_parsed_and_built_again(subject):
    kind, *parts = parsed = subjects.parse(subject)
    assert parsed == GOOD[subject]
    assert getattr(subjects, kind)(*parts) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "", "vaa", "vaa:", ":x", "VAA:1", "1a:x", "vaa:a b", "vaa:水", "vaa:%2f", "vaa:%2", "vaa:%", "vaa:a#b",
        "vaa:a?b",
        "vaa:a\n", "vaa:x\u202e", "did:", "did:web", "did:web:", "did:WEB:x", "did:web:a:", "did:web:a%3a",
        "did:web:a/b",
        "did:web:a#k", "log:", "log:a b", "log:a%20b", "log:a+b", "log:%61", "log:" + "0A" * 33 + "%2B", "batch:",
        "batch:01", "batch:-1", "batch:1.0", "batch:٣", "batch:18446744073709551616", "delegation:", "delegation:vaa",
        "delegation:vaa/%41", "delegation:log/x", "delegation:VAA/x", "delegation:vaa/%C3", "template:a", "template:a/",
        "template:/1", "template:a/b/c", "template:-a/1", "accreditation:did:web:a", "accreditation:did:web:a/",
        "accreditation:vaa:x/1", "accreditation:did:web:a/01", "accreditation:did:web:a%3A8443/1", "urn:uuid:",
        "urn:uuid:6BA7B810-9dad-11d1-80b4-00c04fd430c8", "urn:isbn:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "urn:uuid:6ba7b8109dad11d180b400c04fd430c8", "vaa:" + "x" * 2045, "did:web:" + "a" * 2040,
        "delegation:vaa/%00", "delegation:vaa/e%CC%81",
    ],
)  # fmt: skip
def test_anything_else_is_refused(subject):
    with pytest.raises(MalformedError):
        subjects.parse(subject)


@pytest.mark.parametrize(
    "build",
    [
        lambda: subjects.identifier("log", "x"),
        lambda: subjects.identifier("vaa", ""),
        lambda: subjects.identifier("vaa", "a b"),
        lambda: subjects.origin("0a" * 32),
        lambda: subjects.log("0A" * 32),
        lambda: subjects.batch(-1),
        lambda: subjects.batch(1 << 64),
        lambda: subjects.delegation("batch", "1"),
        lambda: subjects.delegation("vaa", "e\u0301"),
        lambda: subjects.template("a/b", "1"),
        lambda: subjects.accreditation("vaa:1", 1),
        lambda: subjects.credential("x"),
        lambda: subjects.actor("vaa:1"),
        lambda: subjects.delegation("vaa", "水" * 300),
    ],
)
def test_builders_refuse_what_could_not_be_parsed(build):
    with pytest.raises(MalformedError):
        build()


@given(st.text(max_size=40))
def test_encoding_is_undone_exactly(text):
    if text_problem(text):
        with pytest.raises(MalformedError):
            subjects.pct_encode(text)
        return
    encoded = subjects.pct_encode(text)
    assert encoded.isascii()
    assert subjects.pct_decode(encoded) == text


@given(st.text(alphabet="%ABCabc0123/:~ é", max_size=12))
def test_a_text_has_no_second_encoding(encoded):
    try:
        text = subjects.pct_decode(encoded)
    except MalformedError:
        return
    assert subjects.pct_encode(text) == encoded


@given(st.one_of(st.text(max_size=60), st.from_regex(r"(vaa|did|log|delegation|template|urn|batch):[ -~]{0,30}")))
def test_any_text_is_refused_or_built_again_from_its_parts(subject):
    try:
        kind, *parts = subjects.parse(subject)
    except MalformedError:
        return
    assert getattr(subjects, kind)(*parts) == subject
