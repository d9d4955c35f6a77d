"""Backups of a running node, and restoring them: nothing acknowledged is missing, nothing forks."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import CorruptError, LedgerError, MalformedError, RefusedStartError
from ledger.log.tree import leaf_hash
from ledger.store.documents import DocumentFolder
from ledger.store.journal import Journal, encode_records, look_at, segment_name
from ledger.store.tiles import TileReader
from node import backup_format as form
from node.backup import backup, newest_point
from node.config import Config
from node.fsck import LogPaths, check
from node.node import Node
from node.restore import restore
from tests.nodes import NodeWorld, Party, admitted, configuration, make_log, registrations, settle

ENTERPRISE = Party("enterprise")


def grow(config: Config, names: list[str], *, publish: bool = True) -> list[bytes]:
    """Run the node, register, stop; unpublished entries are left in the journal as by a crash. Returns the leaves."""

    async def story() -> list[bytes]:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            if node.admission.size <= 2:
                await settle(node, world, ENTERPRISE)
            answer = await node.sequencer.submit(registrations(world, ENTERPRISE, names))
            if publish:
                await node.publisher.publish_now(node.sequencer)
            else:
                node.publisher.stop()
                await node._release()
            return [one.leaf for one in admitted(answer)]

    return asyncio.run(story())


def start(config: Config, *, recover_lock: bool = False) -> set[bytes]:
    """Start and stop a node; the leaves of everything that it then shows."""

    async def story() -> set[bytes]:
        async with Node(config, recover_lock=recover_lock) as node:
            return set(map(leaf_hash, node.reader.iter_entries(0, node.publisher.published.size)))

    return asyncio.run(story())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = make_log(tmp_path / "node", interval=3600)
    (made.base / "tial.toml").write_text('[chain]\nurl = ""\n')
    grow(made, [f"A{n}" for n in range(300)])
    return made


def lose_data(config: Config) -> None:
    shutil.move(config.data_path, config.base / "lost")


def point(target: Path) -> Path:
    found = newest_point(target)
    assert found is not None
    return found


def test_a_backup_under_load_keeps_everything_acknowledged_before_it(config: Config, tmp_path: Path):
    """Taken while entries are acknowledged and published; restored after the data is lost, it starts."""
    running = replace(config, log=replace(config.log, interval=0.02))

    async def story() -> tuple[set[bytes], set[bytes]]:
        async with Node(running) as node:
            world = NodeWorld(node.log_id)
            acknowledged: set[bytes] = set()
            before: set[bytes] = set()

            async def submit() -> None:
                for n in range(40):
                    raws = registrations(world, ENTERPRISE, [f"L{n}-{m}" for m in range(20)])
                    acknowledged.update(one.leaf for one in admitted(await node.sequencer.submit(raws)))

            load = asyncio.create_task(submit())
            await asyncio.wait([load], timeout=0.5)
            assert acknowledged
            for _ in range(2):
                before = set(acknowledged)
                await asyncio.to_thread(backup, running, tmp_path / "backups")
            await load
            return before, acknowledged

    before, _ = asyncio.run(story())
    held = point(tmp_path / "backups")
    about = form.Point.parse((held / form.ABOUT).read_bytes())
    assert not list(held.rglob("*lock*")), "the lock is never part of a backup"
    fresh = tmp_path / "fresh"
    report = restore(tmp_path / "backups", fresh, log_id=about.log)
    assert (report.size, report.entries) == (about.size, about.entries)
    data = fresh / "data"
    entries = [*TileReader(data / "log").iter_entries(0, about.size)]
    entries += [entry for _, entry in look_at(data / "journal").entries(about.size)]
    assert before <= set(map(leaf_hash, entries)), "what was acknowledged before the backup began is in it"
    assert any("--recover-lock" in note for note in report.notes)
    with pytest.raises(RefusedStartError, match="signed-checkpoint lock is absent"):
        start(configured(config, fresh))


def configured(config: Config, base: Path) -> Config:
    shutil.copytree(config.base / "keys", base / "keys", dirs_exist_ok=True)
    return configuration(base, interval=3600)


@pytest.mark.parametrize("archive", [False, True])
def test_a_restore_beside_the_lock_starts_with_acknowledged_and_unpublished_entries(
    config: Config, tmp_path: Path, archive: bool
):
    leaves = grow(config, ["U1", "U2"], publish=False)
    target = tmp_path / ("backup.tar" if archive else "backups")
    made = backup(config, target, archive=archive)
    assert made.point.entries > made.point.size
    lose_data(config)
    report = restore(target, config.base)
    assert report.entries == made.point.entries
    assert set(leaves) <= start(config)
    assert check(config, deep=True).ok


def test_documents_instance_and_configuration_come_back_and_secrets_do_not_leave(config: Config, tmp_path: Path):
    store = DocumentFolder(config.data_path / "documents")
    kept, erased = store.put(b"kept", "private"), store.put(b"erased", "public")
    store.erase(erased, 1_700_000_000, "asked for")
    (config.base / "tial.toml").write_text('[chain]\nurl = "http://user:word@127.0.0.1:1/"\n')
    (config.base / "keys" / "passphrase").write_text("secret")
    plain = backup(config, tmp_path / "plain")
    assert not (plain.where / "keys").exists()
    assert "word" not in (plain.where / "tial.toml").read_text()
    assert any("left out" in note for note in plain.notes)
    whole = backup(config, tmp_path / "whole", with_keys=True)
    assert sorted(path.name for path in (whole.where / "keys").iterdir()) == ["cose.key", "note.key"]
    restore(whole.where, tmp_path / "new")
    again = DocumentFolder(tmp_path / "new" / "data" / "documents")
    assert (again.get(kept), again.grade(kept), again.state(erased)) == (b"kept", "private", "erased")
    assert (tmp_path / "new/keys/cose.key").stat().st_mode & 0o077 == 0


def test_a_second_backup_links_what_cannot_change(config: Config, tmp_path: Path):
    DocumentFolder(config.data_path / "documents").put(b"document", "public")
    first = backup(config, tmp_path / "backups")
    grow(config, ["B1"])
    second = backup(config, tmp_path / "backups")
    assert (first.linked, second.linked) == (0, 3), "one full tile, one full bundle, one document"
    assert second.point.size > first.point.size
    shutil.rmtree(first.where)
    restore(second.where, tmp_path / "new")


def test_an_older_backup_is_refused_unless_a_mirror_has_the_rest(config: Config, tmp_path: Path):
    backup(config, tmp_path / "backups")
    leaves = grow(config, ["N1", "N2"])
    shutil.copytree(config.data_path / "log", tmp_path / "mirror")
    lose_data(config)
    with pytest.raises(RefusedStartError, match=r"older than what was signed.*--mirror"):
        restore(tmp_path / "backups", config.base)
    assert not (config.base / "data").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedStartError, match="the mirror does not help"):
        restore(tmp_path / "backups", config.base, mirror=tmp_path / "empty")
    report = restore(tmp_path / "backups", config.base, mirror=tmp_path / "mirror")
    assert any("caught up" in note for note in report.notes)
    assert set(leaves) <= start(config)
    assert check(config, deep=True).ok


def test_a_backup_made_before_a_publication_catches_up_by_its_own_journal(config: Config, tmp_path: Path):
    leaves = grow(config, ["J1", "J2"], publish=False)
    shutil.copytree(config.data_path / "journal", tmp_path / "journal")
    made = backup(config, tmp_path / "backups")
    start(config)  # publishes: the lock is ahead of the backup's checkpoint by these two and a manifest
    lose_data(config)
    with pytest.raises(RefusedStartError, match="older"):
        restore(tmp_path / "backups", config.base)  # the manifest is in no journal of the backup
    report = restore(tmp_path / "backups", config.base, mirror=config.base / "lost" / "log")
    assert report.size > made.point.size
    assert set(leaves) <= start(config)


def test_an_older_copy_put_there_by_hand_is_refused_at_start(config: Config, tmp_path: Path):
    made = backup(config, tmp_path / "backups")
    size = grow(config, ["N1"]) and TileReader(config.data_path / "log").checkpoint()
    assert size
    shutil.rmtree(config.data_path)
    shutil.copytree(made.where / "data", config.data_path)
    with pytest.raises(RefusedStartError, match="does not hold what was signed last"):
        start(config, recover_lock=True)


def test_a_restore_overwrites_nothing(config: Config, tmp_path: Path):
    backup(config, tmp_path / "backups")
    with pytest.raises(RefusedStartError, match="overwrites nothing"):
        restore(tmp_path / "backups", config.base)
    with pytest.raises(RefusedStartError, match="is of log"):
        restore(tmp_path / "backups", tmp_path / "new", log_id="00" * 32)


def test_backups_of_two_logs_do_not_mix(config: Config, tmp_path: Path):
    backup(config, tmp_path / "backups")
    other = make_log(tmp_path / "other", now=1_790_000_000)
    with pytest.raises(RefusedStartError, match="another log"):
        backup(other, tmp_path / "backups")


def test_a_log_that_has_published_nothing_can_be_backed_up(tmp_path: Path):
    config = make_log(tmp_path / "node")
    (config.base / "tial.toml").write_text("")
    made = backup(config, tmp_path / "backups")
    assert (made.point.size, made.point.entries) == (0, 1)
    lose_data(config)
    restore(made.where, config.base)
    assert start(config)


# -- tampering ---------------------------------------------------------------------------------------------------------


def sealed_again(where: Path) -> None:
    """What somebody with write access to the backup does: write SHA256SUMS anew."""
    names = [p for p in where.rglob("*") if p.is_file() and p.name != form.SUMS]
    digests = {str(p.relative_to(where)): hashlib.sha256(p.read_bytes()).digest() for p in names}
    (where / form.SUMS).write_bytes(form.write_sums(digests))


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()
    path.write_bytes(bytes(data))


def alter_entry(where: Path) -> None:
    flip(where / "data/log/tile/entries/000")


def alter_tile(where: Path) -> None:
    flip(where / "data/log/tile/0/000")


def alter_checkpoint(where: Path) -> None:
    flip(where / "data/log/checkpoint", -10)


def alter_tail(where: Path) -> None:
    """The last byte of an unpublished entry's signature, with its record's checksum made right."""
    (segment,) = (where / "data/journal").iterdir()
    first = int(segment.name[:20])
    entries = [entry for _, entry in look_at(where / "data/journal").entries(first)]
    entries[-1] = entries[-1][:-1] + bytes([entries[-1][-1] ^ 1])
    segment.unlink()
    segment.write_bytes(encode_records(entries))


def drop_tail(where: Path) -> None:
    for segment in (where / "data/journal").iterdir():
        segment.unlink()
        (segment.parent / segment.name).write_bytes(b"")


def alter_about(where: Path) -> None:
    about = form.Point.parse((where / form.ABOUT).read_bytes())
    (where / form.ABOUT).write_bytes(replace(about, log="11" * 32).encode())


@pytest.mark.parametrize(
    "damage", [alter_entry, alter_tile, alter_checkpoint, alter_tail, drop_tail, alter_about], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("cover", [False, True])
def test_a_tampered_backup_is_refused(config: Config, tmp_path: Path, damage: Callable[[Path], None], cover: bool):
    """With SHA256SUMS left as they were, and with these written anew by whoever did it."""
    grow(config, ["T1"], publish=False)
    made = backup(config, tmp_path / "backups")
    damage(made.where)
    if cover:
        sealed_again(made.where)
    with pytest.raises((CorruptError, MalformedError)):
        restore(made.where, tmp_path / "new")
    assert not (tmp_path / "new" / "data").exists()
    assert not (tmp_path / "new" / ".restoring").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "data/../../evil", "data/log/a b", "x/" * 20 + "x"])
def test_an_archive_cannot_lead_elsewhere(tmp_path: Path, name: str):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(MalformedError, match="not a name"):
        restore(tmp_path / "evil.tar", tmp_path / "new")


def test_an_archive_with_links_or_cut_short_is_refused(config: Config, tmp_path: Path):
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        info = tarfile.TarInfo("data")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(info)
    whole = backup(config, tmp_path / "whole.tar", archive=True)
    (tmp_path / "cut.tar").write_bytes(whole.where.read_bytes()[: whole.where.stat().st_size // 2])
    (tmp_path / "text.tar").write_text("no archive")
    for name in ("link", "cut", "text"):
        with pytest.raises(LedgerError):
            restore(tmp_path / f"{name}.tar", tmp_path / f"new-{name}")


def test_a_segment_name_is_what_the_journal_reads(tmp_path: Path):
    (tmp_path / segment_name(7)).write_bytes(encode_records([b"a", b"b"]))
    with Journal.open(tmp_path) as journal:
        assert (journal.first_index, journal.next_index) == (7, 9)


def add_sparse(tar: tarfile.TarFile, name: str, size: int) -> None:
    """A file of `size` zeros that takes no room in the archive (the PAX 1.0 form of GNU tar)."""
    info = tarfile.TarInfo(name)
    body = b"1\n%d\n0\n" % size
    info.size = 512
    info.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size)
    }  # fmt: skip
    tar.addfile(info, io.BytesIO(body.ljust(512, b"\0")))


def test_an_archive_cannot_grow_when_it_is_unpacked(tmp_path: Path):
    with tarfile.open(tmp_path / "sparse.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add_sparse(tar, "data/log/checkpoint", 1 << 28)
    with pytest.raises(MalformedError, match="plain file"):
        restore(tmp_path / "sparse.tar", tmp_path / "new")


@pytest.mark.parametrize("archive", [False, True])
def test_restored_keys_are_nobody_elses_to_read(config: Config, tmp_path: Path, archive: bool):
    """Whatever mode a copy of the backup gave them on its way."""
    made = backup(config, tmp_path / "backups", with_keys=True)
    if archive:
        with tarfile.open(tmp_path / "made.tar", "w") as tar:
            for path in sorted(made.where.rglob("*")):
                if path.is_file():
                    info = tar.gettarinfo(path, str(path.relative_to(made.where)))
                    info.mode = 0o644
                    tar.addfile(info, io.BytesIO(path.read_bytes()))
    else:
        for path in made.where.rglob("*.key"):
            path.chmod(0o644)
    restore(tmp_path / "made.tar" if archive else made.where, tmp_path / "new")
    keys = list((tmp_path / "new" / "keys").iterdir())
    assert len(keys) == 2
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_two_backups_into_one_folder_at_once_are_refused(config: Config, tmp_path: Path):
    """The second would take away what the first has written."""
    refused: list[str] = []

    def again(_what: str, _done: int, _all: int) -> None:
        if not refused:
            with pytest.raises(RefusedStartError) as error:
                backup(config, tmp_path / "backups")
            refused.append(error.value.detail)

    backup(config, tmp_path / "backups", progress=again)
    assert len(refused) == 1
    restore(tmp_path / "backups", tmp_path / "new")
    backup(config, tmp_path / "backups")


def test_a_backups_own_configuration_cannot_put_data_elsewhere(config: Config, tmp_path: Path):
    (config.base / "tial.toml").write_text(f'data = "{tmp_path}/elsewhere"\n')
    loose = replace(config, data=str(tmp_path / "elsewhere"))
    shutil.move(config.data_path, tmp_path / "elsewhere")
    made = backup(loose, tmp_path / "backups")
    shutil.move(tmp_path / "elsewhere", tmp_path / "lost")
    with pytest.raises(RefusedStartError, match="outside"):
        restore(made.where, tmp_path / "new")
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "new" / "tial.toml").write_bytes((made.where / "tial.toml").read_bytes())  # the operator's own word
    assert restore(made.where, tmp_path / "new").data == tmp_path / "elsewhere"


def test_a_restore_serves_no_checkpoint_that_lacks_its_cosignatures(config: Config, tmp_path: Path):
    """It catches up with what was signed last; whether that is published is for the witnesses to say, at the start."""
    served = (config.data_path / "log" / "checkpoint").read_bytes()
    backup(config, tmp_path / "backups")
    grow(config, ["W1"])
    lose_data(config)
    report = restore(tmp_path / "backups", config.base, mirror=config.base / "lost" / "log")
    assert report.size > 300
    assert (config.data_path / "log" / "checkpoint").read_bytes() == served
    assert (check(LogPaths(config.data_path, config.path(config.lock)))).findings == []
    assert start(config)
    assert (config.data_path / "log" / "checkpoint").read_bytes() != served
