"""The typed client against a real node: what it reads, what it checks, how it fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from api.answers import ApiError, Receipt, Refused, check_acknowledgement, check_inclusion
from api.client import BULK, Client
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.log.tree import leaf_hash
from ledger.statements.acknowledgement import sign_acknowledgement
from tests.running import Acts, Running, make_log, running
from tests.world import Party


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Acts, Party]]:
    config, acts = make_log(tmp_path_factory.mktemp("client"))
    registrar = Party("registrar")
    with running(config) as node:
        acts.enrol(registrar, "registrar")
        node.admit(*acts.take())
        acts.delegate(registrar, "vaa/88.118.8")
        node.admit(*acts.take())
        yield node, acts, registrar


@pytest.fixture
def client(town: tuple[Running, Acts, Party]) -> Iterator[Client]:
    with Client(town[0].url, token="operator-token-for-tests") as made:
        yield made


def registration(town: tuple[Running, Acts, Party], name: str, prefix: str = "88.118.8") -> bytes:
    _, acts, registrar = town
    return acts.registration(registrar, f"vaa:{prefix}/{name}", "vaa/88.118.8")


def test_a_statement_is_submitted_and_its_acknowledgement_checked(
    town: tuple[Running, Acts, Party], client: Client
) -> None:
    raw = registration(town, "ONE")
    receipt = client.submit(raw)
    assert receipt.leaf == leaf_hash(raw)
    assert client.entry(receipt.index) == raw
    assert receipt.run is not None
    info = client.log()
    ack = check_acknowledgement(info, receipt.run, [receipt.leaf])
    assert ack.log_id == town[1].log_id == info.log_id
    again = client.submit(raw)
    assert (again.index, again.duplicate) == (receipt.index, True)
    with pytest.raises(MalformedError):
        check_acknowledgement(info, receipt.run, [bytes(32)])
    with pytest.raises(MalformedError):
        check_acknowledgement(replace(info, log_id=bytes(32)), receipt.run, [receipt.leaf])
    with pytest.raises(MalformedError):
        check_acknowledgement(replace(info, cose_keys=()), receipt.run, [receipt.leaf])
    far = sign_acknowledgement(town[1].cose, replace(ack, publish_by=ack.log_time + 86_401))
    with pytest.raises(MalformedError, match="at most 86400 s"):
        check_acknowledgement(info, replace(receipt.run, acknowledgement=far), [receipt.leaf])


def test_many_are_answered_in_order_and_refused_alone(town: tuple[Running, Acts, Party], client: Client) -> None:
    raws = [registration(town, f"M{n}", "99.118.8" if n % 500 == 7 else "88.118.8") for n in range(BULK + 300)]
    results = list(client.submit_many(iter(raws)))
    assert len(results) == len(raws)
    for place, (raw, result) in enumerate(zip(raws, results, strict=True)):
        if place % 500 == 7:
            assert isinstance(result, Refused)
            assert (result.reason, bool(result.explain())) == ("not_covered", True)
        else:
            assert isinstance(result, Receipt)
            assert result.leaf == leaf_hash(raw)
            assert result.run is not None
    leaves = {result.index: result.leaf for result in results if isinstance(result, Receipt)}
    info = client.log()
    runs = {result.run.first: result.run for result in results if isinstance(result, Receipt) and result.run}
    for run in runs.values():
        check_acknowledgement(info, run, [leaves[index] for index in range(run.first, run.first + run.count)])
    again = list(client.submit_many(raws[:5], in_flight=2))
    assert all(isinstance(result, Receipt) and result.duplicate for result in again)


def test_a_refusal_names_its_reason(town: tuple[Running, Acts, Party], client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.submit(registration(town, "X", "99.118.8"))
    assert (refused.value.code, refused.value.status, refused.value.passing) == ("not_covered", 422, False)
    with pytest.raises(ApiError) as malformed:
        client.submit(b"nothing")
    assert (malformed.value.code, malformed.value.status) == ("malformed", 400)
    with pytest.raises(ApiError):
        list(client.submit_many([b"nothing"]))


def test_documents_come_back_by_their_digest(client: Client) -> None:
    document = b'{"model":"PS-1"}'
    assert client.put_document(document) == sha256(document).digest()
    assert client.document(sha256(document).digest()) == document
    stored = list(client.put_documents([b'{"n":1}', b"not canonical", b'{"n":2}']))
    assert stored[0] == sha256(b'{"n":1}').digest()
    assert isinstance(stored[1], Refused)
    assert stored[2] == sha256(b'{"n":2}').digest()
    with pytest.raises(ApiError) as missing:
        client.document(bytes(32))
    assert missing.value.status == 404


def test_records_are_looked_up_by_any_spelling(town: tuple[Running, Acts, Party], client: Client) -> None:
    receipt = client.submit(registration(town, "LOOK"))
    view = client.lookup("vaa:88.118.8/LOOK")
    assert view is not None
    assert (view.kind, view.state, view.record["holder"], view.touches) == ("identifier", "live", town[2].did, 1)
    assert [one["index"] for one in client.touches(view.subject)] == [receipt.index]
    assert client.lookup("vaa:88.118.8/NEVER") is None
    actor = client.actor(town[2].did)
    assert actor is not None
    assert "registrar" in actor.record["roles"]
    assert client.actor("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK") is None
    with pytest.raises(ApiError):
        client.lookup("no such subject at all")


def test_inclusion_is_checked_against_the_signed_checkpoint(town: tuple[Running, Acts, Party], client: Client) -> None:
    raw = registration(town, "PROVEN")
    index = client.submit(raw).index
    published = client.publish()
    assert published["size"] > index
    info, inclusion = client.log(), client.inclusion(index)
    assert check_inclusion(info, raw, inclusion).size == inclusion.size
    assert client.checkpoint() == inclusion.checkpoint
    assert client.consistency(2, inclusion.size)["proof"]
    assert client.batches()[0]["number"] == client.batch(client.batches()[0]["number"])["number"]
    assert client.anchors() == []
    for forged in (
        replace(inclusion, proof=inclusion.proof[:-1]),
        replace(inclusion, root=bytes(32)),
        replace(inclusion, index=index - 1),
        replace(inclusion, checkpoint=inclusion.checkpoint.replace(b"\n\n", b"\n\n\n")),
    ):
        with pytest.raises(LedgerError):
            check_inclusion(info, raw, forged)
    with pytest.raises(MalformedError):
        check_inclusion(info, raw + b"\x00", inclusion)


def test_operator_routes_need_the_token(town: tuple[Running, Acts, Party]) -> None:
    with Client(town[0].url, token="guessed") as stranger, pytest.raises(ApiError) as refused:
        stranger.publish()
    assert refused.value.status == 403


def test_a_node_that_is_away_is_no_verdict() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(UnavailableError):
        client.log()
    with pytest.raises(MalformedError):
        Client("127.0.0.1:8080")


class _Stranger(BaseHTTPRequestHandler):
    """Some other server: answers what the path names."""

    answers = {  # noqa: RUF012
        "/v1/log": b"<html>",
        "/v1/batches/1": b"[]",
        "/v1/proofs/inclusion?index=1": b'{"index": 1}',
        "/v1/statements/bulk": b"\xa1\x65index",
        "/v1/documents/bulk?grade=public": b"\xa1\x66digest\x40",
    }
    busy = 0

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer()

    def _answer(self) -> None:
        if self.path == "/checkpoint" and type(self).busy < 2:
            type(self).busy += 1
            self.send_response(503)
            self.send_header("retry-after", "0")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = self.answers.get(self.path, b"good")
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Client]:
    server = HTTPServer(("127.0.0.1", 0), _Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Client(f"http://127.0.0.1:{server.server_port}", attempts=3) as client:
        yield client
    server.shutdown()
    server.server_close()


def test_answers_of_a_stranger_are_malformed(stranger: Client) -> None:
    for ask in (
        stranger.log,
        lambda: stranger.batch(1),
        lambda: stranger.inclusion(1),
        lambda: list(stranger.submit_many([b"x"])),
        lambda: list(stranger.put_documents([b"{}", b"{}"])),
        lambda: stranger.document(bytes(32)),
    ):
        with pytest.raises(MalformedError):
            ask()


def test_a_busy_node_is_asked_again(stranger: Client) -> None:
    _Stranger.busy = 0
    assert stranger.checkpoint() == b"good"
