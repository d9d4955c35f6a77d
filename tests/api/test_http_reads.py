from __future__ import annotations

import hashlib
from urllib.parse import quote

import httpx
import pytest
from test_http_submit import check_problem

from ledger.log.checkpoint import open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import verify_consistency, verify_inclusion
from ledger.log.tiles import decode_entry_bundle, entries_path, tile_path
from ledger.log.tree import leaf_hash
from ledger.statements import decode_statement, subjects
from tests.running import COSE
from tests.world import DAY, Party, credential, key


def get(site, path: str, **headers: str) -> httpx.Response:
    return site.client.get(path, headers=headers)


def certify(site, number: int, **more) -> tuple[str, str]:
    """A certificate about a new identifier, its document stored: the identifier and the credential."""
    identifier = site.subject()
    data, digest = site.document(credentialSubject={"id": identifier})
    put = site.client.put(f"/v1/documents/{digest}", content=data, headers={"Content-Type": "application/json"})
    assert put.status_code == 201
    raw = site.acts.certification(site.certifier, identifier, number, digest=bytes.fromhex(digest), **more)
    site.node.admit(site.registration(identifier), raw)
    return identifier, credential(number)


def test_an_identifier_is_shown_with_its_state(site) -> None:
    subject = site.subject()
    placed = site.node.admit(site.registration(subject))[0]
    body = get(site, f"/v1/identifiers/{subject}").json()
    assert (body["subject"], body["kind"], body["state"], body["touches"]) == (subject, "identifier", "live", 1)
    assert body["record"]["holder"] == site.registrar.did
    assert body["record"]["entry"] == placed["index"]
    assert body["covers"] > placed["index"]
    assert body["log_time"] > 0
    check_problem(get(site, "/v1/identifiers/vaa:88.118.8/nobody"), 404, "not-found")
    check_problem(get(site, f"/v1/identifiers/{site.registrar.did}"), 404, "not-found")
    check_problem(get(site, "/v1/identifiers/urn:uuid:00000000-0000-0000-0000-000000000001"), 400, "malformed")
    check_problem(get(site, "/v1/identifiers/nonsense"), 400, "malformed")


@pytest.mark.parametrize("tail", ["A%2FB", "A%25B", "a%20b", "x//y"])
def test_percent_encoding_in_a_path_is_not_undone(site, tail: str) -> None:
    prefix = "/v1/identifiers/"
    subject = f"handle:20.500.1/{tail}"
    check_problem(get(site, prefix + subject), 404, "not-found")
    where = get(site, prefix + subject).json()["where"]
    again = get(site, prefix + quote(subject, safe="")).json()["where"]
    assert where == again == subject


def test_dates_count_in_a_credentials_state(site) -> None:
    now = site.acts.now
    _, current = certify(site, 1, nbf=now - DAY)
    _, later = certify(site, 2, nbf=now + DAY, exp=now + 2 * DAY)
    assert get(site, f"/v1/credentials/{current}").json()["state"] == "active"
    assert get(site, f"/v1/credentials/{later}").json()["state"] == "not-yet-valid"
    effective = {"effective": site.log_time()}
    site.node.admit(site.acts.status(site.certifier, current, "suspended", "issuer", 1, claims=effective))
    body = get(site, f"/v1/credentials/{current}").json()
    assert (body["state"], body["record"]["reason"], body["touches"]) == ("suspended", "unspecified", 2)


def test_actors_delegations_templates_and_accreditations_are_shown(site) -> None:
    actor = get(site, f"/v1/actors/{site.registrar.did}").json()
    assert (actor["kind"], actor["state"], actor["record"]["name"]) == ("actor", "enrolled", "registrar")
    assert actor["record"]["keys"][0]["kid"] == hashlib.sha256(site.registrar.signer.public_key).hexdigest()
    delegation = get(site, "/v1/delegations/vaa/88.118.8").json()
    assert (delegation["state"], delegation["record"]["holder"]) == ("live", site.registrar.did)
    assert get(site, "/v1/templates/product-safety/1").json()["state"] == "approved"
    accreditation = get(site, f"/v1/accreditations/{site.certifier.did}/1").json()
    assert (accreditation["state"], accreditation["subject"]) == (
        "active", subjects.accreditation(site.certifier.did, 1),
    )  # fmt: skip
    nobody = f"accreditations/{actor['subject']}/9"
    for path in ("actors/did:key:none", "delegations/vaa/99", "templates/none/1", nobody):
        check_problem(get(site, f"/v1/{path}"), 404, "not-found")


