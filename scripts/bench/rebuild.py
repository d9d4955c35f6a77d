"""Index rebuild: the log root recomputed, every entry through the transition function, signatures not checked again."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import common
import load

from node.config import load_config
from node.rebuild import rebuild


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--config", type=Path, help="rebuild this stopped node instead of making one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        config = options.config
        if config is None:
            config = load.stopped_node(Path(folder) / "node", options.count)
        done = rebuild(load_config(config))
    common.report(
        "rebuild",
        entries=done.entries,
        seconds=round(done.seconds, 2),
        entries_per_second=round(done.entries / done.seconds),
    )


if __name__ == "__main__":
    main()
