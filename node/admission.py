"""Admission: statements in, groups of entries out. The node's only writer of state, without I/O of its own.

Belongs to one thread. It runs the transition function on an overlay of the stored state, recognises acts that are in
the log already, and collects what was admitted into a `Group` for the sequencer to make durable. It closes batches with
manifests so that log time never lags (DESIGN rule 4). A group is either made durable as a whole or the node stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ledger.errors import Rejection
from ledger.state.places import place_of_statement
from ledger.state.reasons import Reason, refuse
from ledger.state.records import KIND_OF, BatchRecord, KeyRef, LogRecord, Part, record_key
from ledger.state.rules1.log import log_did
from ledger.state.transition import RULES, transition, verify_signature
from ledger.state.view import Changes, Overlay, View
from ledger.statements import Draft, Statement, decode_statement, sign
from ledger.store.index import Index, IndexUpdate
from ledger.store.replay import Change, changes_of, index_update
from node.document_check import DocumentCheck, Fitness
from node.keyring import KeyRing
from node.submission import Admitted, Outcome, Refused

R = TypeVar("R")
_NO_KEY = KeyRef(0, b"")


@dataclass(slots=True)
class Group:
    """Entries at consecutive indexes from `first` that become durable together, and what they change.

    `manifests` lists (batch number, index) of manifests among them; `log_time` holds for the entries after the last,
    `cose` is the log's key in force then. `key_changes` lists (index, statement) of changes of the log's keys.
    """

    first: int
    log_time: int = 0
    cose: KeyRef = _NO_KEY
    entries: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    acts: list[bytes] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    manifests: list[tuple[int, int]] = field(default_factory=list)
    key_changes: list[tuple[int, Statement]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The log's size once the group is in it."""
        return self.first + len(self.entries)

    def index_update(self) -> IndexUpdate:
        """What the index must take over."""
        return index_update(self.end, self.changes, self.manifests)


