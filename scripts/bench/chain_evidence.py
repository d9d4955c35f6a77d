"""Evidence of a CometBFT chain: verified warm, and its size as a bundle stores it.

The chain is made here (`tests.comet_world`): real signatures, real trees. The store "evm" has so many keys that a proof
has the wanted depth. Nothing is asked of a network, so that the figure is the verifier's alone. The proofs are those of
an anchor that was made once: code hash, root, meta, head.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import zlib

import common

from ledger.evidence.chain import check_chain_evidence
from ledger.statements import cbor
from tests.comet_world import Comet, Member, digest
from tests.evidence.chain_builder import LOG, word


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--changes", type=int, default=0, help="changes of the validators since the policy's height")
    parser.add_argument("--depth", type=int, default=12, help="nodes above a leaf, about")
    parser.add_argument("--rounds", type=int, default=1_000)
    options = parser.parse_args()
    members = tuple(Member(f"v{i}") for i in range(options.validators))
    sets = tuple((*members, Member(f"guest {i}")) if i else members for i in range(options.changes + 1))
    noise = {
        b"\2" + digest(b"account %d" % i)[:20] + digest(b"slot %d" % i): word(i + 1) for i in range(1 << options.depth)
    }
    count = (1 << options.depth) - len(Comet().words) - 1
    world = Comet(sets=sets, until=tuple(range(2, 2 + options.changes)), noise=dict(list(noise.items())[:count]))
    evidence, policy = world.evidence(), world.policy()
    assert check_chain_evidence(evidence, policy, LOG).size == 9
    times: list[float] = []
    gc.disable()
    for _ in range(options.rounds):
        begun = time.perf_counter()
        check_chain_evidence(evidence, policy, LOG)
        times.append((time.perf_counter() - begun) * 1000)
    gc.enable()
    common.report(
        "chain_evidence",
        kind="cometbft",
        validators=options.validators,
        changes=options.changes,
        depths=[len(path) for _, _, _, path in cbor.decode(evidence)[11]],
        milliseconds=round(statistics.median(times), 3),
        least_milliseconds=round(min(times), 3),
        bytes=len(evidence),
        deflated=len(zlib.compress(evidence, 9)),
    )


if __name__ == "__main__":
    main()
