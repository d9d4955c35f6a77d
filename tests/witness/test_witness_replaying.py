"""The replaying witness: it runs the rules over every entry, and what breaks them it neither cosigns nor forgets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli.main import main
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.evidence.violation import LoggedEntry, Violation
from ledger.log.checkpoint import Checkpoint, open_cosigned, sign_checkpoint
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import consistency_proof
from ledger.log.tree import EMPTY_ROOT, leaf_hash, root_of
from ledger.state.records import KeyRef
from ledger.statements import Draft, decode_statement, sign
from ledger.store.tiles import TileReader, TileWriter
from node.witness.request import write_request
from node.witness.witness import Answer, Witness
from tests.witness.serving import files_at
from tests.witness.witness_world import StillClock, make_witness, replaying
from tests.world import PREFIX, Consortium, World

NOW = 1_750_000_000


class ServedLog:
    """A world's log as files, and signed checkpoints of it: honest unless the test writes something else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world: World = Consortium()
        self.vkey = Vkey(self.world.log.origin, ED25519, self.world.note.public_key)
        self.entries: list[bytes] = []

    def write(self, entries: Sequence[bytes] | None = None) -> int:
        """Serve the entries, by default all of the world's; returns how many."""
        given = list(self.world.entries if entries is None else entries)
        if given[: len(self.entries)] != self.entries:
            shutil.rmtree(self.folder)
            self.entries = []
        size = len(self.entries)
        self.folder.mkdir(exist_ok=True)
        writer = TileWriter.open(self.folder, size, self.root(size))
        new = given[size:]
        writer.extend(new, [leaf_hash(entry) for entry in new])
        writer.flush()
        self.entries = given
        return len(given)

    def root(self, size: int) -> bytes:
        return root_of([leaf_hash(entry) for entry in self.entries[:size]]) if size else EMPTY_ROOT

    def note(self, size: int) -> bytes:
        return sign_checkpoint(self.world.note, Checkpoint(self.vkey.name, size, self.root(size)))

    def submit(self, witness: Witness, old: int) -> Answer:
        """Ask for a cosignature on what is served now."""
        reached = len(self.entries)
        nodes = TileReader(self.folder).nodes(reached)
        proof = consistency_proof(old, reached, nodes.get_node)
        return witness.add_checkpoint(write_request(old, proof, self.note(reached)))


@pytest.fixture
def log(tmp_path: Path) -> ServedLog:
    return ServedLog(tmp_path / "log")


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW + 1)


@pytest.fixture
def witness(tmp_path: Path, log: ServedLog, clock: StillClock) -> Iterator[Witness]:
    with files_at(log.folder) as url:
        make_witness(tmp_path / "w", (log.vkey, url), replaying=True)
        with replaying(tmp_path / "w", clock) as opened:
            yield opened


def evidence(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tmp_path.glob("w/logs/*/evidence/*")}


def the_violation(tmp_path: Path, log: ServedLog) -> Violation:
    """The one evidence file, checked against the log's key and made to survive a round trip."""
    ((_, raw),) = evidence(tmp_path).items()
    found = Violation.decode(raw)
    assert found.encode() == raw
    assert found.check([log.vkey]).size == len(log.entries)
    return found


def test_an_honest_log_is_cosigned_as_it_grows(witness: Witness, log: ServedLog, tmp_path: Path):
    first = log.write()
    answer = log.submit(witness, 0)
    assert answer.status == 200, answer
    log.world.close(NOW + 1)
    second = log.write()
    answer = log.submit(witness, first)
    assert answer.status == 200, answer
    open_cosigned(log.note(second) + answer.body, log.vkey, [witness.vkey])
    assert not evidence(tmp_path)


def test_a_witness_goes_on_where_it_was_after_a_restart(tmp_path: Path, log: ServedLog, clock: StillClock):
    with files_at(log.folder) as url:
        make_witness(tmp_path / "w", (log.vkey, url), replaying=True)
        size = log.write()
        with replaying(tmp_path / "w", clock) as witness:
            assert log.submit(witness, 0).status == 200
        log.world.close(NOW + 1)
        log.write()
        with replaying(tmp_path / "w", clock) as witness:
            assert log.submit(witness, size).status == 200


