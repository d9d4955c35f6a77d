"""The program makes the genesis of a plan, and refuses in one line a plan that begins no chain."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devnet.bft.description import Description
from devnet.bft.genesis import make_genesis
from devnet.bft.network import BftNetwork
from ledger.errors import LedgerError
from tests.bft_world import described

ALICE = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BOB = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def network() -> Description:
    """Four nodes that have keys."""
    plain = described()
    return replace(plain, nodes=tuple(replace(node, key=bytes([1, *node.key[1:]])) for node in plain.nodes))


def asked(**changes: Any) -> bytes:
    return make_genesis(
        changes.pop("network", network()),
        **{"administrators": [ALICE], "threshold": 1, "rights": {BOB: 3}, **changes},
    )


def test_the_genesis_names_the_chain_its_validators_and_its_contract(program: Path) -> None:
    genesis = json.loads(asked())
    assert genesis["chain_id"] == "tial-bft-1"
    assert genesis["app_state"]["consortium"] == {"evm_chain_id": 31_991}
    (contract,) = genesis["app_state"]["evm"]["accounts"]
    assert contract["address"] == network().consortium
    assert len(contract["code"]) > 1_000
    values = {pair["value"] for pair in contract["storage"]}
    assert {"0x" + node.key.hex() for node in network().nodes} <= values


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": replace(network(), evm_chain_id=0)}, "evm_chain_id"),
        ({"network": replace(network(), evm_chain_id=-1)}, "evm_chain_id"),
        ({"network": replace(network(), chain_name="")}, "chain_id"),
        ({"network": described()}, "validator 0 has no key"),
        ({"administrators": []}, "administrators"),
        ({"administrators": [ALICE, ALICE.lower()]}, "administrators"),
        ({"administrators": ["alice"]}, "Address"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 2}, "threshold"),
        ({"rights": {BOB: 4}}, "rights"),
        ({"rights": {BOB: 1, BOB.lower(): 3}}, "rights: an account is there twice"),
    ],
)
def test_a_plan_that_begins_no_chain_is_refused(program: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(LedgerError, match=f"bft-chain genesis failed and said: .*{said}"):
        asked(**change)


@pytest.mark.parametrize("power", [0, -1, (1 << 40) + 1, 1 << 70])
def test_a_power_that_no_validator_can_have_makes_no_network(program: Path, tmp_path: Path, power: int) -> None:
    with pytest.raises(LedgerError, match="power"):
        BftNetwork(tmp_path / "network").create(validators=2, powers=[10, power])
    assert not (tmp_path / "network").exists()


@pytest.mark.parametrize(
    "plan",
    [b"", b"null", b"[]", b"{}", b"\xff", b"{" * 100_000, b"[" * 100_000, b'{"chain_id": "x"} {}', b'{"time": 1}'],
)
def test_what_is_no_plan_is_refused_in_one_line(program: Path, plan: bytes) -> None:
    run = subprocess.run([program, "genesis"], input=plan, capture_output=True, timeout=30, check=False)
    assert (run.returncode, run.stdout) == (1, b"")
    assert run.stderr.startswith(b"bft-chain: ")
    assert run.stderr.count(b"\n") == 1


def test_a_plan_without_end_is_read_no_further_than_its_bound(program: Path) -> None:
    with subprocess.Popen(["yes", ""], stdout=subprocess.PIPE) as endless:
        try:
            run = subprocess.run(
                [program, "genesis"], stdin=endless.stdout, capture_output=True, timeout=30, check=False
            )
        finally:
            endless.kill()
    assert run.returncode == 1
    assert b"1048576 bytes" in run.stderr
