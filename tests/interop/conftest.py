"""A log made by our node, and other people's tools as scripts/build-peers has them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.live_log import MadeLog, fill, make_log

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Boundaries of tiles from both sides, and a last batch that leaves partial tiles at levels 0 and 1.
BATCHES = (1, 250, 1, 256, 511, 1_500, 700)


@pytest.fixture(scope="session")
def made_log(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """Return a log of a few thousand entries whose node has stopped."""
    log = make_log(tmp_path_factory.mktemp("log"))
    asyncio.run(fill(log, BATCHES))
    return log


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Return a function that gives the program of a peer, built on first use, or skips with why it is absent."""

    def find(name: str) -> Path:
        command = [sys.executable, str(SCRIPTS / "build_peers.py"), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=840, check=False)
        assert done.returncode == 0, f"{name} could not be built:\n{done.stderr[-4000:]}"
        told = json.loads(done.stdout)[name]
        if told["absent"]:
            pytest.skip(f"{name}: {told['absent']}")
        return Path(told["program"])

    return find
