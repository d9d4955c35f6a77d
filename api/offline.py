"""Verifying an evidence bundle offline: files in, report and exit code out.

Owns the files: the bundle, the policy, and the verifier's memory of checkpoints. Needs the base install only, so that a
verifier runs `python -m api.offline FILE --policy POLICY` without a node's packages; `tial verify` does the same. All
judgement is `ledger.evidence.verifier`'s.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from api.files import reading
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence.committed import Seen
from ledger.evidence.container import BEGINNING, MAX_BUNDLE
from ledger.evidence.messages import LANGUAGES
from ledger.evidence.policy import MAX_POLICY, parse_policy
from ledger.evidence.report import Verdict
from ledger.evidence.verifier import Verification, verify

EXITS: Final = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.CANNOT_TELL: 4}
"""Exit codes, those of `tial`."""
_USAGE: Final = 2
_MAX_MEMORY: Final = 16 << 20


def verify_file(file: Path, policy: Path, *, now: int | None = None, memory: Path | None = None) -> Verification:
    """Verify the bundle in `file` under the policy in `policy`, at `now` (by default the clock's time).

    `memory` is a file that keeps the highest checkpoint of each log that was seen valid; it is made where it is absent.
    Where the bundle's checkpoint contradicts it, the split-view proof is written beside it as `<memory>.split-view`.

    Raises:
        MalformedError: policy or memory are not in their form.
        UnavailableError: a file cannot be read or written.

    """
    with reading(policy, "policy", "tial policy init writes one"):
        trusted = parse_policy(_text(_read(policy, MAX_POLICY)))
    known = {} if memory is None or not memory.exists() else _known(memory)
    clock = int(time.time()) if now is None else now
    found = verify(_read(file, MAX_BUNDLE + 1), trusted, clock, known)
    seen = found.checkpoint
    if memory is not None and found.conflict is not None:
        from ledger.evidence.split_view import split_checkpoints  # noqa: PLC0415 - heavy, and hardly ever needed

        _replace(memory.with_name(f"{memory.name}.split-view"), split_checkpoints(*found.conflict))
    if memory is not None and seen is not None and seen.size > known.get(seen.log_id, seen._replace(size=0)).size:
        _replace(memory, write_memory({**known, seen.log_id: seen}))
    return found


def is_bundle(file: Path) -> bool:
    """Whether a file begins as bundles do; False where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False


def read_memory(raw: bytes) -> dict[bytes, Seen]:
    """Read a memory file; MalformedError for any other form."""
    try:
        members = json.loads(raw)
        found = {}
        for log, (size, root, note) in members.items():
            seen = Seen(bytes.fromhex(log), size, bytes.fromhex(root), base64.b64decode(note, validate=True))
            if type(size) is not int:
                raise TypeError(size)
            found[seen.log_id] = seen
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(str(error)[:100], where="memory") from error
    return found


def write_memory(memory: Mapping[bytes, Seen]) -> bytes:
    """Write a memory file."""
    members = {
        log.hex(): [seen.size, seen.root.hex(), base64.b64encode(seen.note).decode()] for log, seen in memory.items()
    }
    return json.dumps(members, indent=1).encode() + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 valid, 1 invalid, 2 wrong use, 4 cannot tell."""
    parser = argparse.ArgumentParser(prog="api.offline", description="Verify an evidence bundle without a network.")
    parser.add_argument("file", type=Path, help="the bundle")
    parser.add_argument("--policy", type=Path, required=True, help="whom you trust: a policy file")
    parser.add_argument("--memory", type=Path, help="file that remembers the checkpoints seen")
    parser.add_argument("--now", type=int, help="your clock, in Unix seconds (default: this machine's)")
    parser.add_argument("--lang", choices=LANGUAGES, default=LANGUAGES[0], help="language of the report")
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    asked = parser.parse_args(arguments)
    try:
        found = verify_file(asked.file, asked.policy, now=asked.now, memory=asked.memory)
    except LedgerError as error:
        sys.stderr.write(f"{error.explain()}\n")
        return _USAGE
    report = found.report
    told = (
        json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n" if asked.json else report.as_text(asked.lang)
    )
    sys.stdout.write(told)
    return EXITS[report.overall]


def _known(path: Path) -> dict[bytes, Seen]:
    with reading(path, "memory of checkpoints", "Name the file that an earlier run wrote, or a new one"):
        return read_memory(_read(path, _MAX_MEMORY))


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"The file cannot be read: {error.strerror}", where=str(path)) from error
    if len(raw) > limit:
        raise MalformedError(f"The file is longer than {limit} bytes", where=str(path))
    return raw


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("it is not UTF-8") from error


def _replace(path: Path, data: bytes) -> None:
    """Write the file as a whole or not at all."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise UnavailableError(f"The memory cannot be written: {error.strerror}", where=str(path)) from error


if __name__ == "__main__":
    sys.exit(main())
