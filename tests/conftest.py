"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"


@pytest.fixture
def vectors() -> Callable[[str], Path]:
    """Return the folder of a published vector set, or skip where the sets are not present."""

    def find(name: str) -> Path:
        folder = VECTORS / name
        if not folder.is_dir():
            pytest.skip(f"published vectors {name!r} are not beside this checkout")
        return folder

    return find
