"""SIGTERM under load: what was taken is answered and published, nothing is half-written, the exit code is 0."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from node.config import load_config
from node.recovery import DataFolder
from tests.faults.acknowledged import Acknowledged
from tests.faults.http_load import Clients
from tests.faults.nursery import prepare
from tests.running import running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_drains_the_node(tmp_path: Path, number: signal.Signals):
    now = int(time.time())
    path, log_id = prepare(tmp_path / "log", now)
    config = load_config(path)
    held = Acknowledged()
    chance = random.Random(number)
    for turn in range(2):
        with running(path) as server:
            clients = Clients(server.url, log_id, now, f"R{turn}", held)
            clients.wait_for_load(len(held.places) + 500)
            time.sleep(chance.uniform(0, 0.4))
            server.process.send_signal(number)
            assert server.process.wait(30) == 0
            clients.stop()
            assert clients.broken + clients.turned_away > 0
        served = DataFolder(config.data_path).served
        assert not [p for p in tmp_path.rglob("*.tmp") if p.name.startswith(".")], "nothing half-written"
        held.see_published(config)
        assert held.published is not None
        assert held.published.size >= held.end, "what was acknowledged is published"
        assert served.is_dir()
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))
