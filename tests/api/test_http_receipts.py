"""Receipts over HTTP: our own routes and SCRAPI, against a real node."""

from __future__ import annotations

import base64
import time
from typing import Any

import cbor2
import httpx
from test_http_submit import check_problem

from api.http.scrapi import RECEIPT, STATEMENT
from ledger.crypto.cose_key import from_cose_key
from ledger.log.checkpoint import open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.receipts import (
    InclusionPath,
    decode_receipt,
    verify_consistency_receipt,
    verify_inclusion_receipt,
)
from ledger.log.tlog_proof import TlogProof, verify_tlog_proof
from ledger.log.tree import leaf_hash
from ledger.statements import decode, decode_statement, encode
from ledger.statements.transparent import attach, split_transparent
from tests.running import COSE, ORIGIN, make_log, running
from tests.world import Party

CODES = {"A" * 43: "not-found"}  # of that form, of no key
CONCISE = "application/concise-problem-details+cbor"


def cose_key(site) -> tuple[int, bytes]:
    told = site.client.get("/v1/log").json()["cose"]
    return told["alg"], bytes.fromhex(told["key"])


def check(site, receipt: bytes, statement: bytes) -> bytes:
    """The root that the receipt signs, once it is shown to be the log's word about the statement."""
    sub = decode_statement(statement).sub
    return verify_inclusion_receipt(
        decode_receipt(receipt), leaf_hash(statement), *cose_key(site), origin=ORIGIN, sub=sub
    )


def published(site) -> tuple[int, bytes]:
    """Register something, publish it: its index and bytes."""
    raw = site.registration()
    (answer,) = site.node.admit(raw)
    site.node.publish()
    return answer["index"], raw


def check_concise(answer: httpx.Response, status: int, title: str, code: str) -> dict[Any, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, CONCISE), answer.content
    body: dict[Any, Any] = decode(answer.content)
    assert set(body) == {-1, -2, "urn:tial:problem"}
    assert body[-1] == title
    assert body[-2]
    assert body["urn:tial:problem"]["code"] == code
    return body


# -- our own routes ----------------------------------------------------------------------------------------------------


def test_a_receipt_proves_its_statement_at_the_published_size_and_at_older_ones(site) -> None:
    index, raw = published(site)
    first = site.client.get("/v1/log").json()["published"]
    published(site)
    answer = site.client.get(f"/v1/receipts/{index}")
    assert answer.headers["content-type"] == "application/cose"
    assert decode_receipt(answer.content).proof.index == index
    assert check(site, answer.content, raw).hex() == site.client.get("/v1/log").json()["published"]["root"]
    older = site.client.get(f"/v1/receipts/{index}", params={"size": first["size"]}).content
    assert check(site, older, raw).hex() == first["root"]


def test_a_receipt_of_consistency_joins_two_published_sizes(site) -> None:
    published(site)
    old = site.client.get("/v1/log").json()["published"]
    published(site)
    new = site.client.get("/v1/log").json()["published"]
    raw = site.client.get("/v1/receipts/consistency", params={"old": old["size"]}).content
    receipt = decode_receipt(raw)
    assert receipt.sub == f"log:{site.acts.log_id.hex()}"
    key = cose_key(site)
    root = verify_consistency_receipt(receipt, old["size"], bytes.fromhex(old["root"]), *key, origin=ORIGIN)
    assert root.hex() == new["root"]


def test_what_has_no_receipt_is_refused_with_its_reason(site) -> None:
    index, _ = published(site)
    size = site.client.get("/v1/log").json()["published"]["size"]
    check_problem(site.client.get("/v1/receipts/999999"), 404, "not-found")
    check_problem(site.client.get(f"/v1/receipts/{index}?size={index}"), 404, "not-found")
    check_problem(site.client.get(f"/v1/receipts/{index}?size={size + 10_000}"), 404, "not-found")
    check_problem(site.client.get("/v1/receipts/0?size=1"), 400, "malformed")
    check_problem(site.client.get("/v1/receipts/nonsense"), 400, "malformed")
    check_problem(site.client.get("/v1/receipts/consistency"), 400, "malformed")
    for old in (0, 1, size):
        check_problem(site.client.get(f"/v1/receipts/consistency?old={old}&new={size}"), 400, "malformed")
    check_problem(site.client.get(f"/v1/receipts/consistency?old=2&new={size + 10_000}"), 404, "not-found")
    check_problem(site.client.get("/v1/entries/999999/transparent"), 404, "not-found")
    check_problem(site.client.get("/v1/proofs/tlog/999999"), 404, "not-found")


