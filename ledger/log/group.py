"""The small tree over one group of entries that became durable together (DESIGN section 6, acknowledgements).

The same shape as the log's tree (RFC 9162 section 2.1.1), with every row kept, so that the range proofs of many
submitters in one group cost a few look-ups each. `proofs.root_from_range` checks them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import MalformedError
from ledger.log.tree import node_hash, pair_row, root_of


class GroupTree:
    """All rows of the tree over `leaf_hashes` (at least one, 32 bytes each); a last odd node moves up as it is."""

    __slots__ = ("_rows", "size")

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        if not leaf_hashes:
            raise MalformedError("A group holds at least one entry")
        self.size = len(leaf_hashes)
        row = list(leaf_hashes)
        self._rows = [row]
        while len(row) > 1:
            unpaired = row[-1:] if len(row) % 2 else []
            row = pair_row(row[: len(row) - len(unpaired)]) + unpaired
            self._rows.append(row)

    @property
    def root(self) -> bytes:
        """The root over the group's leaf hashes, 32 bytes."""
        return self._rows[-1][0]

    def range_proof(self, first: int, count: int) -> list[bytes]:
        """The hashes that complete the run of `count` from `first` to the root, ordered as by `proofs.range_proof`."""
        last = first + count
        if first < 0 or count < 1 or last > self.size:
            raise MalformedError(f"The run {first}..{last} does not lie in a group of {self.size}")
        proof: list[bytes] = []

        def visit(low: int, high: int) -> None:
            if high <= first or low >= last:
                level = (high - low - 1).bit_length()
                proof.append(self._rows[level][low >> level])
            elif low < first or high > last:
                middle = low + (1 << (high - low - 1).bit_length() - 1)
                visit(low, middle)
                visit(middle, high)

        visit(0, self.size)
        return proof


def single_proof(at: int, first: int, run: Sequence[bytes], size: int, proof: Sequence[bytes]) -> list[bytes]:
    """The range proof of the leaf at `at` alone, from that of the `run` from `first` in a group of `size`.

    `proofs.root_from_range` has to have accepted `proof` before. Raises MalformedError where `at` is not in the run.
    """
    end = first + len(run)
    if not first <= at < end <= size:
        raise MalformedError(f"Leaf {at} is not in the run {first}..{end}")
    supply = iter(proof)

    def visit(low: int, high: int) -> tuple[bytes, list[bytes]]:
        """Hash of a part, and what proves the leaf within it (nothing where the part lacks it)."""
        if high <= first or low >= end:
            return next(supply), []
        if high - low == 1:
            return run[low - first], []
        if low >= first and high <= end and not low <= at < high:
            return root_of(run[low - first : high - first]), []
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        (left, in_left), (right, in_right) = visit(low, middle), visit(middle, high)
        inner: list[bytes] = []
        if low <= at < middle:
            inner = [*in_left, right]
        elif middle <= at < high:
            inner = [left, *in_right]
        return node_hash(left, right), inner

    return visit(0, size)[1]
