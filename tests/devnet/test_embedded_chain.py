"""The embedded chain outlives its starter, its own death and the death of its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from devnet.embedded.snapshots import SnapshotStore
from devnet.locks import is_held
from devnet.processes import send_signal
from devnet.rpc import call
from ledger.errors import CorruptError, KeyFileError, LedgerError, UnavailableError
from tests.waiting import wait_until

STRANGER = "0x00000000000000000000000000000000000000aa"


def mine(chain: EmbeddedChain, blocks: int = 1) -> int:
    call(chain.url, "anvil_mine", hex(blocks))
    return int(call(chain.url, "eth_blockNumber"), 16)


def block_hash(chain: EmbeddedChain) -> str:
    return str(call(chain.url, "eth_getBlockByNumber", "latest", False)["hash"])  # noqa: FBT003 - positional


def alive(pid: int) -> bool:
    """Tell whether the process runs; a child of this test that nobody waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_starts_answers_and_stops_leaving_no_process(chain: EmbeddedChain) -> None:
    status = chain.start()
    assert status.state == "running"
    assert int(call(chain.url, "eth_chainId"), 16) == status.chain_id == 31990
    assert chain.url.startswith("http://127.0.0.1:")
    again = chain.start()
    assert (again.supervisor, again.anvil) == (status.supervisor, status.anvil), "the one that runs is found"
    chain.stop()
    wait_until(lambda: not alive(status.anvil) and not alive(status.supervisor))
    assert chain.status().state == "stopped"
    chain.stop()


def test_its_state_survives_a_stop_and_keeps_its_port(chain: EmbeddedChain) -> None:
    first = chain.start()
    head = mine(chain, 3)
    block = block_hash(chain)
    chain.stop()
    assert chain.start().url == first.url
    assert int(call(chain.url, "eth_blockNumber"), 16) == head
    assert block_hash(chain) == block


def test_a_killed_anvil_is_started_again_with_what_was_saved(chain: EmbeddedChain) -> None:
    before = chain.start()
    for restarts in range(1, 4):
        head = mine(chain)
        chain.save()
        send_signal(chain.folder / "anvil.pid", signal.SIGKILL)
        wait_until(lambda n=restarts: chain.status().restarts == n and chain.status().state == "running")
        assert int(call(chain.url, "eth_blockNumber"), 16) == head
    assert chain.status().supervisor == before.supervisor


def test_the_supervisor_saves_new_blocks_by_itself(chain: EmbeddedChain) -> None:
    chain.start()
    wait_until(lambda: bool(chain.status().saved))
    saved = chain.status().saved
    head = mine(chain)
    wait_until(lambda: chain.status().saved != saved)
    send_signal(chain.folder / "anvil.pid", signal.SIGKILL)
    wait_until(lambda: chain.status().restarts == 1 and chain.status().state == "running")
    assert int(call(chain.url, "eth_blockNumber"), 16) == head


def test_kills_during_writing_never_leave_a_state_that_cannot_be_loaded(chain: EmbeddedChain) -> None:
    chain.start()
    for restarts in range(1, 9):
        mine(chain, 50)
        time.sleep(0.013 * restarts)
        send_signal(chain.folder / "anvil.pid", signal.SIGKILL)
        wait_until(lambda n=restarts: chain.status().restarts == n and chain.status().state == "running")
    assert mine(chain) > 0


def test_a_killed_supervisor_leaves_an_anvil_that_the_next_start_ends(chain: EmbeddedChain) -> None:
    first = chain.start()
    head = mine(chain)
    chain.save()
    send_signal(chain.folder / "supervisor.pid", signal.SIGKILL)
    wait_until(lambda: not is_held(chain.folder / "supervisor.pid"))
    assert chain.status().state == "stopped"
    assert chain.status().anvil == first.anvil
    second = chain.start()
    wait_until(lambda: not alive(first.anvil))
    assert second.anvil != first.anvil
    assert int(call(chain.url, "eth_blockNumber"), 16) == head


def test_stop_ends_the_anvil_of_a_killed_supervisor(chain: EmbeddedChain) -> None:
    first = chain.start()
    send_signal(chain.folder / "supervisor.pid", signal.SIGKILL)
    wait_until(lambda: not is_held(chain.folder / "supervisor.pid"))
    chain.stop()
    wait_until(lambda: not alive(first.anvil))


def test_a_process_that_has_a_stale_process_number_is_not_touched(chain: EmbeddedChain) -> None:
    chain.start()
    chain.stop()
    for name in ("supervisor.pid", "anvil.pid"):
        (chain.folder / name).write_text(f"{os.getpid()}\n")
    chain.stop()
    assert chain.status().state == "stopped"


def test_a_truncated_snapshot_is_passed_over_for_the_one_before_it(chain: EmbeddedChain) -> None:
    chain.start()
    head = mine(chain)
    chain.save()
    mine(chain)
    chain.stop()  # saves once more
    newest, older = SnapshotStore(chain.folder).generations()
    newest[2].write_bytes(newest[2].read_bytes()[:-100])
    assert SnapshotStore(chain.folder).newest() == older[2]
    chain.start()
    assert int(call(chain.url, "eth_blockNumber"), 16) >= head


def test_a_chain_whose_every_snapshot_is_damaged_is_not_started_empty(chain: EmbeddedChain) -> None:
    chain.start()
    mine(chain)
    chain.stop()
    for path in chain.folder.glob("state-*.json"):
        path.write_bytes(b"{")
    with pytest.raises(CorruptError, match="damaged"):
        chain.start()


def test_another_chain_id_is_refused(chain: EmbeddedChain) -> None:
    chain.start()
    chain.stop()
    with pytest.raises(LedgerError, match="holds chain 31990"):
        EmbeddedChain(chain.folder, chain_id=5).start()


def test_a_port_in_use_is_refused_with_its_number(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"port {port} is in use"):
            EmbeddedChain(tmp_path / "chain", port=port).start()


def test_development_keys_are_random_private_and_funded(chain: EmbeddedChain) -> None:
    key = chain.key("deployer")
    chain.start()
    later = chain.key("sender")
    assert chain.key("deployer") == key
    assert key.secret != later.secret
    assert key.secret.hex() not in repr(key)
    for each in (key, later):
        assert int(call(chain.url, "eth_getBalance", each.address, "latest"), 16) > 10**18
    assert call(chain.url, "eth_accounts") == []
    path = chain.folder / "keys" / "deployer.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    chain.stop()
    chain.start()
    assert int(call(chain.url, "eth_getBalance", later.address, "latest"), 16) > 10**18
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="others can read"):
        chain.key("deployer")
    with pytest.raises(KeyFileError):
        chain.key("../deployer")


def test_an_address_is_funded_while_the_chain_runs(chain: EmbeddedChain) -> None:
    chain.start()
    chain.fund(STRANGER)
    assert int(call(chain.url, "eth_getBalance", STRANGER, "latest"), 16) == 10**24


def test_a_missing_program_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIAL_ANVIL", str(tmp_path / "none"))
    with pytest.raises(AnvilNotFoundError, match="TIAL_ANVIL") as refusal:
        find_anvil()
    assert "npm ci" in refusal.value.remedy
    with pytest.raises(AnvilNotFoundError):
        EmbeddedChain(tmp_path / "chain").start()


def test_npm_s_start_script_is_followed_to_the_native_program() -> None:
    try:
        path = find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    assert path.read_bytes()[:2] != b"#!"