def test_lookup_takes_any_subject_and_any_spelling(site) -> None:
    subject = site.subject()
    site.node.admit(site.registration(subject))
    for text in (subject, subject.removeprefix("vaa:"), site.registrar.did, "delegation:vaa/88.118.8"):
        body = site.client.post("/v1/lookup", json={"subject": text})
        assert body.status_code == 200, body.text
    log = site.client.post("/v1/lookup", json={"subject": f"log:{site.acts.log_id.hex()}"}).json()
    assert (log["kind"], log["state"]) == ("log", "open")
    refused = {
        b'{"subject": "88.118.8/unknown"}': (404, "not-found"),
        b'{"subject": "log:example.com/other"}': (404, "not-found"),
        b'{"subject": "?"}': (400, "malformed"),
        b'{"subject": 5}': (400, "malformed"),
        b'{"subject": "x", "more": 1}': (400, "malformed"),
        b'{"subject": "x", "kind": ["identifier"]}': (400, "malformed"),
        b"[]": (400, "malformed"),
        b"{": (400, "malformed"),
        b'"' + b"x" * 20_000 + b'"': (413, "too-large"),
    }
    for content, (status, code) in refused.items():
        answer = site.client.post("/v1/lookup", content=content, headers={"Content-Type": "application/json"})
        check_problem(answer, status, code)
    check_problem(site.client.post("/v1/lookup", content=b"{}"), 415, "media-type")


def test_touches_list_the_entries_in_pages(site) -> None:
    identifier, subject = certify(site, 3)
    effective = {"effective": site.log_time()}
    site.node.admit(site.acts.status(site.certifier, subject, "suspended", "issuer", 1, claims=effective))
    page = get(site, f"/v1/touches?subject={identifier}&limit=2").json()
    assert [entry["type"] for entry in page["entries"]] == ["registration", "certification"]
    rest = get(site, f"/v1/touches?subject={identifier}&start={page['next']}").json()
    assert [entry["type"] for entry in rest["entries"]] == ["status"]
    assert rest["next"] is None
    assert all(entry["log_time"] <= site.acts.now + 1 for entry in page["entries"])
    check_problem(get(site, "/v1/touches?subject=vaa:88.118.8/nobody"), 404, "not-found")
    check_problem(get(site, f"/v1/touches?subject={identifier}&limit=501"), 400, "malformed")
    check_problem(get(site, "/v1/touches"), 400, "malformed")


def test_an_entry_is_shown_decoded_or_as_it_was_signed(site) -> None:
    raw = site.registration()
    index = site.node.admit(raw)[0]["index"]
    st = decode_statement(raw)
    shown = get(site, f"/v1/entries/{index}").json()
    assert (shown["index"], shown["type"], shown["act"]) == (index, "registration", st.act.hex())
    assert shown["claims"] == {"delegation": "vaa/88.118.8", "holder": site.registrar.did}
    signed = get(site, f"/v1/entries/{index}", Accept="application/cose")
    assert (signed.content, signed.headers["content-type"]) == (raw, "application/cose")
    found = get(site, f"/v1/entries?act={st.act.hex()}&subject={st.sub}")
    assert found.json()["index"] == index
    site.node.publish()
    assert get(site, f"/v1/entries/{index}").json()["published"] is True
    check_problem(get(site, f"/v1/entries?act={'00' * 32}&subject={st.sub}"), 404, "not-found")
    check_problem(get(site, "/v1/entries?act=00&subject=x:y"), 400, "malformed")
    check_problem(get(site, "/v1/entries/99999999"), 404, "not-found")
    check_problem(get(site, "/v1/entries/-1"), 400, "malformed")


