"""A log made once by a real node, copied for every test."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.node.made_log import Made, fresh_lock, play
from tests.nodes import make_log


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    config = make_log(tmp_path_factory.mktemp("made"))
    return asyncio.run(play(config))


@pytest.fixture
def made(original: Made, tmp_path: Path) -> Made:
    """A copy that a test may damage. Its lock is written anew, because a copied one is recognised as copied."""
    shutil.copytree(original.config.base, tmp_path / "log", ignore=shutil.ignore_patterns("lock"))
    config = replace(original.config, base=tmp_path / "log")
    fresh_lock(config)
    return replace(original, config=config)
