"""Fixtures of the tests of the rules."""

from __future__ import annotations

import pytest

from tests.world import Consortium, World


@pytest.fixture
def world() -> World:
    """A log with its genesis and first manifest, and nobody on it."""
    return World()


@pytest.fixture
def c() -> Consortium:
    """A log with a party in every role, an item and its certificate."""
    return Consortium()