def test_inclusion_is_proven_up_to_the_signed_checkpoint(site) -> None:
    raw = site.registration()
    index = site.node.admit(raw)[0]["index"]
    size = site.node.publish()["size"]
    body = get(site, f"/v1/proofs/inclusion?index={index}&size={size}").json()
    vkey = Vkey.parse(get(site, "/v1/log").json()["vkey"])
    checkpoint = open_checkpoint(body["checkpoint"].encode(), vkey)
    proof = [bytes.fromhex(sibling) for sibling in body["proof"]]
    assert body["leaf"] == leaf_hash(raw).hex()
    assert (checkpoint.size, checkpoint.root.hex()) == (body["size"], body["root"])
    assert verify_inclusion(leaf_hash(raw), index, checkpoint.size, proof, checkpoint.root)
    earlier = get(site, f"/v1/proofs/inclusion?index=0&size={index}").json()
    assert earlier["checkpoint"] is None
    check_problem(get(site, f"/v1/proofs/inclusion?index={index}&size={index}"), 404, "not-found")
    check_problem(get(site, "/v1/proofs/inclusion?index=0&size=99999999"), 404, "not-found")
    check_problem(get(site, "/v1/proofs/inclusion"), 400, "malformed")
    check_problem(get(site, f"/v1/proofs/inclusion?index={2**64}"), 400, "malformed")


def test_consistency_is_proven_between_any_published_sizes(site) -> None:
    site.node.admit(site.registration())
    size = site.node.publish()["size"]
    for old in (0, 1, 2, size - 1, size):
        body = get(site, f"/v1/proofs/consistency?old={old}&new={size}").json()
        proof = [bytes.fromhex(sibling) for sibling in body["proof"]]
        roots = bytes.fromhex(body["old_root"]), bytes.fromhex(body["new_root"])
        assert verify_consistency(old, size, *roots, proof)
    check_problem(get(site, f"/v1/proofs/consistency?old={size}&new=2"), 400, "malformed")
    check_problem(get(site, f"/v1/proofs/consistency?old={size + 1000}"), 400, "malformed")


def test_the_log_describes_itself(site) -> None:
    body = get(site, "/v1/log").json()
    assert body["log_id"] == site.acts.log_id.hex()
    assert body["cose"]["key"] == key("cose").public_key.hex()
    assert body["policy"] == {"skew": 300, "max_age": 86400, "rotation_delay": 86400}
    assert body["chain"] is None
    assert body["size"] >= body["published"]["size"] >= 2


def test_batches_are_listed_with_their_manifests(site) -> None:
    site.node.admit(site.registration())
    site.node.publish()
    page = get(site, "/v1/batches?limit=1").json()
    newest = page["batches"][0]
    assert newest["manifest"] == newest["first"] + newest["count"]
    assert (newest["published"], newest["anchored"], newest["anchor"]) == (True, False, None)
    assert get(site, f"/v1/batches/{newest['number']}").json() == newest
    following = get(site, f"/v1/batches?before={page['next']}&limit=1").json()["batches"][0]
    assert following["number"] == newest["number"] - 1
    assert get(site, "/v1/batches?before=2").json() | {"batches": []} == {"batches": [], "next": None}
    check_problem(get(site, "/v1/batches/99999999"), 404, "not-found")
    check_problem(get(site, "/v1/batches/0"), 404, "not-found")
    check_problem(get(site, "/v1/batches?limit=101"), 400, "malformed")


def test_without_a_chain_there_are_no_anchors(site) -> None:
    assert get(site, "/v1/anchors").json() == {"anchors": [], "next": None, "status": None}
    check_problem(get(site, "/v1/anchors/5"), 404, "not-found")
    for path in ("/v1/anchors", "/v1/anchors/resolve"):
        check_problem(site.client.post(path, headers=site.operator), 404, "no-chain")


