"""The demonstration: a second-level node, two enterprises, certifiers, witnesses, a chain, and those who check."""

from __future__ import annotations

from typing import Final

ITEMS: Final = 5000
CERTIFICATES: Final = 500
FEWEST_ITEMS: Final = 100
FEWEST_CERTIFICATES: Final = 10
