"""A monitor agrees with an honest log, proves a forked one forked, and forgets nothing that it could not compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.progress import Anchor
from ledger.errors import CorruptError
from ledger.evidence.chain import ChainPolicy
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import KeyRef
from node.mirror import MirrorOptions, mirror
from node.monitor import Monitor, MonitorOptions, Scan
from tests.audit.served import NOTE, ORIGIN, VKEY, serve, shown
from tests.chain_world import TinyLog, World, world
from tests.node.test_mirror import ENTRIES, OTHER, cosigned, root_at
from tests.world import key

__all__ = ["world"]
IDENTITY = LogIdentity.of(leaf_hash(ENTRIES[0]), VKEY, KeyRef(0, b""))


def note_of(entries: list[bytes], size: int, signer: Any = NOTE) -> bytes:
    return sign_checkpoint(signer, Checkpoint(ORIGIN, size, root_at(entries, size)))


def watched(tmp_path: Path, *urls: str, **options: Any) -> Scan:
    return Monitor(urls, tmp_path / "monitor", MonitorOptions((VKEY,), **options)).scan()


def proven(scan: Scan) -> list[str]:
    """Check every proof that a scan wrote; returns their kinds."""
    return [verify_split_view(Path(path).read_bytes(), IDENTITY).kind for _, path in scan.contradictions]


def test_several_views_of_an_honest_log_agree(tmp_path: Path) -> None:
    serve(tmp_path / "node", ENTRIES)
    serve(tmp_path / "mirror", ENTRIES[:300])
    (tmp_path / "note").write_bytes(note_of(ENTRIES, 500))
    with shown(tmp_path / "node") as node, shown(tmp_path / "mirror") as other:
        scan = watched(tmp_path, node, other, notes=(str(tmp_path / "note"), f"{node}/checkpoint"))
    assert (scan.contradictions, scan.troubles, scan.waiting) == ([], [], [])
    assert scan.agreed is not None
    assert scan.agreed.size == 700
    assert sorted(view.size for view in scan.views) == [300, 500, 700, 700]


@pytest.mark.parametrize(("first", "second"), [(700, 700), (500, 900), (700, 301)])
def test_two_nodes_that_show_different_logs_are_proven_to_do_so(tmp_path: Path, first: int, second: int) -> None:
    serve(tmp_path / "one", ENTRIES[:first])
    serve(tmp_path / "two", OTHER[:second])
    with shown(tmp_path / "one") as one, shown(tmp_path / "two") as two:
        scan = watched(tmp_path, one, two)
    assert proven(scan) == ["checkpoints"]
    assert scan.agreed is None


def test_a_log_that_forks_between_two_scans_is_found_by_memory(tmp_path: Path) -> None:
    serve(tmp_path / "before", ENTRIES)
    with shown(tmp_path / "before") as url:
        assert watched(tmp_path, url).agreed is not None
    serve(tmp_path / "after", OTHER)
    for _ in range(2):  # and again: what was agreed upon is not forgotten
        with shown(tmp_path / "after") as url:
            assert proven(watched(tmp_path, url)) == ["checkpoints"]
    assert len(list((tmp_path / "monitor" / "evidence").iterdir())) == 1


def test_a_checkpoint_beyond_every_tree_is_kept_until_it_can_be_compared(tmp_path: Path) -> None:
    """A witness saw more than any node serves: no verdict now, and none missed later."""
    serve(tmp_path / "early", ENTRIES[:300])
    (tmp_path / "note").write_bytes(note_of(OTHER, 800))
    with shown(tmp_path / "early") as url:
        scan = watched(tmp_path, url, notes=(str(tmp_path / "note"),))
    assert not scan.contradictions
    assert [name for name, _ in scan.waiting] == [str(tmp_path / "note")]
    serve(tmp_path / "late", [*ENTRIES, *[b"more %d" % n for n in range(200)]])
    with shown(tmp_path / "late") as url:
        scan = watched(tmp_path, url)
    assert proven(scan) == ["checkpoints"]
    assert not scan.waiting


def test_a_node_that_does_not_serve_what_it_signed_is_trouble_not_agreement(tmp_path: Path) -> None:
    serve(tmp_path / "node", ENTRIES)
    serve(tmp_path / "whole", ENTRIES[:500])
    (tmp_path / "node" / "tile/0/001").write_bytes(bytes(8192))
    with shown(tmp_path / "node") as node, shown(tmp_path / "whole") as whole:
        scan = watched(tmp_path, node, whole)
        assert [name for name, _ in scan.troubles] == [node]
        assert scan.agreed is not None
        assert scan.agreed.name == whole
        assert [name for name, _ in scan.waiting] == [node]


def test_a_node_that_is_away_is_trouble_and_the_others_are_compared(tmp_path: Path) -> None:
    serve(tmp_path / "node", ENTRIES)
    with shown(tmp_path / "node") as node:
        scan = watched(tmp_path, "http://127.0.0.1:9", node, notes=(str(tmp_path / "nothing"),))
    assert len(scan.troubles) == 2
    assert scan.agreed is not None


def test_a_checkpoint_that_the_log_did_not_sign_is_trouble(tmp_path: Path) -> None:
    serve(tmp_path / "node", ENTRIES)
    (tmp_path / "note").write_bytes(note_of(OTHER, 500, key("stranger")))
    with shown(tmp_path / "node") as node:
        scan = watched(tmp_path, node, notes=(str(tmp_path / "note"),))
    assert not scan.contradictions
    assert len(scan.troubles) == 1


def test_a_missing_quorum_of_witnesses_is_trouble(tmp_path: Path) -> None:
    serve(tmp_path / "node", ENTRIES)
    plain = (tmp_path / "node" / "checkpoint").read_bytes()
    policy = cosigned(tmp_path / "node")
    with shown(tmp_path / "node") as node:
        assert not watched(tmp_path, node, policy=policy).troubles
        (tmp_path / "node" / "checkpoint").write_bytes(plain)
        assert "quorum" in watched(tmp_path, node, policy=policy).troubles[0][1]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"log_id": "zz", "agreed": null, "pending": []}'])
def test_a_damaged_memory_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "monitor.json").write_bytes(content)
    with pytest.raises(CorruptError):
        Monitor([], tmp_path / "monitor", MonitorOptions((VKEY,)))


def test_the_memory_is_written_after_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path / "node", ENTRIES)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with shown(tmp_path / "node") as node:
        with monkeypatch.context() as patch:
            patch.setattr(Monitor, "_compare", dies)
            with pytest.raises(KeyboardInterrupt):
                watched(tmp_path, node)
        assert not (tmp_path / "monitor" / "monitor.json").exists()
        watched(tmp_path, node)
    assert json.loads((tmp_path / "monitor" / "monitor.json").read_text())["log_id"] == leaf_hash(ENTRIES[0]).hex()


# -- the chain ---------------------------------------------------------------------------------------------------------


def entries_of(flavour: str, size: int) -> list[bytes]:
    """The entries of `TinyLog`."""
    return [b"genesis", *(f"{flavour} {n}".encode() for n in range(1, size))]


def test_a_log_whose_anchor_is_its_own_agrees_with_the_chain(tmp_path: Path, world: World) -> None:
    world.anchor_as(world.log, 40)
    serve(tmp_path / "node", entries_of("honest", 60))
    with shown(tmp_path / "node") as node:
        scan = watched(tmp_path, node, chain=world.backend())
        assert (scan.anchored, scan.contradictions, scan.troubles) == (40, [], [])

        def read(log_id: bytes) -> list[Anchor]:
            return [Anchor(found.size, found.root, found.time) for found in world.backend().scan(log_id)]

        assert mirror(node, tmp_path / "copy", MirrorOptions((VKEY,), chain_anchors=read)).anchors == 1
    serve(tmp_path / "small", entries_of("honest", 30))
    with shown(tmp_path / "small") as node:
        assert ("chain" in dict(watched(tmp_path / "other", node, chain=world.backend()).waiting)) is True


@pytest.mark.parametrize("size", [40, 60])
def test_a_log_that_the_chain_contradicts_is_proven_by_chain_evidence(tmp_path: Path, world: World, size: int) -> None:
    world.anchor_as(TinyLog("forked"), 40)
    serve(tmp_path / "node", entries_of("honest", size))
    chain = world.backend()
    with shown(tmp_path / "node") as node:
        scan = watched(tmp_path, node, chain=chain)
    ((_, path),) = scan.contradictions
    log_id = leaf_hash(b"genesis")
    block = chain.prove(log_id, 40).facts
    newest = chain.prove(log_id, 40, block=block.block).facts.block_hash
    identity = chain.identity
    contract = bytes.fromhex(identity.contract.removeprefix("0x"))
    policy = ChainPolicy("ethereum", identity.chain_id, contract, identity.code_hash, headers=(newest,))
    finding = verify_split_view(Path(path).read_bytes(), LogIdentity.of(log_id, VKEY, KeyRef(0, b""), policy))
    assert finding.kind == "chain"
    assert root_of([leaf_hash(raw) for raw in entries_of("forked", 40)]).hex() in finding.detail
