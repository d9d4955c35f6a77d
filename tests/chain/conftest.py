"""The world of a tiny log and a real chain, for the tests of this folder."""

from __future__ import annotations

from tests.chain_world import world

__all__ = ["world"]
