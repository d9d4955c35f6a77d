"""Canonical JSON: equal to RFC 8785 inside the profile, a named refusal outside it."""

from __future__ import annotations

import datetime as dt
import enum
import json
import unicodedata

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.canonical import MAX_DEPTH, MAX_SIZE, DocumentError, canonical_json, document_digest, parse_json
from ledger.crypto.digests import sha256

LIMIT = 2**53
TEXT = st.text().map(lambda text: unicodedata.normalize("NFC", text))
NAMES = st.text(st.characters(max_codepoint=127))
SCALARS = st.none() | st.booleans() | st.integers(1 - LIMIT, LIMIT - 1) | TEXT
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=6))


def refusal(call, *arguments, **options) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        call(*arguments, **options)
    return caught.value


@given(DOCUMENTS)
def test_inside_the_profile_the_bytes_are_those_of_rfc_8785(document):
    assert canonical_json(document) == rfc8785.dumps(document)


@given(document=DOCUMENTS, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_every_layout_of_a_document_has_one_digest(document, indent, ascii_only):
    layout = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    assert parse_json(layout) == document
    assert document_digest(layout) == document_digest(document) == sha256(rfc8785.dumps(document))


@given(st.binary(max_size=60) | st.text('[]{}",:0123456789.-+eEtrufalsn\\ \n\x00').map(str.encode))
def test_any_bytes_are_parsed_into_the_profile_or_refused(raw):
    try:
        document = parse_json(raw)
    except DocumentError:
        return
    assert canonical_json(document) == rfc8785.dumps(document)


# The published set: "arrays" keeps to our profile, the others hold names, numbers or text that it leaves out.
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("arrays", None),
        ("french", "key"),
        ("structures", "float"),
        ("unicode", "nfc"),
        ("values", "float"),
        ("weird", "key"),
    ],
)
def test_a_published_case_is_reproduced_or_refused_by_name(vectors, name, rule):
    folder = vectors("jcs-rfc8785")
    raw = (folder / "input" / f"{name}.json").read_bytes()
    if rule is not None:
        assert refusal(parse_json, raw).rule == rule
        assert refusal(canonical_json, json.loads(raw)).rule == rule
        return
    expected = (folder / "output" / f"{name}.json").read_bytes()
    assert canonical_json(parse_json(raw)) == expected
    assert expected == bytes.fromhex((folder / "outhex" / f"{name}.txt").read_text())


def test_no_published_case_is_left_out(vectors):
    names = {path.stem for path in (vectors("jcs-rfc8785") / "input").iterdir()}
    assert names == {"arrays", "french", "structures", "unicode", "values", "weird"}


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b'{"a":1,"b":2,"a":1}', "duplicate"),
        (b'{"a":{"\\u0061":1,"a":2}}', "duplicate"),
        (b'{"a":1.0}', "float"),
        (b"1e2", "float"),
        (b"NaN", "float"),
        (b"[-Infinity]", "float"),
        (b"9007199254740992", "integer"),
        (b"-9007199254740992", "integer"),
        (b"9" * 100_000, "integer"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'"\xed\xa0\x80"', "utf-8"),
        (b'"\xff"', "utf-8"),
        ('{"名":1}'.encode(), "key"),
        (b'{"\\ud800":1}', "key"),
        ('"e\u0301"'.encode(), "nfc"),
        (b"", "syntax"),
        (b"{} {}", "syntax"),
        (b"\xef\xbb\xbf{}", "syntax"),
        (b'{"a":1,}', "syntax"),
        (b"{'a':1}", "syntax"),
        (b'"a\nb"', "syntax"),
        (b"01", "syntax"),
        ('{"a":1}'.encode("utf-16"), "utf-8"),
        (b"\x00{\x00}", "syntax"),
        (b"[" * 100_000, "depth"),
        (b'{"a":' * 50_000, "depth"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "depth"),
        (b" " * (MAX_SIZE + 1), "size"),
    ],
)
def test_text_outside_the_profile_is_refused_by_name(raw, rule):
    refused = refusal(parse_json, raw)
    assert (refused.rule, refused.code) == (rule, "malformed")
    assert refused.remedy


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (0.0, "float"),
        (float("nan"), "float"),
        (LIMIT, "integer"),
        (-LIMIT, "integer"),
        ("\ud800", "surrogate"),
        ({1: 2}, "key"),
        ({None: 2}, "key"),
        ((1, 2), "type"),
        (b"bytes", "type"),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "type"),
        (Colour.RED, "type"),
        ("x" * MAX_SIZE, "size"),
    ],
)
def test_values_outside_the_profile_are_refused_by_name(value, rule):
    assert refusal(canonical_json, value).rule == rule


def test_a_document_that_holds_itself_is_refused():
    document: dict[str, object] = {}
    document["self"] = document
    assert refusal(canonical_json, document).rule == "depth"


def test_the_limits_themselves_are_taken():
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert canonical_json(parse_json(deepest)) == deepest
    assert parse_json(b"[9007199254740991,-9007199254740991]") == [LIMIT - 1, 1 - LIMIT]
    assert parse_json(b'"' + b"x" * (MAX_SIZE - 2) + b'"') == "x" * (MAX_SIZE - 2)
    assert refusal(parse_json, b'"abc"', max_size=4).rule == "size"


def test_a_refusal_points_at_the_place():
    assert refusal(parse_json, b'{"items":[{"a/b":1},{"a/b":0.5}]}').rule == "float"
    assert refusal(canonical_json, {"items": [{"a/b": 1}, {"a/b": 0.5}]}).where == "/items/1/a~1b"
    assert refusal(parse_json, b'{"a":\n  x}').where == "line 2 column 3"


def test_long_names_around_many_members_cost_no_more_than_their_bytes():
    document = {"n" * 400_000: [0] * 200_000}
    assert len(canonical_json(document)) == 400_000 + 2 * 200_000 + 6
