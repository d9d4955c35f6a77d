from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
from test_http_bulk import items

from api.http import protocol
from ledger.log.tree import leaf_hash
from node.logs import JsonFormatter
from tests.running import REPOSITORY, SEQUENCE, make_log, running
from tests.world import Party


def registrar(acts) -> Party:
    party = Party("registrar")
    acts.enrol(party)
    acts.delegate(party, "vaa/88.118.8")
    return party


def test_sigterm_drains_and_everything_acknowledged_is_there_afterwards(tmp_path) -> None:
    config, acts = make_log(tmp_path)
    party = registrar(acts)
    sent: list[bytes] = []
    more = threading.Event()

    def endless():
        number = 0
        while number < 100_000:
            raw = acts.registration(party, f"vaa:88.118.8/S{number}", "vaa/88.118.8")
            sent.append(raw)
            yield raw
            number += 1
            if number == 600:
                more.set()

    answers: list[dict] = []

    def stream(node) -> None:
        answer = node.client.post("/v1/statements/bulk", content=endless(), headers=SEQUENCE)
        answers.extend(items(answer.content))

    with running(config) as node:
        node.admit(*acts.take())
        sender = threading.Thread(target=stream, args=(node,))
        sender.start()
        assert more.wait(20)
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(20) == 0
        sender.join(20)
    assert answers[-1]["error"] == "stopped"
    acknowledged = [answer for answer in answers if "leaf" in answer]
    assert len(acknowledged) >= 20
    assert [answer["leaf"] for answer in acknowledged] == [leaf_hash(raw) for raw in sent[: len(acknowledged)]]
    with running(config) as node:
        assert node.client.get("/v1/log").json()["published"]["size"] > acknowledged[-1]["index"]
        for answer, raw in list(zip(acknowledged, sent, strict=False))[:: len(acknowledged) // 20]:
            entry = node.client.get(f"/v1/entries/{answer['index']}", headers={"Accept": "application/cose"})
            assert entry.content == raw


def test_an_acknowledged_statement_survives_kill(tmp_path) -> None:
    config, acts = make_log(tmp_path, log={"interval": 60.0})
    raws = []
    with running(config) as node:
        party = registrar(acts)
        node.admit(*acts.take())
        raws = [acts.registration(party, f"vaa:88.118.8/K{n}", "vaa/88.118.8") for n in range(20)]
        before = node.admit(*raws)
        node.kill()
        node.start()
        after = node.admit(*raws)
    assert [answer["index"] for answer in after] == [answer["index"] for answer in before]
    assert all(answer["duplicate"] for answer in after)


def test_a_second_server_on_the_same_data_is_refused_with_code_3(tmp_path) -> None:
    config, _ = make_log(tmp_path)
    with running(config):
        second = subprocess.run(
            [sys.executable, "-m", "api.http.server", str(config)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert second.returncode == 3
    assert "another" in second.stderr or "in use" in second.stderr


def test_an_address_in_use_and_a_bad_configuration_are_explained(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config, _ = make_log(tmp_path, http={"port": taken.getsockname()[1]})
        command = [sys.executable, "-m", "api.http.server", str(config)]
        refused = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 3
    assert "Cannot listen" in refused.stderr
    config.write_text("[http]\nprot = 1\n")
    refused = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert "http.prot" in refused.stderr


def speak(site, sent: bytes) -> bytes:
    host, port = site.node.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        got = b""
        while piece := connection.recv(65536):
            got += piece
    return got


def test_what_is_not_http_and_headers_without_end_are_refused(site) -> None:
    answer = speak(site, b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == "malformed"
    answer = speak(site, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (protocol.HEADER_BYTES + 1) + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


def test_a_header_that_does_not_come_closes_the_connection(site) -> None:
    begun = time.monotonic()
    answer = speak(site, b"GET /healthz HTTP/1.1\r\nHost:")
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < protocol.HEADER_SECONDS + 5


def test_log_lines_are_json_with_the_extra_fields() -> None:
    fields = {"size": 7, "root": b"\x01", "odd": {1}}
    record = logging.makeLogRecord({"name": "node", "msg": "published %d", "args": (5,), "levelname": "INFO", **fields})
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["level"], line["size"], line["root"], line["odd"]) == (
        "published 5", "info", 7, "01", "{1}",
    )  # fmt: skip
    try:
        int("x")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: " in json.loads(JsonFormatter().format(record))["exception"]


def test_head_is_answered_as_get_without_the_body(site):
    for path in ("/healthz", "/v1/log", "/checkpoint"):
        got, head = httpx.get(site.node.url + path), httpx.head(site.node.url + path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
