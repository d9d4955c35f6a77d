"""The plain witness: statuses of C2SP tlog-witness, persistence before the reply, and no step back, ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.witness import THREADS
from ledger.errors import MalformedError, RefusedStartError
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.log.checkpoint import Checkpoint, open_cosigned
from ledger.log.notes import MAX_NAME, Note, Vkey, sign_text
from ledger.log.tree import EMPTY_ROOT
from ledger.state.records import KeyRef
from ledger.store.durable import StorageError
from ledger.store.lock import CheckpointLock
from node.config import ConfigError
from node.witness.folder import KnownLog, WitnessFolder, origin_hash
from node.witness.request import MAX_BODY, SIZE_TYPE, AddCheckpoint, read_size, write_request
from node.witness.witness import Answer, Witness
from tests.witness.serving import files_at
from tests.witness.witness_world import NAME, StillClock, ToyLog, make_witness, opened
from tests.world import key

LOG = ToyLog()
FORK = ToyLog(salt=b"fork")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_witness(tmp_path / "w", (LOG.vkey, ""))
    return tmp_path / "w"


def cosignature(witness: Witness, note: bytes, answer: Answer) -> int:
    """The time in a 200's body, which must verify over the note."""
    assert answer.status == 200, answer
    _, (one,) = open_cosigned(note + answer.body, LOG.vkey, [witness.vkey])
    return one.time


# -- the transcript of another witness ----------------------------------------------------------------------------


def test_a_published_transcript_gets_its_statuses(tmp_path: Path, vectors: Callable[[str], Path]):
    told = json.loads((vectors("c2sp-tlog") / "witness-transcript.json").read_text())
    make_witness(tmp_path / "w", (Vkey.parse(told["log_vkey"]), ""), name="example.com/witness")
    with opened(tmp_path / "w") as witness:
        for number, step in enumerate(told["steps"]):
            answer = witness.add_checkpoint(step["body"].encode())
            # Step 1's signature line is not canonical base64; for step 2 the specification now says 404.
            assert answer.status == {1: 400, 2: 404}.get(number, step["status"]), (number, answer)
            if answer.status == 409:
                assert f'body == "{answer.body.decode()}"'.replace("\n", "\\n") in step["asserts"]
                assert answer.type == SIZE_TYPE


# -- statuses -----------------------------------------------------------------------------------------------------


def test_a_first_checkpoint_and_its_extension_are_cosigned(folder: Path):
    with opened(folder, StillClock(1_700_000_000)) as witness:
        assert cosignature(witness, LOG.note(3), witness.add_checkpoint(LOG.request(0, 3))) == 1_700_000_000
        cosignature(witness, LOG.note(20), witness.add_checkpoint(LOG.request(3, 20)))
        cosignature(witness, LOG.note(20), witness.add_checkpoint(LOG.request(20, 20)))
        kept = witness.checkpoint_of(origin_hash(LOG.origin))
        assert kept is not None
        checkpoint, (one,) = open_cosigned(kept, LOG.vkey, [witness.vkey])
        assert (checkpoint.size, one.vkey.name) == (20, NAME)
        assert witness.checkpoint_of(origin_hash("another")) is None


def test_size_zero_is_cosigned_with_the_empty_root_alone(folder: Path):
    with opened(folder) as witness:
        wrong = Note(Checkpoint(LOG.origin, 0, bytes(32)).text(), ())
        signed = wrong.with_signatures([sign_text(LOG.signer, LOG.origin, wrong.text)]).serialise()
        assert witness.add_checkpoint(write_request(0, [], signed)).status == 422
        assert witness.checkpoint_of(origin_hash(LOG.origin)) is None
        assert witness.add_checkpoint(write_request(0, [], LOG.note(0, EMPTY_ROOT))).status == 200
        assert witness.add_checkpoint(LOG.request(0, 7)).status == 200


