"""One supervisor for one folder: its number while it lives, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path

from devnet.locks import is_held
from devnet.processes import pid_of, supervise
from ledger.errors import UnavailableError


def test_a_supervisor_is_found_by_its_number_while_it_runs(tmp_path: Path) -> None:
    found = []
    assert supervise(tmp_path, lambda folder: found.append(pid_of(folder / "supervisor.pid"))) == 0
    assert found == [os.getpid()]
    assert (tmp_path / "supervisor.pid").read_bytes() == b""


def test_a_second_one_leaves_the_folder_alone(tmp_path: Path) -> None:
    ended = []

    def run(folder: Path) -> None:
        assert is_held(folder / "supervisor.pid")
        ended.append(supervise(folder, lambda _: ended.append(-1)))

    assert supervise(tmp_path, run) == 0
    assert ended == [3]


def test_an_error_with_words_ends_it_with_1_and_no_traceback(tmp_path: Path) -> None:
    def run(folder: Path) -> None:
        raise UnavailableError("the program is not there", where=str(folder))

    assert supervise(tmp_path, run) == 1
