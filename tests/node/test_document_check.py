"""Documents are looked at before a statement's turn; when it has come, only by the template that is in force."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ledger.credentials.mapping import ContradictionError
from ledger.crypto.canonical import canonical_json
from ledger.state.records import TemplateRecord
from ledger.statements import decode_statement
from ledger.store.documents import DocumentFolder, DocumentMissingError
from node.document_check import DocumentCheck, Fitness
from tests.world import ITEM, Consortium

OTHER = (("identifier", "/elsewhere"),)


@pytest.fixture
def c() -> Consortium:
    return Consortium()


@pytest.fixture
def check(tmp_path: Path) -> DocumentCheck:
    folder = DocumentFolder(tmp_path)
    folder.put(canonical_json({"credentialSubject": {"id": ITEM}}), "public")
    return DocumentCheck(folder)


@pytest.fixture
def certification(c: Consortium):
    document = canonical_json({"credentialSubject": {"id": ITEM}})
    return decode_statement(c.certification(c.certifier, ITEM, digest=sha256(document).digest()))


def test_what_was_found_ahead_is_not_looked_for_again(check, certification, c: Consortium, tmp_path: Path):
    mapping = check.mapping(certification, c.state)
    found = check.examine(certification, mapping)
    assert found == Fitness(mapping, None)
    DocumentFolder(tmp_path).erase(certification.digest, 1, "asked for by its holder")
    assert check.judge(certification, c.state, found) is None
    assert check.judge(certification, c.state, None) is not None


def test_a_template_that_changed_meanwhile_is_looked_at_again(check, certification, c: Consortium):
    assert check.judge(certification, c.state, Fitness(OTHER, ContradictionError("old"))) is None
    (place,) = [place for place in c.state.records if place[0] is TemplateRecord]
    good = check.examine(certification, check.mapping(certification, c.state))
    c.state.records[place] = c.state.records[place]._replace(mapping=OTHER)
    assert isinstance(check.judge(certification, c.state, good), ContradictionError)


def test_statements_without_a_document_to_compare_are_not_looked_at(check, c: Consortium):
    registration = decode_statement(c.registration(c.registrar, "vaa:88.118.8/NEW", "vaa/88.118"))
    assert check.mapping(registration, c.state) is None
    assert check.judge(registration, c.state, None) is None


def test_a_missing_document_stands_against_a_certification(c: Consortium, tmp_path: Path, certification):
    assert isinstance(
        DocumentCheck(DocumentFolder(tmp_path / "empty")).judge(certification, c.state, None), DocumentMissingError
    )
