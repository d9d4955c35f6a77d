"""Building the index anew: the same keys and values, or the old index stays."""

from __future__ import annotations

import asyncio
import shutil

import plyvel
import pytest

from ledger.errors import CorruptError, RefusedStartError
from ledger.log.tiles import decode_entry_bundle, encode_entry_bundle
from ledger.store.index import Index
from ledger.store.journal import Journal
from ledger.store.lock import CheckpointLock
from node.node import Node
from node.rebuild import rebuild
from tests.node.made_log import Made


def dump(made: Made) -> list[tuple[bytes, bytes]]:
    with Index.open(made.config.data_path / "index") as index:
        return list(index.dump())


def test_the_rebuilt_index_has_the_identical_keys_and_values(made: Made):
    before = dump(made)
    heard: list[tuple[int, int]] = []
    report = rebuild(made.config, lambda done, total: heard.append((done, total)))
    assert dump(made) == before
    assert report.entries > 300
    assert heard[-1] == (report.entries, report.entries)
    assert report.as_json()["root"] == report.root.hex()
    with Index.open(made.config.data_path / "index") as index:
        assert index.checksum() == report.checksum
    assert not list(made.config.data_path.glob("index.*"))


def test_an_altered_or_absent_index_is_made_whole(made: Made):
    before = dump(made)
    database = plyvel.DB(str(made.config.data_path / "index"), compression=None)
    database.put(b"r" + bytes(32), b"\x80")
    database.close()
    assert dump(made) != before
    rebuild(made.config)
    assert dump(made) == before
    shutil.rmtree(made.config.data_path / "index")
    rebuild(made.config)
    assert dump(made) == before


def test_entries_beyond_the_checkpoint_come_from_the_journal(made: Made):
    size = rebuild(made.config).entries
    more = made.world.registration(made.parties["enterprise"], "vaa:88.118.8/LATER", "vaa/88.118.8")
    with Journal.open(made.config.data_path / "journal") as journal:
        journal.append([more])
    assert rebuild(made.config).entries == size + 1


def test_the_node_starts_on_a_rebuilt_index(made: Made):
    rebuild(made.config)

    async def story() -> int:
        async with Node(made.config) as node:
            return node.index.covers

    assert asyncio.run(story()) > 300


def test_it_is_refused_while_the_node_runs(made: Made):
    with (
        CheckpointLock.open(made.config.path(made.config.lock), made.config.data_path),
        pytest.raises(RefusedStartError),
    ):
        rebuild(made.config)


def test_it_is_refused_where_there_is_no_log(made: Made):
    (made.config.data_path / "instance").unlink()
    with pytest.raises(RefusedStartError):
        rebuild(made.config)


def test_swapped_entries_give_another_root_and_the_old_index_stays(made: Made):
    before = dump(made)
    path = made.config.data_path / "log/tile/entries/000"
    entries = decode_entry_bundle(path.read_bytes(), 256)
    entries[20], entries[21] = entries[21], entries[20]
    path.write_bytes(encode_entry_bundle(entries))
    with pytest.raises(CorruptError, match="root"):
        rebuild(made.config)
    assert dump(made) == before
    assert not list(made.config.data_path.glob("index.*"))


def test_an_entry_that_the_rules_refuse_is_named(made: Made):
    path = made.config.data_path / "log/tile/entries/000"
    entries = decode_entry_bundle(path.read_bytes(), 256)
    entries[21] = entries[20]
    path.write_bytes(encode_entry_bundle(entries))
    with pytest.raises(CorruptError, match="entry 21"):
        rebuild(made.config)


def test_a_journal_that_ends_before_the_checkpoint_is_refused(made: Made):
    shutil.rmtree(made.config.data_path / "journal")
    with pytest.raises(CorruptError, match="journal"):
        rebuild(made.config)
