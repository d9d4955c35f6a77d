"""`tial promise`: what the log acknowledged is kept beside the act, and compared with what it published."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api.promises import PromiseFile, read_promises
from ledger.errors import MalformedError
from ledger.evidence.promise import Kept, Promised
from ledger.statements import decode_statement
from ledger.store.durable import StorageError
from tests.cli.conftest import Town, tial
from tests.node.test_promises import Promising


def test_a_receipt_of_an_act_is_kept_and_checked_on_the_node_and_on_a_mirror(town: Town, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    for name in ("PROMISE1", "PROMISE2"):
        town.ok("register", f"vaa:88.118.8/{name}", "--key", town.key("acme"), "--receipt", receipts)
    first, second = (kept for kept in read_promises(receipts) if isinstance(kept, Kept))
    assert decode_statement(second.statement).sub == "vaa:88.118.8/PROMISE2"
    assert first.promised is not None
    assert receipts.stat().st_mode & 0o077 == 0
    for _ in range(50):
        ran = town.run("promise", "check", receipts, "--json")
        if ran.code == 0:
            break
        assert (ran.code, ran.json["entries"]["broken"]) == (4, 0)  # not due yet
        time.sleep(0.2)
    assert ran.json["entries"] == {"kept": 2, "late": 0, "broken": 0, "not_due": 0, "cannot_tell": 0}
    assert town.node is not None
    assert tial("mirror", town.node.url, tmp_path / "copy").code == 0
    assert town.run("promise", "check", receipts, "--mirror", tmp_path / "copy").code == 0
    away = tial("promise", "check", receipts, "--url", "http://127.0.0.1:9", "--json")
    assert (away.code, away.json["entries"]["cannot_tell"]) == (4, 2)
    assert tial("promise", "check", tmp_path / "nothing").code == 2
    assert tial("promise", "check", receipts, "--mirror", tmp_path / "nothing").code == 2


def test_what_the_log_refuses_stays_in_the_file_as_it_was_sent(town: Town, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    ran = town.run("register", "vaa:88.118.8/REFUSED", "--key", town.key("buyer"), "--receipt", receipts,
                   "--delegation", "vaa/88.118.8")  # fmt: skip
    assert ran.code == 1
    (kept,) = read_promises(receipts)
    assert isinstance(kept, Kept)
    assert (kept.promised, decode_statement(kept.statement).sub) == (None, "vaa:88.118.8/REFUSED")
    told = town.run("promise", "check", receipts)
    assert told.code == 4
    assert "promised nothing" in told.out


def test_a_file_of_rows_keeps_the_promises_of_all(town: Town, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("identifier\n" + "".join(f"vaa:88.118.8/ROWS{n}\n" for n in range(300)))
    town.ok("register", "--from", rows, "--key", town.key("acme"), "--grade", "none")
    acks = tmp_path / "rows.csv.tial-acks"
    assert acks.stat().st_size < 300 * 50 + 4096
    for _ in range(50):
        ran = town.run("promise", "check", acks, "--json")
        if ran.code == 0:
            break
        time.sleep(0.2)
    assert (ran.code, ran.json["entries"]["kept"]) == (0, 300)


def test_a_broken_promise_ends_with_1_and_its_proof_convinces(tmp_path: Path) -> None:
    log = Promising(tmp_path / "log")
    (tmp_path / "log").mkdir()
    log.publish(seconds=61)
    file = PromiseFile(tmp_path / "promises")
    file.add(log.kept(0, 2), log.kept(2, 3))
    file.close()
    ran = tial(
        "promise", "check", tmp_path / "promises", "--mirror", tmp_path / "log", "-o", tmp_path / "out", "--json"
    )
    told = ran.json["entries"]
    assert (ran.code, told["broken"], told["late"]) == (1, 2, 3)  # the manifest itself stands in the first's place
    vkey = log.log().keys.vkey_for(2).format()
    arguments = ("--vkey", vkey, "--log", log.c.log_id.hex(), "--cose", log.c.cose.public_key.hex())
    for finding in ran.json["findings"]:
        assert tial("split-view", finding["proof"], *arguments).code == 0
    human = tial("promise", "check", tmp_path / "promises", "--mirror", tmp_path / "log", "-o", tmp_path / "out")
    assert "LATE: " in human.out


def test_a_line_that_was_cut_off_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "promises"
    kept = [Kept(bytes(32), b"one"), Kept(bytes(32), b"two", Promised(1, (bytes(32),), b"ack", ()))]
    for one in kept:
        file = PromiseFile(path)
        place = file.add(one)
        file.close()
        with path.open("ab") as stream:
            stream.write(one.encode()[:10])
    first, cut, second, last = read_promises(path)
    assert [first, second] == kept
    assert isinstance(cut, MalformedError)
    assert cut.where.endswith("line 2")
    assert isinstance(last, MalformedError)
    file = PromiseFile(path)
    file.add(kept[0], instead=place)
    file.close()
    assert list(read_promises(path))[2:] == [kept[0]]
    with pytest.raises(StorageError):
        PromiseFile(tmp_path).add(kept[0])
