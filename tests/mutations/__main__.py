"""`scripts/mutate`: many mutations in two processes; exit code 1 where one survives or memory passes its bound."""

# ruff: noqa: T201 - a command talks

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from tests.mutations.run import RSS, Tally, all_kinds, run

PROCESSES = 2
PIECE = 2_000


def main() -> int:
    """Run, and print counts by kind, seconds, peak memory and survivors."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description="Alter honest files; none may come out valid.")
    parser.add_argument("count", nargs="?", type=int, default=200_000, help="mutations (default 200000)")
    parser.add_argument(
        "seed", nargs="?", type=int, default=1, help="the same seed makes the same mutations (default 1)"
    )
    parser.add_argument("--only", type=int, metavar="NUMBER", help="the mutation of this number alone")
    parser.add_argument("--kind", action="append", default=[], help="this kind alone; may be given again")
    options = parser.parse_args()
    only = frozenset(options.kind)
    unknown = only - {kind.name for kind in all_kinds()}
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are: {', '.join(k.name for k in all_kinds())}")
    began = time.monotonic()
    if options.only is not None:
        total = _piece((options.seed, range(options.only, options.only + 1), only))
    else:
        total = _in_processes(options.count, options.seed, only)
    _report(total, options.seed, time.monotonic() - began)
    return 1 if total.survivors or total.peak > RSS else 0


def _in_processes(count: int, seed: int, only: frozenset[str]) -> Tally:
    total = Tally()
    pieces = [(seed, range(at, min(at + PIECE, count)), only) for at in range(0, count, PIECE)]
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        for done, tally in enumerate(pool.imap(_piece, pieces), 1):
            total.add(tally)
            if done % 10 == 0 or tally.survivors:
                print(
                    f"{min(done * PIECE, count)} of {count}, {len(total.survivors)} survivors",
                    file=sys.stderr,
                    flush=True,
                )
    return total


def _piece(piece: tuple[int, range, frozenset[str]]) -> Tally:
    seed, numbers, only = piece
    return run(seed, numbers, [kind for kind in all_kinds() if not only or kind.name in only])


def _report(total: Tally, seed: int, seconds: float) -> None:
    print(f"{'kind':26}{'mutations':>10}{'unaltered':>11}{'still true':>12}{'ms each':>9}")
    for name, tried in sorted(total.tried.items()):
        each = 1000 * total.seconds.get(name, 0.0) / tried
        print(f"{name:26}{tried:10}{total.unaltered[name]:11}{total.same[name]:12}{each:9.2f}")
    count = total.tried.total()
    print(
        f"{count} mutations, seed {seed}, {seconds:.0f} s ({count / seconds:.0f} a second), "
        f"slowest {total.slowest:.2f} s, "
        f"peak memory {total.peak >> 20} MiB (at most {RSS >> 20}), {len(total.survivors)} survivors"
    )
    for survivor in total.survivors[:20]:
        print(survivor.dump())


if __name__ == "__main__":
    sys.exit(main())
