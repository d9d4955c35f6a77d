from __future__ import annotations

import base64

import httpx
import pytest

from ledger.log.proofs import root_from_range
from ledger.log.tree import leaf_hash
from ledger.statements import decode_statement
from ledger.statements.acknowledgement import open_acknowledgement, open_refusal
from tests.running import COSE, make_log, running
from tests.world import Party

PROBLEM = {"type", "title", "status", "code", "detail", "where", "remedy"}


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, str] = answer.json()
    assert body.keys() >= PROBLEM
    assert (body["code"], body["status"], body["type"]) == (code, status, f"urn:tial:problem:{code}")
    assert body["detail"]
    return body


def post(site, raw: bytes, path: str = "/v1/statements", **headers: str) -> httpx.Response:
    return site.client.post(path, content=raw, headers={**COSE, **headers})


def test_an_admitted_statement_gets_its_place_and_the_logs_word(site) -> None:
    raw = site.registration()
    answer = post(site, raw)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/v1/entries/{body['index']}"
    assert body["leaf"] == leaf_hash(raw).hex()
    assert body["duplicate"] is False
    ack = open_acknowledgement(base64.b64decode(body["acknowledgement"]), -8, site.acts.cose.public_key)
    group = body["group"]
    assert (ack.log_id, group["first"], group["count"]) == (site.acts.log_id, body["index"], 1)
    proof = [bytes.fromhex(sibling) for sibling in group["proof"]]
    assert root_from_range(group["first"] - ack.first, [leaf_hash(raw)], ack.size, proof) == ack.root
    stored = site.client.get(f"/v1/entries/{body['index']}", headers={"Accept": "application/cose"})
    assert stored.content == raw


def test_the_same_act_again_gets_the_same_place(site) -> None:
    raw = site.registration()
    first, second = post(site, raw), post(site, raw)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["duplicate"] is True
    assert second.json()["index"] == first.json()["index"]
    ack = open_acknowledgement(base64.b64decode(second.json()["acknowledgement"]), -8, site.acts.cose.public_key)
    assert ack.root == leaf_hash(raw)


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_a_truncated_statement_is_malformed(site, cut: int) -> None:
    check_problem(post(site, site.registration()[:cut]), 400, "malformed")


def test_trailing_bytes_are_malformed(site) -> None:
    body = check_problem(post(site, site.registration() + b"\x00"), 400, "malformed")
    assert body["where"].startswith("byte")


def test_a_rejection_names_its_reason_and_place(site) -> None:
    subject = site.subject()
    assert post(site, site.registration(subject)).status_code == 201
    other = site.acts.registration(site.registrar, subject, "vaa/88.118.8", digest=bytes(32))
    body = check_problem(post(site, other), 422, "already_registered")
    assert body["where"] == "claims.sub"
    assert "refusal" not in body


def test_a_refusal_is_signed_on_request(site) -> None:
    raw = site.acts.registration(Party("nobody"), site.subject(), "vaa/88.118.8")
    body = check_problem(post(site, raw, "/v1/statements?refusal=signed"), 422, "unknown_actor")
    refusal = open_refusal(base64.b64decode(body["refusal"]), -8, site.acts.cose.public_key)
    assert (refusal.reason, refusal.act) == ("unknown_actor", decode_statement(raw).act)
    check_problem(post(site, raw, "/v1/statements?refusal=please"), 400, "malformed")


def test_a_wrong_signature_is_refused(site) -> None:
    raw = bytearray(site.registration())
    raw[-1] ^= 1
    check_problem(post(site, bytes(raw)), 422, "bad_signature")


def test_another_media_type_is_refused(site) -> None:
    for kind in ("application/json", "text/plain", ""):
        answer = site.client.post("/v1/statements", content=site.registration(), headers={"Content-Type": kind})
        check_problem(answer, 415, "media-type")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_longer_than_any_statement_is_refused(site, streamed: bool) -> None:
    body = bytes(70_000)
    content = iter([body[:40_000], body[40_000:]]) if streamed else body
    check_problem(site.client.post("/v1/statements", content=content, headers=COSE), 413, "too-large")


def test_other_methods_and_paths_are_problems_too(site) -> None:
    refused = site.client.delete("/v1/statements")
    check_problem(refused, 405, "method-not-allowed")
    assert "POST" in refused.headers["allow"]
    check_problem(site.client.get("/v1/nothing"), 404, "not-found")


def test_too_many_requests_are_asked_to_wait_but_health_is_not(tmp_path) -> None:
    config, _ = make_log(tmp_path, http={"rate": 0.5, "burst": 3})
    with running(config) as node:
        answers = [node.client.get("/v1/log") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        check_problem(answers[-1], 429, "rate")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert node.client.get("/healthz").status_code == 200
        assert node.client.get("/metrics").status_code == 200
