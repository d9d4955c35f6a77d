"""Fixtures of the tests against a hostile operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.liar import Operator, operating


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator, its served log and the witnesses around it."""
    with operating(tmp_path) as made:
        yield made