def statuses() -> dict[str, tuple[int, bytes]]:
    """Requests to a witness that cosigned size 10."""
    note, proof = LOG.note(20), LOG.proof(10, 20)
    head, _, _ = note.partition(b"\n\n")
    other = key("another note key")
    own = Note(head + b"\n", (sign_text(other, LOG.origin, head + b"\n"),)).serialise()
    spoilt = note[:-12] + (b"A" if note[-12:-11] != b"A" else b"B") + note[-11:]
    return {
        "empty": (400, b""), "no proof part": (400, note), "no blank line": (400, b"old 10\n"),
        "old with a zero": (400, write_request(10, proof, note).replace(b"old 10", b"old 010")),
        "old negative": (400, write_request(10, proof, note).replace(b"old 10", b"old -10")),
        "old with a plus": (400, write_request(10, proof, note).replace(b"old 10", b"old +10")),
        "old over uint64": (400, write_request(10, proof, note).replace(b"old 10", b"old 18446744073709551616")),
        "old in other digits": (400, write_request(10, proof, note).replace(b"old 10", "old ١".encode())),
        "old above size": (400, write_request(21, [], note)),
        "short hash": (400, write_request(10, [b"x" * 31], note)),
        "hash not base64": (400, write_request(10, proof, note).replace(b"=\n\n", b"!\n\n", 1)),
        "too many hashes": (400, write_request(10, [bytes(32)] * 64, note)),
        "carriage return": (400, write_request(10, proof, note).replace(b"\n", b"\r\n")),
        "too long": (400, write_request(10, proof, note) + b"x" * MAX_BODY),
        "size with a zero": (400, write_request(10, proof, note.replace(b"\n20\n", b"\n020\n"))),
        "no signature": (400, write_request(10, proof, head + b"\n\n")),
        "unknown origin": (404, ToyLog("other.example/log").request(0, 5)),
        "unknown key": (403, write_request(10, proof, own)),
        "spoilt signature": (403, write_request(10, proof, spoilt)),
        "spoilt beside a good one": (403, write_request(10, proof, note + spoilt.partition(b"\n\n")[2])),
        "old too small": (409, LOG.request(9, 20)), "old is zero": (409, LOG.request(0, 20)),
        "old too large": (409, LOG.request(11, 20)), "smaller tree": (409, LOG.request(4, 5)),
        "empty proof": (422, write_request(10, [], note)),
        "longer proof": (422, write_request(10, [*proof, bytes(32)], note)),
        "proof of a fork": (422, write_request(10, FORK.proof(10, 20), FORK.note(20))),
        "fork at the same size": (422, FORK.request(10, 10)),
        "same size with a proof": (422, write_request(10, [bytes(32)], LOG.note(10))),
        "unknown line beside a good one": (200, write_request(10, proof, note + own.partition(b"\n\n")[2])),
    }  # fmt: skip


@pytest.mark.parametrize("name", statuses())
def test_each_request_gets_its_status(folder: Path, name: str):
    status, body = statuses()[name]
    with opened(folder) as witness:
        assert witness.add_checkpoint(LOG.request(0, 10)).status == 200
        before = witness.checkpoint_of(origin_hash(LOG.origin))
        answer = witness.add_checkpoint(body)
        assert answer.status == status, answer
        if status == 409:
            assert (answer.type, read_size(answer.body)) == (SIZE_TYPE, 10)
        if status != 200:
            assert witness.checkpoint_of(origin_hash(LOG.origin)) == before
            assert not answer.body.startswith("—".encode())


def test_a_proof_for_the_first_checkpoint_is_refused(folder: Path):
    with opened(folder) as witness:
        assert witness.add_checkpoint(write_request(0, [bytes(32)], LOG.note(5))).status == 422


def test_two_roots_of_one_size_are_kept_as_a_split_view(folder: Path):
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 10))
        assert witness.add_checkpoint(FORK.request(10, 10)).status == 422
    (file,) = folder.glob("logs/*/evidence/*")
    identity = LogIdentity.of(bytes(32), LOG.vkey, KeyRef(0, b""))
    assert verify_split_view(file.read_bytes(), identity).kind == "checkpoints"


@given(st.integers(0, 20), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_is_read_as_it_was_written(old: int, proof: list[bytes]):
    read = AddCheckpoint.parse(write_request(old, proof, LOG.note(20)))
    assert (read.old, list(read.proof), read.note.serialise()) == (old, proof, LOG.note(20))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(data: bytes):
    for body in (data, b"old 0\n\n" + data, b"old 1\n" + data):
        try:
            AddCheckpoint.parse(body)
        except MalformedError:
            continue


# -- state --------------------------------------------------------------------------------------------------------


def test_what_was_cosigned_outlives_the_process(folder: Path):
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 10))
    with opened(folder) as again:
        assert read_size(again.add_checkpoint(FORK.request(0, 12)).body) == 10
        assert again.add_checkpoint(write_request(10, FORK.proof(10, 12), FORK.note(12))).status == 422
        assert again.add_checkpoint(LOG.request(10, 12)).status == 200


