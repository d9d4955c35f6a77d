"""aics-tlog, a verifier written by others, accepts our checkpoints, tiles and proofs and refuses altered ones."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.log.proofs import consistency_proof, inclusion_proof
from ledger.log.tiles import entries_path, tile_path
from ledger.log.tree import leaf_hash
from ledger.store.tiles import TileReader
from tests.interop.live_log import ORIGIN, MadeLog, served

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tool says: `ok` by its exit code and by its report, which must agree."""

    ok: bool
    report: dict[str, Any]


class Tool:
    """The command line of aics-tlog with our key given out of band."""

    def __init__(self, program: Path, folder: Path, log: MadeLog) -> None:
        self.program = program
        self.folder = folder
        self.log = log
        self.vkey = folder / "log.vkey"
        self.vkey.write_text(log.vkey + "\n")

    def run(self, *arguments: object) -> Verdict:
        command = [str(self.program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in {0, 1}, done.stderr
        report = json.loads(done.stdout)
        assert report["ok"] == (done.returncode == 0)
        return Verdict(report["ok"], report)

    def signed(self, command: str, *arguments: object, origin: str = ORIGIN) -> Verdict:
        """Run a command that starts from a signed checkpoint."""
        return self.run(command, "--vkey-file", self.vkey, "--origin", origin, *arguments)

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def hashes(self, hashes: Sequence[bytes]) -> Path:
        return self.file("proof", b"".join(base64.b64encode(value) + b"\n" for value in hashes))


@pytest.fixture
def tool(peer: Callable[[str], Path], made_log: MadeLog, tmp_path: Path) -> Tool:
    return Tool(peer("aics-tlog"), tmp_path, made_log)


@pytest.fixture
def reader(made_log: MadeLog) -> TileReader:
    return TileReader(made_log.served)


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_every_checkpoint_that_we_published_is_accepted(tool: Tool, made_log: MadeLog) -> None:
    for checkpoint in made_log.checkpoints:
        verdict = tool.signed("verify-checkpoint", "--note", tool.file("note", checkpoint.note))
        assert verdict.ok, verdict.report
        assert (verdict.report["size"], verdict.report["root"]) == (checkpoint.size, text(checkpoint.root))


def altered(note: bytes) -> dict[str, bytes]:
    origin, size, root, blank, signature, end = note.split(b"\n")
    return {
        "size": b"\n".join([origin, b"%d" % (int(size) + 1), root, blank, signature, end]),
        "size with a leading zero": b"\n".join([origin, b"0" + size, root, blank, signature, end]),
        "root": b"\n".join([origin, size, base64.b64encode(bytes(32)), blank, signature, end]),
        "origin": b"\n".join([b"other.example/log", size, root, blank, signature, end]),
        "extension line": b"\n".join([origin, size, root, b"added", blank, signature, end]),
        "signature": b"\n".join([origin, size, root, blank, signature[:-4] + b"AAA=", end]),
        "no signature": b"\n".join([origin, size, root, blank, end]),
        "cut": note[:-2],
    }


@pytest.mark.parametrize("change", altered(b"o\n1\nr\n\ns\n"))
def test_an_altered_checkpoint_is_refused(tool: Tool, made_log: MadeLog, change: str) -> None:
    note = altered(made_log.checkpoints[-1].note)[change]
    assert not tool.signed("verify-checkpoint", "--note", tool.file("note", note)).ok


def test_our_checkpoint_under_another_origin_or_key_is_refused(tool: Tool, made_log: MadeLog) -> None:
    note = tool.file("note", made_log.checkpoints[-1].note)
    assert not tool.signed("verify-checkpoint", "--note", note, origin="other.example/log").ok
    tool.vkey.write_text("interop.example/log+17f9e0ad+AcCGXZBvfcH7yUeewOFx/RICCbU7YNk772WjOPOkK8va\n")
    assert not tool.signed("verify-checkpoint", "--note", note).ok


def test_the_served_log_is_accepted_with_its_tiles(tool: Tool, made_log: MadeLog) -> None:
    with served(made_log.served) as url:
        verdict = tool.signed("verify-checkpoint", "--tiles", url)
    assert verdict.ok, verdict.report
    assert verdict.report["tiles_ok"]
    assert verdict.report["size"] == made_log.size


def test_entries_are_proven_from_our_tiles(tool: Tool, made_log: MadeLog, reader: TileReader) -> None:
    with served(made_log.served) as url:
        for index in (0, 1, 255, 256, made_log.size // 2, made_log.size - 1):
            found = tool.folder / "entry"
            verdict = tool.signed("verify-inclusion", "--tiles", url, "--index", index, "--entry-out", found)
            assert verdict.ok, verdict.report
            assert verdict.report["leaf_hash"] == leaf_hash(reader.entry(index)).hex()
            assert found.read_bytes() == reader.entry(index)


def test_an_altered_entry_or_tile_is_refused(tool: Tool, made_log: MadeLog) -> None:
    for damaged in (entries_path(3), tile_path(0, 3), tile_path(1, 0, made_log.size // 256)):
        copy = Path(shutil.copytree(made_log.served, tool.folder / "copy"))
        path = copy / damaged
        path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
        assert not tool.signed("verify-inclusion", "--tiles", copy, "--index", 4 * 256 - 1).ok, damaged
        shutil.rmtree(copy)


def test_growth_between_our_checkpoints_is_accepted(tool: Tool, made_log: MadeLog) -> None:
    for old in made_log.checkpoints[:-1]:
        kept = tool.file("old", old.note)
        verdict = tool.signed("verify-consistency", "--tiles", made_log.served, "--old-checkpoint", kept)
        assert verdict.ok, verdict.report


def test_inclusion_proofs_that_we_make_are_accepted(tool: Tool, made_log: MadeLog, reader: TileReader) -> None:
    for checkpoint in made_log.checkpoints:
        index = checkpoint.size // 3
        proof = inclusion_proof(index, checkpoint.size, reader.nodes(checkpoint.size).get_node)
        leaf = leaf_hash(reader.entry(index))
        claim = ("--leaf-hash", leaf.hex(), "--size", checkpoint.size, "--root", text(checkpoint.root))
        good = tool.run("verify-inclusion", *claim, "--index", index, "--proof", tool.hashes(proof))
        assert good.ok, good.report
        assert not tool.run("verify-inclusion", *claim, "--index", index + 1, "--proof", tool.hashes(proof)).ok
        assert not tool.run("verify-inclusion", *claim, "--index", index, "--proof", tool.hashes(proof[:-1])).ok


def test_consistency_proofs_that_we_make_are_accepted(tool: Tool, made_log: MadeLog, reader: TileReader) -> None:
    new = made_log.checkpoints[-1]
    for old in made_log.checkpoints[:-1]:
        proof = consistency_proof(old.size, new.size, reader.nodes(new.size).get_node)
        claim = ("--old-size", old.size, "--new-size", new.size, "--new-root", text(new.root))
        path = tool.hashes(proof)
        good = tool.run("verify-consistency", *claim, "--old-root", text(old.root), "--proof", path)
        assert good.ok, good.report
        assert not tool.run("verify-consistency", *claim, "--old-root", text(new.root), "--proof", path).ok
