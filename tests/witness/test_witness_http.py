"""The witness behind HTTP: routes, bounds, and statuses on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.log.checkpoint import open_cosigned
from ledger.log.notes import Vkey
from node.witness.folder import origin_hash
from node.witness.request import MAX_BODY, SIZE_TYPE
from tests.witness.serving import witness_at
from tests.witness.witness_world import ToyLog, make_witness

LOG = ToyLog()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    make_witness(tmp_path / "w", (LOG.vkey, ""))
    with witness_at(tmp_path / "w") as (url, _), httpx.Client(base_url=url, trust_env=False) as opened:
        yield opened


def test_a_checkpoint_is_cosigned_and_served_to_monitors(client: httpx.Client):
    place = f"/{origin_hash(LOG.origin)}/checkpoint"
    assert client.get(place).status_code == 404
    answer = client.post("/add-checkpoint", content=LOG.request(0, 10))
    assert answer.status_code == 200
    vkey = Vkey.parse(client.get("/healthz").text.strip())
    checkpoint, (one,) = open_cosigned(client.get(place).content, LOG.vkey, [vkey])
    assert checkpoint.size == 10
    assert open_cosigned(LOG.note(10) + answer.content, LOG.vkey, [vkey])[1] == (one,)


def test_statuses_and_types_are_those_of_the_protocol(client: httpx.Client):
    assert client.post("/add-checkpoint", content=LOG.request(0, 10)).status_code == 200
    conflict = client.post("/add-checkpoint", content=LOG.request(0, 12))
    assert (conflict.status_code, conflict.headers["Content-Type"], conflict.text) == (409, SIZE_TYPE, "10\n")
    assert client.post("/add-checkpoint", content=b"old x").status_code == 400
    assert client.get("/add-checkpoint").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_a_body_without_end_is_cut_off(client: httpx.Client):
    assert client.post("/add-checkpoint", content=b"x" * (MAX_BODY + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield b"x" * 1_000

    assert client.post("/add-checkpoint", content=endless()).status_code == 413
    assert client.post("/add-checkpoint", content=LOG.request(0, 10)).status_code == 200