def test_nothing_is_answered_that_is_not_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The disk fails while the state is written: no cosignature leaves, and the next request finds a whole state."""
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 10))

        def full(*_: object) -> None:
            raise StorageError("cannot write: no space")

        with monkeypatch.context() as patch:
            patch.setattr(CheckpointLock, "_write", full)
            answer = witness.add_checkpoint(LOG.request(10, 20))
            assert (answer.status, "—" in answer.body.decode()) == (503, False)
        assert witness.add_checkpoint(LOG.request(10, 15)).status == 200


def test_a_crash_between_state_and_reply_leaves_the_larger_size(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed right after the state is durable: the log asks again and learns the size, no smaller fork can win."""
    real = CheckpointLock.compare_and_swap

    class KilledError(BaseException):
        pass

    def killed(self: CheckpointLock, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        raise KilledError

    with opened(folder) as witness, monkeypatch.context() as patch:
        patch.setattr(CheckpointLock, "compare_and_swap", killed)
        with pytest.raises(KilledError):
            witness.add_checkpoint(LOG.request(0, 10))
    with opened(folder) as again:
        assert read_size(again.add_checkpoint(FORK.request(0, 9)).body) == 10
        assert again.add_checkpoint(LOG.request(10, 10)).status == 200


def test_one_of_two_forks_wins_however_many_ask_at_once(folder: Path):
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        asked = [log.request(4, size) for size in range(10, 30) for log in (LOG, FORK)]
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(witness.add_checkpoint, asked))
        assert sorted(answer.status for answer in answers).count(200) == 1
        assert {answer.status for answer in answers} == {200, 409}


@pytest.mark.parametrize("harm", ["gone", "older copy", "altered"])
def test_a_state_in_doubt_stops_the_witness_until_its_operator_speaks(folder: Path, tmp_path: Path, harm: str):
    (lock,) = (folder / "state").glob("*.lock")
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        shutil.copy2(lock, tmp_path / "old")
        witness.add_checkpoint(LOG.request(4, 10))
        newest = witness.checkpoint_of(origin_hash(LOG.origin))
    if harm == "gone":
        lock.unlink()
    elif harm == "older copy":
        shutil.copy2(tmp_path / "old", lock)
    else:
        lock.write_bytes(lock.read_bytes().replace(b'"size": 10', b'"size": 11'))
    with pytest.raises(RefusedStartError, match="in doubt"), opened(folder):
        pass
    with pytest.raises(MalformedError):
        WitnessFolder(folder).recover(LOG.origin, LOG.note(10))  # without this witness's cosignature
    assert newest is not None
    assert WitnessFolder(folder).recover(LOG.origin, newest) == 10
    with opened(folder) as again:
        assert again.add_checkpoint(LOG.request(10, 12)).status == 200


def test_an_intact_state_is_not_recovered(folder: Path):
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        newest = witness.checkpoint_of(origin_hash(LOG.origin))
    assert newest is not None
    with pytest.raises(RefusedStartError, match="nothing to recover"):
        WitnessFolder(folder).recover(LOG.origin, newest)


def test_a_cosignature_of_its_own_beyond_its_state_stops_it(folder: Path, tmp_path: Path):
    """The whole folder was put back with its inodes (a snapshot of the disk): only others can tell."""
    with opened(folder) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        larger = LOG.note(10) + witness.add_checkpoint(LOG.request(4, 10)).body
    shutil.rmtree(folder / "state")
    shutil.rmtree(folder / "logs")
    (folder / "logs.policy").unlink()
    WitnessFolder(folder).add_log(LOG.vkey)  # as good as a snapshot: an intact state, behind
    with opened(folder) as rolled:
        answer = rolled.add_checkpoint(write_request(0, [], larger))
        assert (answer.status, b"rolled back" in answer.body) == (503, True)
        assert rolled.add_checkpoint(LOG.request(0, 12)).status == 503
        assert rolled.not_well() is not None


def test_a_log_that_shows_a_forgotten_cosignature_stops_the_start(tmp_path: Path):
    with files_at(tmp_path / "log") as url:
        make_witness(tmp_path / "w", (LOG.vkey, url))
        with opened(tmp_path / "w") as witness:
            witness.compare_with_logs()  # the log has published nothing yet
            (tmp_path / "log").mkdir()
            note = LOG.note(10) + witness.add_checkpoint(LOG.request(0, 10)).body
            (tmp_path / "log" / "checkpoint").write_bytes(note)
            witness.compare_with_logs()
        for part in ("state", "logs"):
            shutil.rmtree(tmp_path / "w" / part)
        (tmp_path / "w" / "logs.policy").unlink()
        WitnessFolder(tmp_path / "w").add_log(LOG.vkey, url)
        with opened(tmp_path / "w") as rolled, pytest.raises(RefusedStartError, match="rolled back"):
            rolled.compare_with_logs()