def test_a_transparent_statement_is_the_entry_with_a_receipt(site) -> None:
    index, raw = published(site)
    answer = site.client.get(f"/v1/entries/{index}/transparent")
    assert answer.headers["content-type"] == "application/cose"
    statement, (receipt,) = split_transparent(answer.content)
    assert statement == raw
    check(site, receipt, raw)


def test_a_proof_file_verifies_with_the_logs_verifier_key(site) -> None:
    index, raw = published(site)
    answer = site.client.get(f"/v1/proofs/tlog/{index}")
    assert answer.headers["content-type"].startswith("text/plain")
    vkey = Vkey.parse(site.client.get("/v1/log").json()["vkey"])
    proof = TlogProof.parse(answer.content)
    checkpoint, _ = verify_tlog_proof(proof, leaf_hash(raw), vkey)
    assert proof.index == index
    assert checkpoint == open_checkpoint(site.client.get("/checkpoint").content, vkey)


# -- SCRAPI ------------------------------------------------------------------------------------------------------------


def test_a_registered_statement_is_answered_with_its_receipt(site) -> None:
    raw = site.registration()
    answer = site.client.post("/entries", content=raw, headers=COSE)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/cose")
    root = check(site, answer.content, raw)
    again = site.client.get(answer.headers["location"])
    assert again.status_code == 200
    check(site, again.content, raw)
    assert len(root) == 32


