"""Metrics for Prometheus, in a registry of the node's own.

What a stage knows anyway is read when somebody asks (`collect`), so the write path pays for two histograms a group and
one counter a refusal, nothing an entry. Names begin with `tial_`; sizes are entries, times are seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from node.node import Node

_STATM = Path("/proc/self/statm")
_SIZES = (1, 4, 16, 64, 256, 512, 1024, 2048)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """What the node counts. Belongs to the event loop's thread."""

    def __init__(self, node: Node) -> None:
        self.registry = CollectorRegistry()
        self._groups = Histogram("tial_group_entries", "Entries in a group", buckets=_SIZES, registry=self.registry)
        self._durable = Histogram(
            "tial_group_seconds", "Seconds to make a group durable", buckets=_SECONDS, registry=self.registry
        )
        self._refused = Counter("tial_refused", "Statements refused, by reason", ["reason"], registry=self.registry)
        self.registry.register(_State(node))

    def group(self, entries: int, seconds: float) -> None:
        """A group of `entries` became durable in `seconds`."""
        self._groups.observe(entries)
        self._durable.observe(seconds)

    def refused(self, reason: str) -> None:
        """A statement was refused. `reason` is one of a fixed set of names, never a submitter's text."""
        self._refused.labels(reason).inc()

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class _State(Collector):
    """Reads the stages at the time of asking."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the node may still be opening when the registry is made."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        node = self._node
        published = node.publisher.published
        yield _gauge("tial_entries", "Durable entries of the log", node.publisher.size)
        yield _gauge("tial_published_size", "Size of the newest published checkpoint", published.size)
        yield _gauge("tial_publication_seconds", "Seconds that the newest publication took", node.publisher.seconds)
        yield _gauge("tial_log_time_seconds", "Log time, Unix seconds", node.admission.log_time)
        yield _gauge("tial_waiting_statements", "Statements taken and not answered yet", node.sequencer.waiting)
        yield _gauge("tial_ready", "1 while statements are taken", int(node.not_ready() is None))
        yield _gauge("tial_uptime_seconds", "Seconds since the node was opened", time.time() - node.started)
        yield _gauge("tial_resident_bytes", "Resident memory of the node's process", resident_bytes())
        yield from self._witnessing()
        yield from self._anchoring()

    def _witnessing(self) -> Iterator[Metric]:
        witnesses = self._node.witnesses
        if witnesses is None:
            return
        yield _gauge("tial_signed_size", "Size of the newest signed checkpoint", self._node.publisher.signed_size)
        yield _gauge("tial_witness_quorum", "1 while witnesses make their quorum", int(not witnesses.missing))
        times = GaugeMetricFamily(
            "tial_witness_cosigned_time_seconds", "Newest cosignature, Unix seconds", labels=["witness", "kind"]
        )
        for one in witnesses.cosigner.witnesses:
            times.add_metric([one.name, one.kind], one.cosigned_at)
        yield times

    def _anchoring(self) -> Iterator[Metric]:
        if self._node.anchors is None:
            return
        status = self._node.anchors.status()
        state = GaugeMetricFamily("tial_anchor_state", "1 for what the anchor worker is doing", labels=["state"])
        state.add_metric([status.state.value], 1)
        yield state
        yield _gauge("tial_anchored_size", "Size of the newest final anchor", status.anchored_size)
        yield _gauge("tial_anchored_time_seconds", "When it became final, Unix seconds", status.anchored_time)
        yield _gauge("tial_anchor_backlog_entries", "Entries published and not anchored", status.backlog)
        yield _gauge("tial_chain_block", "Newest block that the chain told of", status.chain_block)
        if status.chain_time:
            yield _gauge("tial_chain_time_seconds", "Time of the newest verified block, Unix", status.chain_time)
            yield _gauge("tial_chain_halted", "1 while the chain makes no new blocks", int(status.chain_halted))
        proven = self._node.anchors.evidence_status().time
        yield _gauge("tial_anchor_evidence_seconds", "Time of the block of the newest chain evidence, Unix", proven)
        for name, value in (
            ("anchors", status.anchors_total), ("sent", status.sent_total), ("resent", status.resent_total),
            ("lost", status.lost_total), ("failures", status.failures_total), ("switches", status.switches_total),
            ("cpu_seconds", status.cpu_seconds),
        ):  # fmt: skip
            yield CounterMetricFamily(f"tial_anchor_{name}", f"Anchor worker: {name} since start", value=value)
        if status.nodes:
            nodes = GaugeMetricFamily("tial_chain_node_well", "1 while a node of the chain is well", labels=["node"])
            for number, each in enumerate(status.nodes, 1):  # named by their order: an address may stand twice
                nodes.add_metric([str(number)], int(each.state == "well"))
            yield nodes


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