class KnownVerdict:
    """The `verify` that the transition function gets: answers the statement's own check from the worker's verdict."""

    __slots__ = ("good", "key", "statement")

    def __init__(self) -> None:
        self.statement: Statement | None = None
        self.key = b""
        self.good = False

    def __call__(self, alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
        st = self.statement
        if st is not None and signature is st.signature and key == self.key and alg == st.alg and message == st.signed:
            return self.good
        return verify_signature(alg, key, message, signature)


class _At:
    """The state as it would be once the open batch is closed at `now`."""

    __slots__ = ("_now", "_view")

    def __init__(self, view: View, now: int) -> None:
        self._view = view
        self._now = now

    def read(self, kind: type[R], *parts: Part) -> R | None:
        record = self._view.read(kind, *parts)
        if isinstance(record, BatchRecord):
            return record._replace(number=record.number + 1, time=self._now)
        return record


class Admission:
    """Decides, numbers, and groups. See the module's docstring."""

    def __init__(
        self,
        index: Index,
        ring: KeyRing,
        size: int,
        counts: Counter[str],
        *,
        entry_at: Callable[[int], bytes],
        documents: DocumentCheck,
    ) -> None:
        """`size` entries are durable; `counts` are those of the open batch by type; `entry_at` finds a logged entry.

        `documents` is asked about what the function would admit.
        """
        self.view = Overlay(index.record)
        self._index = index
        self._ring = ring
        self._entry_at = entry_at
        self._acts: dict[bytes, Admitted] = {}
        self._verdict = KnownVerdict()
        self._counts = counts
        self.documents = documents
        self.lagging_at: int | None = None
        """The clock, while log time is behind it and no batch is closed because nothing that waits could enter."""
        self._stored = size
        self._group = Group(size)
        log = self.view.read(LogRecord)
        assert log is not None, "a node starts on a log that has its genesis"
        self.log_id = log.log_id

    @property
    def size(self) -> int:
        """Entries in the log once the open group is in it."""
        return self._group.end

    @property
    def log_time(self) -> int:
        """Log time now: the time of the last manifest."""
        return self._batch().time

    @property
    def begun(self) -> bool:
        """Whether the first manifest is in the log: nothing else is admitted before it."""
        return self._batch().number > 0

    @property
    def sealed(self) -> bool:
        """Whether the log is sealed: it takes no statements any more."""
        return self._log().successor is not None

    def _batch(self) -> BatchRecord:
        batch = self.view.read(BatchRecord)
        assert batch is not None
        return batch

    def _log(self) -> LogRecord:
        log = self.view.read(LogRecord)
        assert log is not None
        return log

    def admit(self, st: Statement, key: bytes, good: bool, fitness: Fitness | None = None) -> Outcome:
        """Decide about a statement.

        `good` is the result of checking its signature with `key`, b"" where nobody did; `fitness` what is known of its
        document already.
        """
        known = self._acts.get(st.act)
        if known is not None:
            return known
        verdict = self._verdict
        verdict.statement, verdict.key, verdict.good = st if key else None, key, good
        try:
            self._refuse_what_stops_the_node(st)
            if self.lagging_at is not None:  # for the reason alone: an old log time would call everything too new
                transition(_At(self.view, self.lagging_at), st, self.size, verdict)
            changes = transition(self.view, st, self.size, verdict)
        except Rejection as error:
            return self._logged_before(st) or Refused(error)
        unfit = self.documents.judge(st, self.view, fitness)
        return Refused(unfit) if unfit is not None else Admitted(self._append(st, changes), st.leaf)

    def hopeless(self, st: Statement, key: bytes, good: bool, now: int) -> bool:
        """Whether the function would refuse a statement even if log time were `now`. Decides nothing; as `admit`."""
        verdict = self._verdict
        verdict.statement, verdict.key, verdict.good = st if key else None, key, good
        try:
            self._refuse_what_stops_the_node(st)
            transition(_At(self.view, now), st, self.size, verdict)
        except Rejection:
            return True
        return False

    def _refuse_what_stops_the_node(self, st: Statement) -> None:
        """The function may allow what this node could not go on after; the node may always refuse."""
        if st.type == "manifest":
            raise refuse(Reason.WRONG_SIGNER, "Manifests are made by the node alone.", where="protected.16")
        if st.type != "log":
            return
        if st.body.get("rules", 1) not in RULES:
            raise refuse(Reason.BAD_PARAMETERS, "This node does not know that rules version.", where="body.rules")
        log, keys = self._log(), st.body.get("keys")
        if keys is None:
            return
        new = [KeyRef(keys[name]["alg"], keys[name]["key"]) for name in ("cose", "note")]
        if new != [log.cose, log.note] and not self._ring.holds(*new):
            raise refuse(Reason.BAD_PARAMETERS, "This node does not hold the new keys of the log.", where="body.keys")

    def _logged_before(self, st: Statement) -> Admitted | None:
        """Find the same act in the log; asked only of what the function refuses, because it refuses every act twice.

        The act, if it is there, was the touch after `seq` of the record that its subject names.
        """
        place = place_of_statement(st)
        key = record_key(KIND_OF[place[0]], *place[1:])
        for index in self._index.history(key, (st.seq or 0) + 1, 1):
            if index >= self._stored:
                return None  # of a group that is being stored: its acts are in `_acts`, and this is none of them
            logged = decode_statement(self._entry_at(index))
            if logged.act == st.act:
                return Admitted(index, logged.leaf, duplicate=True)
        return None

    def close_batch(self, now: int, state_root: bytes) -> int:
        """Append the manifest of the open batch with time `now`; returns a size at which a checkpoint can be signed.

        It is the first entry of its group, and `state_root` that of the tree once everything before it is stored.
        """
        log, batch = self._log(), self._batch()
        assert not self._group.entries, "a group belongs to one batch, with the manifest before it in front"
        assert self._stored == self.size, "the tree of the closing batch is not whole yet"
        draft = Draft(
            type="manifest",
            iss=log_did(log),
            sub=f"batch:{batch.number + 1}",
            aud=self.log_id.hex(),
            iat=now,
            body={
                "first": batch.first,
                "count": self.size - batch.first,
                "counts": dict(sorted(self._counts.items())),
                "rules": log.rules,
                "state": state_root,
                "began": batch.time,
            },
        )
        st = decode_statement(sign(draft, self._ring.cose_signer(log.cose)))
        self._verdict.statement = None
        index = self._append(st, transition(self.view, st, self.size, self._verdict))
        self._group.manifests.append((batch.number + 1, index))
        self._counts = Counter()
        return index + 1

    def _append(self, st: Statement, changes: Changes) -> int:
        group = self._group
        index = group.end
        group.changes += changes_of(self.view, changes)
        self.view.apply(changes)
        group.entries.append(st.raw)
        group.leaves.append(st.leaf)
        group.acts.append(st.act)
        if st.type == "log" and "keys" in st.body:
            group.key_changes.append((index, st))
        self._acts[st.act] = Admitted(index, st.leaf, duplicate=True)
        self._counts[st.type] += 1
        return index

    def take_group(self) -> Group:
        """Hand over what was collected and begin a new group behind it."""
        group = self._group
        group.log_time, group.cose = self.log_time, self._log().cose
        self._group = Group(group.end)
        return group

    def stored(self, group: Group) -> None:
        """The group is durable and in the index: later reads find it there."""
        self.view.stored((place, record) for place, record, _ in group.changes)
        self._stored = group.end
        for act in group.acts:
            del self._acts[act]
