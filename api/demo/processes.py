"""Processes that the demonstration starts and that outlive it: a node and witnesses.

Owns how one is recognised: by a path on its command line, since process numbers are used again. Ends no others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from ledger.errors import UnavailableError

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0


def environment() -> dict[str, str]:
    """Our environment, in which Python finds our modules from anywhere."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `python -m ARGUMENTS` as a process of its own whose words go into `log`."""
    with log.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environment(),
            start_new_session=True,
        )


def wait(child: subprocess.Popen[bytes], url: str, log: Path, what: str) -> None:
    """Return once `url` answers; UnavailableError with the process's last words where it ended, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while not answers(url):
        if child.poll() is not None or time.monotonic() > end:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            said = lines[-1][:500] if lines else "it said nothing"
            raise UnavailableError(f"The {what} did not start: {said}", where=str(log), remedy="Read its log")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    return False


def is_ours(pid: int, mark: Path) -> bool:
    """Whether process `pid` runs and has `mark` among its arguments."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        gone = stat.rpartition(")")[2].split()[0] == "Z"
        return not gone and str(mark).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def end(pid: int, mark: Path) -> None:
    """Ask the process to end; after STOP_SECONDS end it."""
    until = time.monotonic() + STOP_SECONDS
    os.kill(pid, signal.SIGTERM)
    while is_ours(pid, mark):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            until += STOP_SECONDS
        time.sleep(0.05)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def free_port(preferred: int) -> int:
    """Return `preferred` if nothing listens there on loopback, else a port that the system chooses."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise UnavailableError("No port is free on loopback", where="127.0.0.1")
