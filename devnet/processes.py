"""Processes that outlive the one that started them, found again by the lock that each holds on its own file.

The file of a process holds its number, and its lock is held for as long as the process lives; so a process is signalled
only while it is surely the one that was started for that folder. Also free loopback ports, and logs that stay small.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from devnet.locks import is_held, take_lock
from ledger.errors import LedgerError, UnavailableError

ROOT = Path(__file__).resolve().parents[1]
LOW_PORTS = range(20_000, 32_000)
"""Below what operating systems hand out for outgoing connections: a port stays free while its process is down."""

log = logging.getLogger("devnet")


def spawn(program: Sequence[str], pid_path: Path, log_path: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, holding the lock of `pid_path`, with its number written there first.

    So the lock tells that it lives, and the file which process it is, even when the starting process was killed in
    between. UnavailableError where an earlier one of this file still lives.
    """
    lock = take_lock(pid_path)
    if lock is None:
        raise UnavailableError("an earlier process of this folder still lives", where=str(pid_path))
    try:
        with log_path.open("ab") as stream:
            return subprocess.Popen(  # noqa: S603 - our own program and arguments
                ["/bin/sh", "-c", 'echo $$ > "$1" && shift && exec "$@"', "sh", str(pid_path), *program],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=(lock,),
                start_new_session=True,
            )
    finally:
        os.close(lock)


def launch(module: str, folder: Path, log_path: Path) -> subprocess.Popen[bytes]:
    """Start a module of ours with `folder` as its argument, detached: it takes its own lock."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log_path.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, str(folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )


def supervise(folder: Path, run: Callable[[Path], None]) -> int:
    """Be the one supervisor of `folder` while `run` runs; the exit status.

    That is 3 where another supervisor already lives, 1 where `run` ends by a LedgerError, else 0. Whoever waits for the
    supervisor finds its number in `supervisor.pid`, whose lock is held as long as it lives.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lock = take_lock(folder / "supervisor.pid")
    if lock is None:
        log.error("another supervisor runs in %s", folder)
        return 3
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    try:
        run(folder)
    except LedgerError as error:
        log.error("%s", error)  # noqa: TRY400 - a line for a person, not a traceback
        return 1
    os.truncate(lock, 0)
    return 0


def pid_of(path: Path) -> int:
    """Return the process number in a file whose lock is held; it is written within milliseconds of the lock."""
    for _ in range(100):
        with suppress(OSError, ValueError):
            return int(path.read_text())
        time.sleep(0.01)
    return 0


def send_signal(path: Path, number: int) -> None:
    """Send a signal to the process that holds the lock of `path`; nothing happens where none does."""
    if is_held(path):
        pid = pid_of(path)
        if pid > 1:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def end(path: Path, timeout: float, *, number: int = signal.SIGKILL) -> None:
    """Send a signal to the process that holds the lock of `path`, and wait until it has let go of it."""
    send_signal(path, number)
    until = time.monotonic() + timeout
    while is_held(path) and time.monotonic() < until:
        time.sleep(0.01)


def free_port(wanted: int) -> int | None:
    """Return `wanted` (0: any) if nothing listens there on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return None
        port: int = probe.getsockname()[1]
        return port


def low_ports(count: int) -> list[int]:
    """Choose `count` different free loopback ports out of LOW_PORTS."""
    chosen: list[int] = []
    for candidate in random.sample(LOW_PORTS, len(LOW_PORTS)):
        if len(chosen) == count:
            break
        if free_port(candidate) is not None:
            chosen.append(candidate)
    if len(chosen) < count:
        raise UnavailableError(f"there are no {count} free ports", where="127.0.0.1")
    return chosen


def bound_log(path: Path, limit: int) -> None:
    """Where a log has outgrown `limit` bytes, keep it once as `.1` and begin again; its writer must append."""
    if path.exists() and path.stat().st_size > limit:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)


def last_words(path: Path, limit: int = 64 << 10) -> str:
    """Return the last line of a log, "" where it says nothing."""
    with suppress(OSError), path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - limit))
        lines = stream.read(limit).decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
    return ""
