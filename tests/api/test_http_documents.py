from __future__ import annotations

import hashlib

import cbor2
import pytest
from test_http_bulk import items
from test_http_submit import check_problem

from ledger.store.documents import DocumentFolder

JSON = {"Content-Type": "application/json"}
SEQUENCE = {"Content-Type": "application/cbor-seq"}


def put(site, data: bytes, digest: str, grade: str = "public"):
    return site.client.put(f"/v1/documents/{digest}?grade={grade}", content=data, headers=JSON)


def test_a_document_comes_back_as_it_was_put(site) -> None:
    data, digest = site.document(text="证书")
    assert put(site, data, digest).status_code == 201
    assert put(site, data, digest).status_code == 200
    answer = site.client.get(f"/v1/documents/{digest}")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, data, "application/json")
    check_problem(put(site, data, digest, "private"), 409, "document-grade")


def test_a_private_document_is_for_the_operator_alone(site) -> None:
    data, digest = site.document()
    assert put(site, data, digest, "private").status_code == 201
    check_problem(site.client.get(f"/v1/documents/{digest}"), 403, "forbidden")
    assert site.client.get(f"/v1/documents/{digest}", headers=site.operator).content == data


def test_missing_and_erased_documents_are_told_apart(site) -> None:
    data, digest = site.document()
    check_problem(site.client.get(f"/v1/documents/{digest}"), 404, "document-missing")
    put(site, data, digest)
    DocumentFolder(site.folder / "data/documents").erase(bytes.fromhex(digest), 1, "asked by its subject")
    check_problem(site.client.get(f"/v1/documents/{digest}"), 410, "document-erased")
    check_problem(put(site, data, digest), 410, "document-erased")


@pytest.mark.parametrize("data", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1.5}', b'{"a":1,"a":1}', b"\xff", b"", b"{"])
def test_only_canonical_documents_are_taken(site, data: bytes) -> None:
    check_problem(put(site, data, hashlib.sha256(data).hexdigest()), 400, "malformed")


def test_the_digest_in_the_path_must_be_the_bodys(site) -> None:
    data, _ = site.document()
    check_problem(put(site, data, "00" * 32), 400, "malformed")
    check_problem(put(site, data, "xyz"), 400, "malformed")
    check_problem(put(site, data, hashlib.sha256(data).hexdigest(), "secret"), 400, "malformed")


def test_wrong_media_type_and_oversize_are_refused(site) -> None:
    data, digest = site.document()
    check_problem(site.client.put(f"/v1/documents/{digest}", content=data), 415, "media-type")
    big = b'"' + b"x" * (1 << 20) + b'"'
    check_problem(put(site, big, hashlib.sha256(big).hexdigest()), 413, "too-large")


def test_many_documents_are_each_answered(site) -> None:
    documents = [site.document() for _ in range(20)]
    body = b"".join(cbor2.dumps(data) for data, _ in documents[:10])
    body += cbor2.dumps(b'{"b":1,"a":2}') + b"".join(cbor2.dumps(data) for data, _ in documents[10:])
    answer = site.client.post("/v1/documents/bulk?grade=public", content=body, headers=SEQUENCE)
    found = items(answer.content)
    assert found.pop(10)["refused"] == "malformed"
    assert [item["digest"].hex() for item in found] == [digest for _, digest in documents]
    assert site.client.get(f"/v1/documents/{documents[15][1]}").status_code == 200
    for bad in (b"\x41", b"\x01", b"\x5f\x41\x00\xff", cbor2.dumps(b"{}")[:-1]):
        refused = site.client.post("/v1/documents/bulk", content=bad, headers=SEQUENCE)
        check_problem(refused, 400, "malformed")