def test_a_wrong_state_root_is_refused_for_good(witness: Witness, log: ServedLog, tmp_path: Path):
    log.world.close(NOW, state=bytes(31) + b"\x01")
    size = log.write()
    answer = log.submit(witness, 0)
    assert (answer.status, b"state" in answer.body) == (422, True)
    found = the_violation(tmp_path, log)
    assert found.offending is not None
    assert found.offending.index == found.manifest.index == size - 1
    log.world.close(NOW)
    log.write()
    assert log.submit(witness, 0).status == 422  # what follows does not mend it
    assert len(evidence(tmp_path)) == 1


def test_a_statement_that_the_rules_refuse_is_shown(witness: Witness, log: ServedLog, tmp_path: Path):
    good = list(log.world.entries)
    genesis = good[0]
    manifest = decode_statement(good[-1])
    stolen = bytearray(good[2])
    stolen[-1] ^= 1  # a signature that does not verify
    log.write([*good, bytes(stolen), _manifest(log.world, len(good), manifest.subject[1] + 1)])
    answer = log.submit(witness, 0)
    assert answer.status == 422, answer
    found = the_violation(tmp_path, log)
    assert found.offending == LoggedEntry(len(good), bytes(stolen), found.offending.proof)  # type: ignore[union-attr]
    assert genesis not in (found.manifest.entry, bytes(stolen))


def test_a_signature_of_somebody_else_is_found_by_replaying(witness: Witness, log: ServedLog, tmp_path: Path):
    """A statement that the rules would admit, were its signature the actor's."""
    world = log.world
    good = len(world.entries)
    world.put(world.registration(world.registrar, "vaa:88.118.8/FORGED", PREFIX, world.holder))  # type: ignore[attr-defined]
    forged = bytearray(world.entries[good])
    forged[-5] ^= 1
    world.close(NOW)
    log.write([*world.entries[:good], bytes(forged), *world.entries[good + 1 :]])
    assert log.submit(witness, 0).status == 422
    found = the_violation(tmp_path, log)
    assert found.offending is not None
    assert found.offending.entry == bytes(forged)
    assert "signature" in found.reason


def _manifest(world: World, first: int, number: int) -> bytes:
    body = {"first": first, "count": 1, "counts": {"actor": 1}, "rules": 1, "state": bytes(32), "began": NOW}
    issuer = decode_statement(world.entries[1]).iss
    draft = Draft("manifest", issuer, f"batch:{number}", world.log_id.hex(), NOW, body=body)
    return sign(draft, world.cose)


def test_a_checkpoint_that_ends_in_no_manifest_is_refused(witness: Witness, log: ServedLog, tmp_path: Path):
    size = log.write(log.world.entries[:-1])
    answer = log.submit(witness, 0)
    assert (answer.status, b"no manifest" in answer.body) == (422, True)
    assert list(evidence(tmp_path)) == [f"checkpoint-{size}.tial-evidence"]
    log.write()
    assert log.submit(witness, 0).status == 200


@pytest.mark.parametrize("apart", [-301, 302])
def test_a_manifest_of_another_time_is_refused_until_one_is_of_now(
    witness: Witness, log: ServedLog, clock: StillClock, tmp_path: Path, apart: int
):
    log.world.close(NOW)
    clock.passes(-apart if apart < 0 else 0)
    if apart > 0:
        log.world.close(NOW + apart)
    log.write()
    answer = log.submit(witness, 0)
    assert (answer.status, b"clock" in answer.body) == (422, True)
    assert the_violation(tmp_path, log).offending is None
    clock.passes(max(apart, 0))
    log.world.close(int(clock.at))
    log.write()
    assert log.submit(witness, 0).status == 200


def test_what_was_cosigned_is_cosigned_again_when_its_manifest_is_old(
    witness: Witness, log: ServedLog, clock: StillClock
):
    size = log.write()
    assert log.submit(witness, 0).status == 200
    clock.passes(3_600)
    assert log.submit(witness, size).status == 200  # freshness: nothing in it changed


