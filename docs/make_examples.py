"""Writes the worked examples of docs/formats.md anew, from the real code with fixed keys.

.venv/bin/python docs/make_examples.py            write them
.venv/bin/python docs/make_examples.py --check    say by the exit code whether they are in step; change nothing
"""  # noqa: INP001 - a script beside the document, no package

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(check: bool) -> int:
    """Write the document, or compare it."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "docs")]
    made = importlib.import_module("format_examples")
    text = made.DOCUMENT.read_text(encoding="utf-8")
    renewed = made.renew(text, made.Examples().all())
    if not check:
        made.DOCUMENT.write_text(renewed, encoding="utf-8")
    return int(check and text != renewed)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