@pytest.mark.parametrize(
    "text",
    ["", "name = 3", "name = 'w'\nport = 70000", "name = 'w'\ncolour = 1", "name = 'w'\nreplaying = 1", "=", "\x00"],
)
def test_settings_that_are_not_in_form_are_refused(tmp_path: Path, text: str):
    (tmp_path / "witness.toml").write_text(text)
    with pytest.raises(ConfigError):
        WitnessFolder(tmp_path).settings()
    with pytest.raises(ConfigError):
        WitnessFolder(tmp_path / "nowhere").settings()


def test_settings_are_read_as_they_were_written(tmp_path: Path):
    name = 'w"\\é.example'
    make_witness(tmp_path / "w", name=name)
    assert WitnessFolder(tmp_path / "w").settings().name == name
    with pytest.raises(RefusedStartError, match="already"):
        make_witness(tmp_path / "w")


def test_a_second_process_is_refused(folder: Path):
    with opened(folder), pytest.raises(RefusedStartError, match="use"), opened(folder):
        pass


def test_a_known_log_is_not_added_again(folder: Path):
    home = WitnessFolder(folder)
    with pytest.raises(RefusedStartError, match="known already"):
        home.add_log(LOG.vkey)
    (folder / "logs.policy").write_text("quorum none\n")
    with opened(folder):
        pass
    with opened_log(home), pytest.raises(RefusedStartError):
        home.add_log(LOG.vkey)


def opened_log(home: WitnessFolder):
    """A state that is in use: its log cannot be added from outside."""
    (lock,) = (home.path / "state").glob("*.lock")
    (folder,) = (home.path / "logs").iterdir()
    return CheckpointLock.open(lock, folder)


def test_a_second_key_of_a_log_is_taken_beside_the_first(folder: Path):
    later = key("the next note key")
    WitnessFolder(folder).add_log(Vkey(LOG.origin, LOG.vkey.type, later.public_key))
    with opened(folder) as witness:
        assert witness.add_checkpoint(LOG.request(0, 4)).status == 200
        text = Checkpoint(LOG.origin, 10, LOG.root(10)).text()
        note = Note(text, (sign_text(later, LOG.origin, text),)).serialise()
        assert witness.add_checkpoint(write_request(4, LOG.proof(4, 10), note)).status == 200


# -- time ---------------------------------------------------------------------------------------------------------


def test_a_cosignatures_time_never_goes_back(folder: Path):
    clock = StillClock()
    with opened(folder, clock) as witness:
        first = cosignature(witness, LOG.note(4), witness.add_checkpoint(LOG.request(0, 4)))
        clock.passes(30)
        assert cosignature(witness, LOG.note(4), witness.add_checkpoint(LOG.request(4, 4))) == first + 30
        clock.at -= 10
        assert witness.add_checkpoint(LOG.request(4, 10)).status == 503
        clock.at += 3_600
        assert witness.add_checkpoint(LOG.request(4, 10)).status == 503  # a leap
    with pytest.raises(RefusedStartError, match="behind"), opened(folder, StillClock(clock.at - 4_000)):
        pass


def test_a_name_that_is_no_key_name_makes_no_witness(tmp_path: Path):
    for name in ("", "a b", "a+b", "x" * (MAX_NAME + 1)):
        with pytest.raises(MalformedError):
            make_witness(tmp_path / "w", name=name)
    assert not (tmp_path / "w").exists()


class Slow:
    """An examiner that takes its time over one log."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.asked, self.enough = Event(), Event()

    def examine(self, _known: KnownLog, checkpoint: Checkpoint, _note: bytes, _now: Callable[[], int]) -> None:
        if checkpoint.origin == self.origin:
            self.asked.set()
            self.enough.wait(30)

    def close(self) -> None:
        pass


def test_a_log_that_is_slow_to_examine_does_not_take_the_turns_of_others(tmp_path: Path):
    other = ToyLog("log.example/other")
    make_witness(tmp_path / "w", (LOG.vkey, ""), (other.vkey, ""))
    home, slow = WitnessFolder(tmp_path / "w"), Slow(LOG.origin)
    with home.open_logs() as logs:
        witness = Witness(home.signer(home.settings()), NAME, logs, StillClock(), slow)
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                crowd = [pool.submit(witness.add_checkpoint, LOG.request(0, 5)) for _ in range(4 * THREADS)]
                assert slow.asked.wait(5)
                assert pool.submit(witness.add_checkpoint, other.request(0, 5)).result(3).status == 200
            finally:
                slow.enough.set()
            statuses = [one.result().status for one in crowd]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 503}