@pytest.mark.parametrize("path", ["/v1/anchors", "/v1/anchors/resolve", "/v1/publish"])
def test_operator_routes_want_the_operators_token(site, path: str) -> None:
    for given in ({}, {"Authorization": "Bearer wrong-token-of-some-length"}, {"Authorization": "Basic b3A="}):
        check_problem(site.client.post(path, headers=given), 403, "forbidden")


def test_the_log_is_readable_as_static_files(site) -> None:
    site.node.admit(*(site.registration() for _ in range(5)))
    size = site.node.publish()["size"]
    checkpoint = get(site, "/checkpoint")
    assert checkpoint.headers["cache-control"] == "no-cache"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    parsed = open_checkpoint(checkpoint.content, Vkey.parse(get(site, "/v1/log").json()["vkey"]))
    assert parsed.size >= size
    index, width = divmod(parsed.size, 256)
    paths = [tile_path(0, index, width or 256), entries_path(index, width or 256)] if width else []
    paths += [tile_path(0, 0), entries_path(0)] if index else []
    for path in paths:
        answer = get(site, f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "application/octet-stream"
    bundle = decode_entry_bundle(get(site, f"/{paths[1]}").content, width or 256)
    tile = get(site, f"/{paths[0]}").content
    assert b"".join(map(leaf_hash, bundle)) == tile
    assert site.client.head(f"/{paths[0]}").status_code == 200
    check_problem(get(site, "/tile/0/x999/000"), 404, "not-found")
    for bad in ("0/00", "0/0000", "../checkpoint%2f", "0/%30%30%30", "64/000", ""):
        assert get(site, f"/tile/{bad}").status_code in {400, 404}, bad


def test_health_and_metrics(site) -> None:
    assert get(site, "/healthz").json() == {"alive": True}
    assert get(site, "/readyz").json()["ready"] is True
    site.client.post("/v1/statements", content=site.acts.registration(Party("x"), "vaa:88.118.8/Z", "vaa/88.118.8"),
                     headers=COSE)  # fmt: skip
    text = get(site, "/metrics").text
    wanted = [
        "tial_entries", "tial_group_entries_bucket", "tial_group_seconds_sum", "tial_published_size",
        "tial_waiting_statements", "tial_resident_bytes", 'tial_refused_total{reason="unknown_actor"}',
    ]  # fmt: skip
    for name in wanted:
        assert f"\n{name}" in text, name


def test_openapi_lists_every_route_with_examples(site) -> None:
    document = get(site, "/openapi.json").json()
    wanted = {
        "/v1/statements": "post", "/v1/statements/bulk": "post", "/v1/documents/{digest}": "put",
        "/v1/documents/bulk": "post", "/v1/identifiers/{subject}": "get", "/v1/credentials/{subject}": "get",
        "/v1/actors/{did}": "get", "/v1/delegations/{scheme}/{prefix}": "get",
        "/v1/templates/{template}/{version}": "get", "/v1/accreditations/{did}/{number}": "get",
        "/v1/lookup": "post", "/v1/touches": "get", "/v1/history": "get", "/v1/entries/{index}": "get",
        "/v1/entries": "get",
        "/v1/proofs/inclusion": "get", "/v1/proofs/consistency": "get", "/v1/log": "get", "/v1/batches": "get",
        "/v1/batches/{number}": "get", "/v1/anchors": "get", "/v1/anchors/{size}": "get", "/v1/publish": "post",
        "/checkpoint": "get", "/tile/{path}": "get", "/healthz": "get", "/readyz": "get", "/metrics": "get",
    }  # fmt: skip
    paths = document["paths"]
    assert {path for path, method in wanted.items() if method not in paths.get(path, {})} == set()
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"], path
            good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            assert good, path
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    binary = content.get("schema", {}).get("format") == "binary"
                    assert binary or "example" in content or "examples" in content, path
            assert all("example" in given for given in operation.get("parameters", [])), path