def test_a_log_that_broke_its_rules_is_not_vouched_for_anew(witness: Witness, log: ServedLog):
    """Not even for the checkpoint that was cosigned before: a reader would take the log for a live and honest one."""
    size = log.write()
    assert log.submit(witness, 0).status == 200
    honest = log.note(size)
    log.world.close(NOW)
    log.write([*log.world.entries[:-1], log.world.entries[-1][:-1] + b"?"])
    assert log.submit(witness, size).status == 422
    assert witness.add_checkpoint(write_request(size, [], honest)).status == 422


def test_a_log_that_does_not_serve_what_it_signed_is_not_accused(witness: Witness, log: ServedLog, tmp_path: Path):
    log.write()
    bundle = next(log.folder.glob("tile/entries/**/*.p/*"))
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert log.submit(witness, 0).status == 503
    bundle.unlink()
    assert log.submit(witness, 0).status == 503
    bundle.write_bytes(whole)
    assert log.submit(witness, 0).status == 200
    assert not evidence(tmp_path)


def test_two_histories_that_were_only_examined_are_a_split_view(
    witness: Witness, log: ServedLog, clock: StillClock, tmp_path: Path
):
    """The first was refused for its time, so nothing was cosigned; the second contradicts it all the same."""
    twin = log.world.fork()
    log.world.close(NOW + 900)
    log.write()
    assert log.submit(witness, 0).status == 422
    first = len(log.entries)
    twin.close(NOW)
    twin.close(NOW)
    log.world = twin
    log.write()
    assert len(log.entries) > first
    assert log.submit(witness, 0).status == 422
    kept = {name: raw for name, raw in evidence(tmp_path).items() if "split-view" in name}
    ((name, raw),) = kept.items()
    assert name.startswith("violation-")
    identity = LogIdentity.of(log.world.log_id, log.vkey, KeyRef(0, b""))
    assert verify_split_view(raw, identity).kind == "checkpoints"


def test_a_damaged_index_accuses_nobody(tmp_path: Path, log: ServedLog, clock: StillClock):
    with files_at(log.folder) as url:
        make_witness(tmp_path / "w", (log.vkey, url), replaying=True)
        size = log.write()
        with replaying(tmp_path / "w", clock) as witness:
            assert log.submit(witness, 0).status == 200
        (index,) = tmp_path.glob("w/logs/*/index")
        for table in [*index.glob("*.ldb"), *index.glob("*.log")]:
            data = bytearray(table.read_bytes())
            for at in range(20, len(data), 50):
                data[at] ^= 0xFF
            table.write_bytes(bytes(data))
        log.world.close(NOW + 1)
        log.write()
        with replaying(tmp_path / "w", clock) as witness:
            assert log.submit(witness, size).status == 200
    assert not evidence(tmp_path)


# -- the evidence file ------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_any_bytes_are_evidence_or_refused(data: bytes):
    with pytest.raises(MalformedError):
        Violation.decode(data)


def test_evidence_is_checked_by_the_command_line(
    witness: Witness, log: ServedLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log.world.close(NOW, state=bytes(32))
    log.write()
    log.submit(witness, 0)
    (file,) = tmp_path.glob("w/logs/*/evidence/*")
    assert main(["witness", "evidence", str(file), "--vkey", log.vkey.format(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["origin"], told["entry"], told["type"]) == (log.vkey.name, len(log.entries) - 1, "manifest")
    other = Vkey(log.vkey.name, ED25519, log.world.cose.public_key)
    assert main(["witness", "evidence", str(file), "--vkey", other.format()]) == 1
    assert main(["witness", "evidence", str(tmp_path / "none"), "--vkey", other.format()]) == 2


def test_altered_evidence_does_not_pass(witness: Witness, log: ServedLog, tmp_path: Path):
    log.world.close(NOW, state=bytes(32))
    log.write()
    log.submit(witness, 0)
    found = the_violation(tmp_path, log)
    assert found.offending is not None
    moved = LoggedEntry(found.offending.index - 1, found.offending.entry, found.offending.proof)
    other = LoggedEntry(found.offending.index, b"other", found.offending.proof)
    for entry in (moved, other):
        for part in ("manifest", "offending"):
            values = {"manifest": found.manifest, "offending": found.offending, part: entry}
            forged = Violation(found.reason, found.time, found.checkpoint, **values)
            with pytest.raises(LedgerError):
                forged.check([log.vkey])
