"""A running embedded chain for each test, ended afterwards whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    embedded = EmbeddedChain(tmp_path / "chain")
    try:
        yield embedded
    finally:
        embedded.stop()
