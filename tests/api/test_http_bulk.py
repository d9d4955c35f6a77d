from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import cbor2
import httpx

from ledger.log.proofs import root_from_range
from ledger.log.tree import leaf_hash
from ledger.statements.acknowledgement import open_acknowledgement
from tests.running import SEQUENCE
from tests.world import key


def items(content: bytes) -> list[dict[str, Any]]:
    stream = io.BytesIO(content)
    found = []
    while stream.tell() < len(content):
        found.append(cbor2.load(stream))
    return found


def bulk(site, body: bytes | Iterator[bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Answers one a statement, the runs, and the error at the end if there is one."""
    answer = site.client.post("/v1/statements/bulk", content=body, headers=SEQUENCE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/cbor-seq"
    found = items(answer.content)
    error = found.pop() if found and "error" in found[-1] else {}
    runs = [item for item in found if "acknowledgement" in item]
    return [item for item in found if "acknowledgement" not in item], runs, error


def test_every_statement_is_answered_in_order_and_acknowledged(site) -> None:
    raws = [site.registration() for _ in range(700)]
    answers, runs, error = bulk(site, b"".join(raws))
    assert error == {}
    assert [answer["leaf"] for answer in answers] == [leaf_hash(raw) for raw in raws]
    indexes = [answer["index"] for answer in answers]
    assert indexes == sorted(indexes)
    leaves = {answer["index"]: answer["leaf"] for answer in answers}
    covered = []
    for run in runs:
        places = range(run["first"], run["first"] + run["count"])
        ack = open_acknowledgement(run["acknowledgement"], -8, key("cose").public_key)
        run_leaves = [leaves[place] for place in places]
        assert root_from_range(run["first"] - ack.first, run_leaves, ack.size, run["proof"]) == ack.root
        covered += places
    assert covered == indexes


def test_good_bad_and_duplicate_items_are_each_answered_for_themselves(site) -> None:
    known = site.registration()
    site.node.admit(known)
    good, twice = site.registration(), site.registration()
    broken = bytearray(site.registration())
    broken[-1] ^= 1
    malformed = b"\xd2\x84\x43abc\xa0\x41\x00\x41\x00"
    conflict = site.acts.registration(site.registrar, "vaa:88.118.9/X", "vaa/88.118.8")
    answers, runs, error = bulk(site, b"".join([good, malformed, known, bytes(broken), twice, twice, conflict]))
    assert error == {}
    assert [answer.get("refused") for answer in answers] == [
        None, "malformed", None, "bad_signature", None, None, "not_covered",
    ]  # fmt: skip
    assert [bool(answer.get("duplicate")) for answer in answers] == [False, False, True, False, False, True, False]
    assert answers[4]["index"] == answers[5]["index"]
    assert {"refused", "detail", "where", "remedy"} == answers[1].keys()
    assert sum(run["count"] for run in runs) == 4


def test_statements_that_build_upon_each_other_may_follow_in_one_stream(site) -> None:
    subject = site.subject()
    filler = [site.registration() for _ in range(300)]
    effective = {"effective": site.log_time()}
    status = [
        site.acts.status(site.registrar, subject, state, "delegation-holder", seq, claims=effective)
        for seq, state in enumerate(("blocked", "live", "blocked"), 1)
    ]
    answers, _, _ = bulk(site, b"".join([site.registration(subject), *filler, *status]))
    assert not [answer for answer in answers if "refused" in answer]


def test_a_sequence_that_breaks_ends_with_an_error_after_its_answers(site) -> None:
    raws = [site.registration() for _ in range(3)]
    answers, _, error = bulk(site, b"".join(raws) + b"\x18\x18rubbish" + site.registration())
    assert len(answers) == 3
    assert error["error"] == "sequence"
    assert error["where"] == f"byte {sum(map(len, raws))} of the body"
    answers, _, error = bulk(site, b"".join(raws)[:-1])
    assert len(answers) == 2
    assert error["error"] == "sequence"
    answers, _, error = bulk(site, raws[0] + b"\xd2\x84\x5a\xff\xff\xff\xff")
    assert (len(answers), error["error"]) == (1, "sequence")


def test_an_empty_body_has_an_empty_answer(site) -> None:
    assert bulk(site, b"") == ([], [], {})


def test_another_media_type_is_refused(site) -> None:
    answer = site.client.post("/v1/statements/bulk", content=b"", headers={"Content-Type": "application/cose"})
    assert (answer.status_code, answer.json()["code"]) == (415, "media-type")


def connect(site, source: str = "127.0.0.1") -> socket.socket:
    host, port = site.node.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # before connecting, so that it bounds the window
    connection.settimeout(20)
    connection.bind((source, 0))
    connection.connect((host, int(port)))
    connection.sendall(
        b"POST /v1/statements/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor-seq\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    return connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_until(connection: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def test_answers_come_while_the_body_is_still_being_sent(site) -> None:
    with connect(site) as connection:
        first, second = site.registration(), site.registration()
        connection.sendall(chunk(first))
        assert leaf_hash(first) in read_until(connection, b"acknowledgement")
        connection.sendall(chunk(second[:50]))
        connection.sendall(chunk(second[50:]))
        assert leaf_hash(second) in read_until(connection, b"acknowledgement")
        connection.sendall(b"0\r\n\r\n")
        read_until(connection, b"0\r\n\r\n")


def test_a_client_that_writes_everything_before_it_reads_is_served(site) -> None:
    bad = b"\xd2\x84\x43abc\xa0\x59\x01\x00" + bytes(256) + b"\x41\x00"
    count = 60_000  # 16 MB in, 5 MB out: more than sockets hold
    body = bad * count
    with connect(site) as connection:
        for start in range(0, len(body), 1 << 20):
            connection.sendall(chunk(body[start : start + (1 << 20)]))
        connection.sendall(b"0\r\n\r\n")
        got = bytearray()
        while not got.endswith(b"\r\n0\r\n\r\n"):
            piece = connection.recv(1 << 20)
            assert piece
            got += piece
    assert got.count(b"grefusedimalformed") == count


def test_a_stream_cut_off_by_its_client_keeps_what_was_answered_and_the_node_goes_on(site) -> None:
    raws = [site.registration() for _ in range(3)]
    with connect(site) as connection:
        connection.sendall(chunk(raws[0] + raws[1]))
        read_until(connection, b"acknowledgement")
        connection.sendall(chunk(raws[2][:100]))
    answers = site.node.submit(*raws)
    assert [answer.status_code for answer in answers] == [200, 200, 201]


def test_streams_are_bounded_in_number(site) -> None:
    connections = [connect(site, f"127.0.0.{2 + number // 4}") for number in range(17)]
    try:
        heads = [read_until(connection, b"\r\n\r\n")[:12] for connection in connections]
        assert heads[:16] == [b"HTTP/1.1 200"] * 16
        assert heads[16] == b"HTTP/1.1 503"
    finally:
        for connection in connections:
            connection.close()
    wait_for_room(site)


def test_one_address_cannot_hold_all_streams(site) -> None:
    connections = [connect(site, "127.0.0.9") for _ in range(5)]
    try:
        heads = [read_until(connection, b"\r\n\r\n")[:12] for connection in connections]
        assert heads == [b"HTTP/1.1 200"] * 4 + [b"HTTP/1.1 503"]
        assert site.client.post("/v1/statements/bulk", content=b"", headers=SEQUENCE).status_code == 200
    finally:
        for connection in connections:
            connection.close()
    wait_for_room(site)


def wait_for_room(site) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if site.client.post("/v1/statements/bulk", content=b"", headers=SEQUENCE).status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError("streams of clients that left are still counted")


def test_several_streams_at_once_are_each_answered_in_their_order(site) -> None:
    batches = [[site.registration() for _ in range(300)] for _ in range(4)]
    results: dict[int, list[bytes]] = {}

    def send(number: int) -> None:
        with httpx.Client(base_url=site.node.url, trust_env=False, timeout=30) as client:
            body = (raw for raw in batches[number])
            answer = client.post("/v1/statements/bulk", content=body, headers=SEQUENCE)
            results[number] = [item["leaf"] for item in items(answer.content) if "leaf" in item]

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [leaf_hash(raw) for raw in batch] for number, batch in enumerate(batches)}
