"""What a bundle says of the past and of the present, behind the same windows that the log itself opens.

Owns `BundleHistory`, which answers `ledger.evidence.past` from a bundle's entries and lists of touches, and
`BundleView`, which answers the rules from its state claims. Trusts that the claims are proven by the state root
(step 7) and that the entries are in the tree (step 5): both are checked before an answer counts. What is not in the
bundle is never taken for absent: `MissingEvidenceError` names it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, TypeVar

from ledger.crypto.digests import kid
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.bundle import Bundle, Claim
from ledger.evidence.past import BrokenHistoryError, TooLongError, batch_after
from ledger.evidence.typed import read_record
from ledger.state.log_keys import LogKeys
from ledger.state.records import KIND_OF, ZERO_HEAD, BatchRecord, LogRecord, Part, next_head, record_key
from ledger.state.view import Place, Verify
from ledger.statements import Statement

R = TypeVar("R")
MAX_READS: Final = 50_000
"""Records that one question may read: records of a lying log may refer to one another in a circle."""


class MissingEvidenceError(LedgerError):
    """The bundle does not hold what the question needs."""

    code = "missing-evidence"


class Claims:
    """A bundle's state claims by key, each record decoded once, when it is first asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self.by_key: dict[bytes, Claim] = {claim.key: claim for claim in bundle.claims}
        self._records: dict[bytes, Any] = {}

    def read_all(self) -> None:
        """Decode every record that is claimed; MalformedError names the first that is none."""
        for key, claim in self.by_key.items():
            self.record(key, claim.label)

    def record(self, key: bytes, label: str) -> Any:
        """The record under `key`, None where its absence is claimed.

        Raises:
            MissingEvidenceError: nothing is claimed about it.
            MalformedError: what is claimed is no record of its kind.

        """
        if key in self._records:
            return self._records[key]
        claim = self.by_key.get(key)
        if claim is None:
            raise MissingEvidenceError("A record is not claimed", where=label, remedy="Ask for a whole bundle")
        record = None
        if claim.record is not None:
            try:
                record = read_record(claim.kind, claim.record)
            except MalformedError as error:
                raise MalformedError(error.explain(), where=label) from error
        self._records[key] = record
        return record


class BundleView:
    """The state at the checkpoint: a `View` over the claims. Log time is that of the manifest that ends the log."""

    __slots__ = ("_batch", "_claims", "_left")

    def __init__(self, claims: Claims, manifest: Statement, index: int) -> None:
        self._claims = claims
        self._batch = batch_after(manifest, index)
        self._left = MAX_READS

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """The record, None where its absence is proven.

        Raises:
            MissingEvidenceError: nothing is claimed about it.
            TooLongError: more records were read than one question may.

        """
        if kind is BatchRecord:
            return self._batch  # type: ignore[return-value]
        self._left -= 1
        if self._left < 0:
            raise TooLongError("The records of this log refer to one another without an end")
        name = KIND_OF[kind]
        label = "/".join([name, *(part.hex() if isinstance(part, bytes) else str(part) for part in parts)])
        return self._claims.record(record_key(name, *parts), label)  # type: ignore[no-any-return]


class BundleHistory:
    """The history that a bundle holds: see `ledger.evidence.past.History`."""

    def __init__(self, bundle: Bundle, statements: Mapping[int, Statement], claims: Claims, verify: Verify) -> None:
        self._statements = statements
        self._claims = claims
        self._verify = verify
        self._manifests = [index for index, found in statements.items() if found.type == "manifest"]
        self._lists = {bundle.claims[number].key: touched for number, touched in bundle.touches}
        self._complete: dict[bytes, list[int]] = {}
        self._sound: dict[int, bool] = {}
        self._keys: LogKeys | None = None

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        """Entries that touched a record: the whole list, which must be that of the proven record.

        Raises:
            MissingEvidenceError: record or list are not in the bundle.
            BrokenHistoryError: the list is not the record's: touches left out, made up or out of order.

        """
        key = record_key(KIND_OF[place[0]], *place[1:])
        complete = self._complete.get(key)
        if complete is None:
            complete = self._complete[key] = self._checked(key)
        return complete[start - 1 :][:limit]

    def statement(self, index: int) -> Statement:
        """An entry of the bundle, decoded; MissingEvidenceError where it is not there."""
        found = self._statements.get(index)
        if found is None:
            raise MissingEvidenceError("An entry is not in the bundle", where=f"entry {index}")
        return found

    def batch_before(self, index: int) -> BatchRecord | None:
        """From the manifest that closes the entry's batch, which says when the batch began.

        Raises:
            MissingEvidenceError: that manifest is not in the bundle.
            BrokenHistoryError: the manifest is not the log's.

        """
        if index == 0:
            return None
        place = bisect_left(self._manifests, index)
        manifest = self._statements[self._manifests[place]] if place < len(self._manifests) else None
        batch = None if manifest is None else batch_of(manifest)
        if batch is None or not batch.first <= index:
            raise MissingEvidenceError("The manifest of an entry's batch is not in the bundle", where=f"entry {index}")
        if not self.signed_by_log(self._manifests[place]):
            raise BrokenHistoryError("A manifest is not signed by the log", where=f"entry {self._manifests[place]}")
        return batch

    def status_index(self, index: int) -> int:
        """From the claim about the credential; 0 where there is none, for no rule looks at it."""
        statement = self._statements.get(index)
        if statement is None or statement.type != "certification":
            return 0
        key = record_key("credential", statement.sub)
        record = self._claims.record(key, statement.sub) if key in self._claims.by_key else None
        return 0 if record is None else int(record.status_index)

    @property
    def keys(self) -> LogKeys:
        """The log's keys over time, from the genesis and the later changes in the complete history of the log's record.

        Raises:
            MissingEvidenceError, BrokenHistoryError: as `touches` and `statement`.

        """
        if self._keys is None:
            changes = self.touches((LogRecord,), 1, MAX_READS)
            self._keys = LogKeys.of((index, self.statement(index)) for index in changes)
        return self._keys

    def signed_by_log(self, index: int) -> bool:
        """Whether entry `index` is signed by the cose key that the log had there."""
        if index not in self._sound:
            statement, key = self.statement(index), self.keys.cose_at(index)
            self._sound[index] = (
                statement.alg == key.alg
                and statement.kid == kid(key.key)
                and self._verify(key.alg, key.key, statement.signed, statement.signature)
            )
        return self._sound[index]

    def _checked(self, key: bytes) -> list[int]:
        record = self._claims.record(key, key.hex())
        if record is None:
            return []
        touched = self._lists.get(key)
        label = self._claims.by_key[key].label
        if touched is None:
            raise MissingEvidenceError("The history of a record is not in the bundle", where=label)
        head = ZERO_HEAD
        for index, leaf in touched:
            head = next_head(head, index, self._statements[index].leaf if leaf is None else leaf)
        indexes = [index for index, _ in touched]
        if any(later <= earlier for earlier, later in pairwise(indexes)):
            raise BrokenHistoryError("The history of a record is not in order", where=label)
        if (len(indexes), head) != (record.touches, record.head) or indexes[-1:] != [record.last]:
            raise BrokenHistoryError("The list of statements about a record is not the whole of it", where=label)
        return indexes


def batch_of(manifest: Statement) -> BatchRecord:
    """The batch that this manifest closes, as its entries found it; heads left out."""
    number, first = manifest.subject[1], manifest.body["first"]
    return BatchRecord(number, ZERO_HEAD, max(first - 1, 0), number - 1, manifest.body["began"], first)
