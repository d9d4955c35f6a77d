"""Clients that load a server over HTTP and keep every answer that reached them, also of streams that broke off."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from io import BytesIO
from typing import Any

import cbor2
import httpx

from tests.faults.acknowledged import Acknowledged
from tests.nodes import NodeWorld, Party
from tests.running import COSE, SEQUENCE

THREADS = 3


class Clients:
    """Threads that submit, singly and in bulk, until the server is gone or `stop` is called."""

    def __init__(self, url: str, log_id: bytes, now: int, tag: str, held: Acknowledged) -> None:
        self._url = url
        self._log_id = log_id
        self._now = now
        self._tag = tag
        self._held = held
        self._lock = threading.Lock()
        self._stopping = False
        self.faults: list[BaseException] = []
        self.broken = 0
        self.turned_away = 0
        """Requests and streams that the node ended itself, with words."""
        self._threads = [threading.Thread(target=self._guard, args=(n,), daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def wait_for_load(self, entries: int, seconds: float = 20) -> None:
        """Until so many entries were acknowledged in all."""
        end = time.monotonic() + seconds
        while len(self._held.places) < entries:
            assert time.monotonic() < end, "no load"
            assert not self.faults, self.faults
            time.sleep(0.01)

    def stop(self) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        if self.faults:
            raise self.faults[0]

    def _guard(self, number: int) -> None:
        try:
            self._submit(number)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.faults.append(error)

    def _submit(self, number: int) -> None:
        world, party = NodeWorld(self._log_id, self._now), Party("enterprise")
        names = (f"vaa:88.118.8/{self._tag}T{number}N{n}" for n in itertools.count())
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as client:
            while not self._stopping:
                try:
                    (self._bulk if number else self._single)(client, world, party, names)
                except httpx.TransportError:
                    self.broken += 1
                    return

    def _single(self, client: httpx.Client, world: NodeWorld, party: Party, names: Any) -> None:
        raw = world.registration(party, next(names), "vaa/88.118.8")
        answer = client.post("/v1/statements", content=raw, headers=COSE)
        if answer.status_code == 503:
            self.turned_away += 1
            return
        assert answer.status_code in {200, 201}, answer.text
        said = answer.json()
        run = [
            said["group"]["first"], said["group"]["count"], base64.b64decode(said["acknowledgement"]).hex(),
            said["group"]["proof"],
        ]  # fmt: skip
        self._hear([[said["index"], said["leaf"], said["duplicate"]]], [run])

    def _bulk(self, client: httpx.Client, world: NodeWorld, party: Party, names: Any) -> None:
        raws = [world.registration(party, name, "vaa/88.118.8") for name in itertools.islice(names, 700)]
        received = bytearray()
        try:
            with client.stream("POST", "/v1/statements/bulk", content=b"".join(raws), headers=SEQUENCE) as answer:
                if answer.status_code == 503:
                    self.turned_away += 1
                    return
                assert answer.status_code == 200, answer.status_code
                for data in answer.iter_raw():
                    received += data
        finally:
            self._take(bytes(received))

    def _take(self, received: bytes) -> None:
        """Hear what a stream said until it ended or broke off."""
        decoder = cbor2.CBORDecoder(BytesIO(received))
        answers: list[Any] = []
        runs: list[Any] = []
        while True:
            try:
                item = decoder.decode()
            except cbor2.CBORDecodeEOF:
                break
            assert "refused" not in item, item
            if "error" in item:
                self.turned_away += 1
            elif "acknowledgement" in item:
                proof = [value.hex() for value in item["proof"]]
                runs.append([item["first"], item["count"], item["acknowledgement"].hex(), proof])
            else:
                answers.append([item["index"], item["leaf"].hex(), item.get("duplicate", False)])
        self._hear(answers, runs)

    def _hear(self, answers: list[Any], runs: list[Any]) -> None:
        with self._lock:
            self._held.hear({"answers": answers, "refused": [], "runs": runs})
