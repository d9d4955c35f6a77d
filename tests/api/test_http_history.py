"""GET /v1/history on a real server: a bundle that proves the whole history, and the same told in JSON."""

from __future__ import annotations

import httpx
from test_http_reads import certify
from test_http_submit import check_problem

from ledger.evidence.bundle import MEDIA_TYPE, Bundle
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import ABSENCE, HISTORY, Verdict
from ledger.evidence.timeline import as_of
from ledger.evidence.verifier import verify_history


def get(site, accept: str = "*/*", **query: object) -> httpx.Response:
    return site.client.get("/v1/history", params=query, headers={"accept": accept})


def policy(site) -> Policy:
    return Policy((LogTrust(site.acts.log_id, None, frozenset({-8, -7})),), trust_operator_state=True)


def revoked(site, number: int) -> tuple[str, str, int, int]:
    """A certificate revoked from the moment of its issue on: identifier, credential, issue, log time of the word."""
    identifier, sub = certify(site, number)
    issued = site.client.get(f"/v1/credentials/{sub}").json()["record"]["since"]
    logged = site.log_time()
    while logged <= issued:
        logged = site.log_time()
    site.node.admit(site.acts.status(site.certifier, sub, "revoked", "issuer", 1, claims={"effective": issued}))
    site.node.publish()
    return identifier, sub, issued, logged


def test_the_bundle_proves_the_whole_and_who_knew_when(site) -> None:
    identifier, sub, issued, logged = revoked(site, 7001)
    answer = get(site, subject=sub)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    found = verify_history(answer.content, policy(site), logged + 60)
    assert (found.report.overall, found.report.claim) == (Verdict.VALID, HISTORY), found.report.as_text()
    assert found.whole is not None
    own, item = found.whole.timelines
    assert [change.statement.type for change in own.changes] == ["certification", "status"]
    assert [change.statement.type for change in item.changes] == ["registration", "certification", "status"]
    assert item.place[1] == identifier
    assert (as_of(own, issued).state, as_of(own, issued, logged - 1).state) == ("revoked", "active")


def test_the_node_tells_the_same_in_json(site) -> None:
    _, sub, issued, logged = revoked(site, 7002)
    told = get(site, "application/json", subject=sub).json()
    found = verify_history(get(site, subject=sub).content, policy(site), logged)
    assert found.whole is not None
    assert told["timelines"] == found.whole.as_json()["timelines"]
    then = get(site, subject=sub, format="json", as_of=issued, known=logged - 1).json()["as_of"]
    now = get(site, subject=sub, format="json", as_of=issued).json()["as_of"]
    assert [one["state"] for one in then] == ["active", "live"]
    assert (now[0]["state"], now[0]["since"], now[0]["known_since"]) == ("revoked", issued, logged)
    assert now[0]["iss"] == site.certifier.did
    before = get(site, subject=sub, format="json", as_of=issued - 1).json()["as_of"][0]
    assert before == {"kind": "credential", "at": issued - 1, "known": before["known"], "state": "none"}


def test_of_what_never_was_there_the_bundle_proves_the_absence(site) -> None:
    subject = "vaa:88.118.8/NEVER-SEEN"
    answer = get(site, subject=subject)
    found = verify_history(answer.content, policy(site), site.log_time())
    assert (found.report.overall, found.report.claim, found.whole) == (Verdict.VALID, ABSENCE, None)
    check_problem(get(site, subject=subject, format="json"), 404, "not-found")


def test_an_actor_and_the_log_have_histories(site) -> None:
    for subject in (site.registrar.did, f"log:{site.acts.log_id.hex()}"):
        raw = get(site, subject=subject).content
        assert verify_history(raw, policy(site), site.log_time()).report.overall is Verdict.VALID
    assert Bundle.decode(raw).index == 0


def test_wrong_questions_are_refused(site) -> None:
    subject = site.subject()
    site.node.admit(site.registration(subject))
    site.node.publish()
    for query in (
        {},
        {"subject": "nonsense"},
        {"subject": "batch:1"},
        {"subject": subject, "format": "xml"},
        {"subject": subject, "as_of": 1},
        {"subject": subject, "format": "cbor", "as_of": 1},
        {"subject": subject, "format": "json", "as_of": "yesterday"},
        {"subject": subject, "format": "json", "known": 1},
    ):
        check_problem(get(site, **query), 400, "malformed")
