"""The commands that the README tells to type, typed: in a fresh folder, by a shell, against a real node and witness."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PREPARE = "python3 scripts/bootstrap.py --no-contracts && . .venv/bin/activate"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def commands() -> list[str]:
    """The shell blocks of the section "By hand", without the installation of packages."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## By hand\n")[2].partition("<!-- commands -->")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert PREPARE in blocks[0]
    return [block.replace(PREPARE, ":") for block in blocks]


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path):
    tial = tmp_path / "bin" / "tial"
    tial.parent.mkdir()
    tial.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m api.cli.main "$@"\n')
    tial.chmod(0o755)
    port, other = free_port(), free_port()
    script = "\n".join(commands()).replace("8080", port).replace("8090", other)
    environment = os.environ | {
        "PATH": f"{tial.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY), "TIAL_HTTP_PORT": port,
    }  # fmt: skip
    shell = subprocess.Popen(
        ["bash"], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        told, _ = shell.communicate(script, timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    verdicts = [line.partition(":")[0] for line in told.splitlines() if line.startswith(("VALID", "INVALID", "CANNOT"))]
    assert verdicts == ["CANNOT TELL", "VALID", "VALID"], told
    assert "the operator alone" not in told.rpartition("\nVALID")[2]
    assert "witness.example.org/w1" in told.rpartition("\nVALID")[2]
