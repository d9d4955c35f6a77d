"""Bundles that are altered anywhere: the answer is a report, and never valid."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.container import MAX_CONTENT, pack, unpack
from ledger.evidence.report import Verdict
from ledger.evidence.verifier import verify
from ledger.statements.cbor import decode, encode
from tests.evidence.bundles import Scene

JUNK = [None, False, 0, 1, 2**63, 2**64 - 1, -1, b"", bytes(32), b"x" * 64, "", "vaa:88.118.8/A1", [], [[]], {}]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def whole(scene: Scene) -> Any:
    return decode(unpack(scene.bundle().encode()), max_size=MAX_CONTENT)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: list[Any] = list(value) if isinstance(value, dict) else []
    if isinstance(value, list):
        inside = list(range(len(value)))
    return [path, *(found for name in inside for found in places(value[name], (*path, name)))]


@st.composite
def alterations(draw: st.DrawFn, whole: Any) -> Any:
    """The bundle's items with one thing changed: taken out, replaced, flipped, doubled or moved."""
    value = copy.deepcopy(whole)
    *path, last = draw(st.sampled_from([path for path in places(whole) if path]))
    parent = value
    for name in path:
        parent = parent[name]
    found = parent[last]
    match draw(st.integers(0, 4)):
        case 0:
            parent.pop(last)
        case 1 if isinstance(found, bytes) and found:
            at, bit = draw(st.integers(0, len(found) - 1)), draw(st.integers(0, 7))
            parent[last] = found[:at] + bytes([found[at] ^ 1 << bit]) + found[at + 1 :]
        case 2 if isinstance(found, list) and found:
            found.insert(draw(st.integers(0, len(found))), copy.deepcopy(draw(st.sampled_from(found))))
        case 3 if isinstance(found, list) and len(found) > 1:
            parent[last] = found[1:] + found[:1]
        case _:
            parent[last] = draw(st.sampled_from(JUNK))
    return value


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_an_altered_bundle_gives_a_report_that_is_not_valid(scene: Scene, whole: Any, data: st.DataObject):
    altered = data.draw(alterations(whole))
    if altered == whole or (altered.keys() == whole.keys() and altered | {"seal": None} == whole):
        return  # a policy without a roster asks for no seal, whatever stands there
    try:
        raw = pack(encode(altered))
    except MalformedError:
        return  # text that is not NFC, for instance: no such bytes can be written
    report = verify(raw, scene.policy(), scene.clock).report
    assert report.overall is not Verdict.VALID, report.as_text()
    assert report.as_text("zh")
    assert report.as_json()
