"""The genesis of a chain, which the program `bft-chain` makes of a plan.

The program is asked because it alone knows the form of its modules' states. It judges all of the plan: administrators
and their threshold, rights, keys and powers of the validators, chain ids. What it prints is taken as it is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import orjson

from devnet.bft.description import Description
from devnet.bft.program import find_program
from devnet.processes import ROOT
from ledger.errors import CorruptError, LedgerError, UnavailableError

_SECONDS = 60.0
_MAX_SIZE = 1 << 20


def make_genesis(
    network: Description, *, administrators: Sequence[str], threshold: int, rights: Mapping[str, int]
) -> bytes:
    """Return the genesis of a network whose validators are its nodes, with bits of rights by account.

    Raises:
        BftChainNotFoundError: the program is not there.
        UnavailableError: it cannot be run.
        LedgerError: it refuses the plan; the text says what and where.

    """
    program = find_program()
    plan = {
        "chain_id": network.chain_name,
        "evm_chain_id": network.evm_chain_id,
        "code": _code(),
        "threshold": threshold,
        "administrators": list(administrators),
        "rights": dict(rights),
        "validators": [{"key": "0x" + node.key.hex(), "power": node.power} for node in network.nodes],
    }
    printed = _run(program, json.dumps(plan).encode())
    try:
        told = orjson.loads(printed)["chain_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError("what this program printed is no genesis", where=str(program)) from error
    if told != network.chain_name:
        raise LedgerError(f"this program made the genesis of {told!r}", where=str(program))
    return printed


def consortium_artifact() -> Path:
    """Return the compiled contract Consortium as a file: the packaged one, else that of the source tree."""
    packaged = resources.files("node.chain").joinpath("Consortium.json")
    return Path(str(packaged)) if packaged.is_file() else ROOT / "contracts" / "artifacts" / "Consortium.json"


def _code() -> str:
    """Return the code of the contract as it stands on a chain, hex."""
    path = consortium_artifact()
    try:
        with path.open("rb") as stream:
            return str(orjson.loads(stream.read(_MAX_SIZE))["deployedBytecode"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(
            f"the compiled contract Consortium cannot be used: {error}", where=str(path), remedy="Run contracts/build"
        ) from error


def _run(program: Path, plan: bytes) -> bytes:
    """Return what the program prints of a plan; LedgerError with what it said where it fails."""
    try:
        run = subprocess.run(  # noqa: S603 - our own program and arguments
            [str(program), "genesis"],
            input=plan,
            capture_output=True,
            timeout=_SECONDS,
            cwd=program.parent,  # it looks for settings in the folder where it is started
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"bft-chain cannot be run: {error}", where=str(program)) from error
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise LedgerError(f"bft-chain genesis failed and said: {said[0][:300]}", where=str(program))
    return run.stdout