def test_the_media_types_of_rfc_9943_are_spoken_where_they_are_asked_for(site) -> None:
    raw = site.registration()
    headers = {"Content-Type": STATEMENT, "Accept": RECEIPT}
    answer = site.client.post("/entries", content=raw, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (201, RECEIPT)
    check(site, answer.content, raw)


def test_the_same_statement_again_gets_the_first_entrys_receipt(site) -> None:
    raw = site.registration()
    first = site.client.post("/entries", content=raw, headers=COSE)
    again = site.client.post("/entries", content=raw, headers=COSE)
    assert again.status_code == 201
    assert again.headers["location"] == first.headers["location"]
    check(site, again.content, raw)


def test_the_unprotected_header_is_emptied_before_the_statement_is_hashed(site) -> None:
    raw = site.registration()
    begin = 2 + len(encode(decode_statement(raw).protected))
    header = encode({"note": "for the post room", 33: [b"certificate", b"another"]})
    answer = site.client.post("/entries", content=raw[:begin] + header + raw[begin + 1 :], headers=COSE)
    assert answer.status_code == 201
    check(site, answer.content, raw)
    whole = attach(raw, [answer.content])
    again = site.client.post("/entries", content=whole, headers=COSE)
    assert again.headers["location"] == answer.headers["location"]
    index = int(answer.headers["location"].rpartition("/")[2])
    assert site.client.get(f"/v1/entries/{index}", headers={"Accept": "application/cose"}).content == raw


def test_our_own_route_still_refuses_an_unprotected_header(site) -> None:
    raw = site.registration()
    begin = 2 + len(encode(decode_statement(raw).protected))
    changed = raw[:begin] + encode({4: b"x"}) + raw[begin + 1 :]
    check_problem(site.client.post("/v1/statements", content=changed, headers=COSE), 400, "malformed")


def test_a_registration_that_is_not_published_yet_is_found_at_its_location(tmp_path) -> None:
    config, acts = make_log(tmp_path, log={"interval": 600.0})
    with running(config) as node:
        acts.enrol(Party("late registrar"), "registrar")
        (raw,) = acts.take()
        answer = node.client.post("/entries", content=raw, headers=COSE)
        assert (answer.status_code, answer.content) == (303, b"")
        place = answer.headers["location"]
        assert answer.headers["retry-after"] == "1"
        pending = node.client.get(place)
        assert (pending.status_code, pending.content, pending.headers["location"]) == (302, b"", place)
        node.publish()
        resolved = node.client.get(place)
        assert resolved.status_code == 200
        decode_receipt(resolved.content)


def test_refusals_are_concise_problems_with_scrapis_titles(site) -> None:
    client, raw = site.client, site.registration()
    published_raw = published(site)[1]
    sub = decode_statement(published_raw).sub
    other = site.acts.registration(site.registrar, sub, "vaa/88.118.8", digest=b"\x07" * 32)
    check_concise(client.post("/entries", content=other, headers=COSE), 400, "Rejected", "already_registered")
    check_concise(client.post("/entries", content=raw[:-1], headers=COSE), 400, "Malformed request", "malformed")
    check_concise(client.post("/entries", content=b"", headers=COSE), 400, "Malformed request", "malformed")
    begin = 3 + len(encode(decode_statement(raw).protected))
    detached = raw[:begin] + b"\xf6" + raw[-66:]
    check_concise(client.post("/entries", content=detached, headers=COSE), 400, "Payload Missing", "malformed")
    header = raw.replace(b"\xa6\x01\x27\x04", b"\xa6\x01\x26\x04", 1)
    check_concise(client.post("/entries", content=header, headers=COSE), 400, "Rejected", "unknown_suite")
    unknown = raw.replace(b"\xa6\x01\x27\x04", b"\xa6\x01\x25\x04", 1)
    check_concise(client.post("/entries", content=unknown, headers=COSE), 400, "Bad Signature Algorithm", "malformed")
    text = {"Content-Type": "text/plain"}
    check_concise(client.post("/entries", content=raw, headers=text), 415, "Unsupported media type", "media-type")
    long = bytes(1 << 20)
    check_concise(client.post("/entries", content=long, headers=COSE), 413, "Too large", "too-large")


def test_bad_ids_and_methods_are_concise_problems_too(site) -> None:
    client = site.client
    check_concise(client.get("/entries/99999999"), 404, "Not Found", "not-found")
    for bad in ("x", "01", "-1", "1.0", str(2**64)):
        check_concise(client.get(f"/entries/{bad}"), 400, "Invalid locator", "malformed")
    check_concise(client.get("/entries"), 405, "Method not allowed", "method-not-allowed")
    check_concise(client.put("/entries/1", content=b""), 405, "Method not allowed", "method-not-allowed")
    check_concise(client.get("/entries/1/2"), 404, "Not found", "not-found")


def test_the_key_set_verifies_receipts_and_gives_each_key_by_its_kid(site) -> None:
    index, raw = published(site)
    answer = site.client.get("/.well-known/scitt-keys", headers={"Accept": "application/cbor"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/cbor")
    (key,) = decode(answer.content)
    receipt = decode_receipt(site.client.get(f"/entries/{index}").content)
    assert isinstance(receipt.proof, InclusionPath)
    assert key[2] == receipt.kid
    sub = decode_statement(raw).sub
    verify_inclusion_receipt(receipt, leaf_hash(raw), *from_cose_key(key), origin=ORIGIN, sub=sub)
    name = base64.urlsafe_b64encode(receipt.kid).rstrip(b"=").decode()
    one = site.client.get(f"/.well-known/scitt-keys/{name}")
    assert (one.status_code, decode(one.content)) == (200, key)
    assert cbor2.loads(answer.content)[0][-1] == 6
    for bad in (name[:-1], name + "=", "A" * 43, receipt.kid.hex(), "%00"):
        check_concise(
            site.client.get(f"/.well-known/scitt-keys/{bad}"), 404, "No such key", CODES.get(bad, "malformed")
        )


def test_a_client_that_asks_too_often_gets_a_concise_problem(tmp_path) -> None:
    config, _ = make_log(tmp_path, http={"rate": 0.5, "burst": 2})
    with running(config) as node:
        answers = [node.client.get("/entries/0") for _ in range(4)]
        body = check_concise(answers[-1], 429, "Too many requests", "rate")
        assert answers[-1].headers["retry-after"]
        assert "address" in body[-2]


def test_many_registrations_wait_for_one_checkpoint_together(site) -> None:
    begun = time.monotonic()
    raws = [site.registration() for _ in range(20)]
    site.node.admit(*raws[:10])
    for raw in raws:
        check(site, site.client.post("/entries", content=raw, headers=COSE).content, raw)
    assert time.monotonic() - begun < 60


def test_openapi_has_the_routes_and_the_media_types(site) -> None:
    paths = site.client.get("/openapi.json").json()["paths"]
    own = {
        "/v1/receipts/{index}", "/v1/receipts/consistency", "/v1/entries/{index}/transparent",
        "/v1/proofs/tlog/{index}",
    }  # fmt: skip
    assert own <= set(paths)
    for path, method in (("/entries", "post"), ("/entries/{entry}", "get"), ("/.well-known/scitt-keys/{kid}", "get")):
        answers = paths[path][method]["responses"]
        problems = [answer for status, answer in answers.items() if status[0] in "45" and status != "422"]
        assert problems
        assert all(list(answer["content"]) == [CONCISE] for answer in problems), path
    assert "303" in paths["/entries"]["post"]["responses"]
    assert site.client.get("/v1/log").json()["paths"]["scrapi"] == "/entries"
