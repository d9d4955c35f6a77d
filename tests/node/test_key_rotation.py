"""The log's keys change while it runs: who signs what, before and after, across restarts and crashes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.crypto.suites import Signer
from ledger.errors import RefusedStartError
from ledger.identifiers.did_key import did_key
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.note_key import prove_note_key
from ledger.log.notes import ED25519, Note, NoteSignatureError, Vkey
from ledger.state.records import LogRecord
from ledger.statements import Draft, decode_statement, sign
from ledger.statements.acknowledgement import open_acknowledgement, signed_by
from ledger.store.tiles import write_checkpoint
from node.config import Config, KeysConfig
from node.fsck import check
from node.node import Node
from node.publisher import Published
from node.submission import Refused
from tests.nodes import ORIGIN, PASSPHRASE, NodeWorld, Party, admitted, make_log, save_keys, settle
from tests.world import key

ENTERPRISE = Party("enterprise")


def change(node: Node, cose: Signer | None = None, note: Signer | None = None, seq: int = 0) -> bytes:
    """A change of the log's keys with two roots' consents, those of the new keys in it."""
    record = node.admission.view.read(LogRecord)
    assert record is not None
    old = next(s for s in node.ring.cose if s.public_key == record.cose.key)
    signer = cose or old
    told: dict[str, Any] = {"alg": record.note.alg, "key": record.note.key}
    if note is not None:
        proof = prove_note_key(note, ORIGIN, node.log_id, signer.public_key)
        told = {"alg": -8, "key": note.public_key, "proof": proof}
    draft = Draft(
        "log", did_key(old.public_key, "ed25519"), f"log:{node.log_id.hex()}", node.log_id.hex(),
        iat=NodeWorld(node.log_id).now, claims={"seq": seq or record.touches},
        body={"keys": {"cose": {"alg": -8, "key": signer.public_key}, "note": told}},
    )  # fmt: skip
    digest = draft.consent_digest(old)
    consents = [Party(f"root {n}").consent(digest) for n in range(2)]
    if cose is not None:
        newcomer = Party("new")
        newcomer.signer, newcomer.did = cose, did_key(cose.public_key, "ed25519")
        consents.append(newcomer.consent(digest))
    return sign(draft, old, consents)


def with_next(config: Config, cose: str = "", note: str = "") -> Config:
    return replace(config, keys=KeysConfig(passphrase=PASSPHRASE, next_cose=cose, next_note=note))


def registrations(node: Node, names: Sequence[str]) -> list[bytes]:
    world = NodeWorld(node.log_id)
    return [world.registration(ENTERPRISE, f"vaa:88.118.8/{name}", "vaa/88.118.8") for name in names]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = make_log(tmp_path, interval=3600)
    save_keys(tmp_path, cose_next=key("cose 2"), note_next=key("note 2"))

    async def story() -> None:
        async with Node(made) as node:
            await settle(node, NodeWorld(node.log_id), ENTERPRISE)

    asyncio.run(story())
    return made


def run(config: Config, *names: str) -> Published:
    """Start, register, publish, stop."""

    async def story() -> Published:
        async with Node(config) as node:
            admitted(await node.sequencer.submit(registrations(node, names)))
            return await node.publisher.publish_now(node.sequencer)

    return asyncio.run(story())


async def crash(node: Node) -> None:
    """End without publishing: what was acknowledged is durable in the journal alone."""
    node.publisher.stop()
    await node._release()


def rotate(config: Config, *, publish: bool = True) -> tuple[int, list[bytes], Published]:
    """Change both keys in the middle of one submission; returns the change's index, acknowledgements, what was out."""

    async def story() -> tuple[int, list[bytes], Published]:
        async with Node(with_next(config, "keys/cose-next.key", "keys/note-next.key")) as node:
            before = node.publisher.published
            submitted = registrations(node, ["R1", "R2"])
            submitted.insert(1, change(node, key("cose 2"), key("note 2")))
            answer = await node.sequencer.submit(submitted)
            index = admitted(answer)[1].index
            if publish:
                assert node.vkey.key == key("note").public_key, "until the change is published the old one speaks"
                await node.publisher.publish_now(node.sequencer)
                assert node.vkey.key == key("note 2").public_key
            else:
                await crash(node)
            return index, [run.acknowledgement for run in answer.runs], before

    return asyncio.run(story())


def test_a_change_inside_a_group_takes_effect_exactly_behind_itself(config: Config):
    index, acknowledgements, before = rotate(config)
    after = run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "R3")

    async def story() -> None:
        async with Node(with_next(config, "keys/cose-next.key", "keys/note-next.key")) as node:
            keys = node.keys
            assert [(p.first, p.end) for p in keys.cose] == [(0, index + 1), (index + 1, None)]
            assert [(p.first, p.end) for p in keys.note] == [(0, index + 1), (index + 1, None)]
            for at, raw in enumerate(node.reader.iter_entries(0, after.size)):
                st = decode_statement(raw)
                if st.type in {"manifest", "log", "genesis"}:
                    ref = keys.cose_at(at)
                    assert st.kid == (key("cose") if at <= index else key("cose 2")).kid
                    assert ref.key == (key("cose") if at <= index else key("cose 2")).public_key
            assert keys.open_checkpoint(before.checkpoint).size == before.size, "old checkpoints verify for ever"
            assert keys.open_checkpoint(after.checkpoint).size == after.size
            for note, name in ((before.checkpoint, "note 2"), (after.checkpoint, "note")):
                with pytest.raises(NoteSignatureError):
                    open_checkpoint(note, Vkey(ORIGIN, ED25519, key(name).public_key))

    asyncio.run(story())
    for raw in acknowledgements:  # the old key signs nothing once the change is durable
        assert signed_by(raw) == key("cose 2").kid
        assert open_acknowledgement(raw, -8, key("cose 2").public_key).first <= index
    assert check(config, deep=True).ok


def test_the_node_refuses_keys_that_it_does_not_hold(config: Config):
    async def story() -> None:
        async with Node(with_next(config, "keys/cose-next.key")) as node:
            size = node.admission.size
            for cose, note in ((key("cose 2"), key("note 2")), (key("cose 3"), None)):
                (outcome,) = (await node.sequencer.submit([change(node, cose, note)])).outcomes
                assert isinstance(outcome, Refused)
                assert outcome.reason == "bad_parameters"
            assert node.admission.size <= size + 1

    asyncio.run(story())


def test_one_key_can_change_and_the_other_stay(config: Config):
    async def story() -> None:
        async with Node(with_next(config, "keys/cose-next.key")) as node:
            admitted(await node.sequencer.submit([change(node, key("cose 2"))]))
            published = await node.publisher.publish_now(node.sequencer)
            open_checkpoint(published.checkpoint, Vkey(ORIGIN, ED25519, key("note").public_key))
            assert len(node.keys.note) == 1

    asyncio.run(story())
    assert run(with_next(config, "keys/cose-next.key"), "S").size


def test_restarts_go_on_with_next_keys_until_the_files_are_moved(config: Config):
    rotate(config)
    size = run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "A").size
    with pytest.raises(RefusedStartError, match="cose key file holds another key"):
        run(config, "B")
    for name in ("cose", "note"):
        shutil.move(config.base / f"keys/{name}-next.key", config.base / f"keys/{name}.key")
    assert run(config, "B").size > size


def test_a_crash_behind_the_change_publishes_with_the_new_keys(config: Config):
    index, _, before = rotate(config, publish=False)
    with pytest.raises(RefusedStartError, match="key file holds another key"):
        run(config, "C")
    after = run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "C")
    assert before.size <= index < after.size
    open_checkpoint(after.checkpoint, Vkey(ORIGIN, ED25519, key("note 2").public_key))


def test_a_crash_before_the_change_goes_on_with_the_old_keys(config: Config):
    async def story() -> None:
        async with Node(with_next(config, "keys/cose-next.key", "keys/note-next.key")) as node:
            await crash(node)

    asyncio.run(story())
    after = run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "C")
    open_checkpoint(after.checkpoint, Vkey(ORIGIN, ED25519, key("note").public_key))


@pytest.mark.parametrize("signer", ["note", "stranger"])
def test_a_served_checkpoint_by_a_former_or_strange_key_is_refused_at_start(config: Config, signer: str):
    rotate(config)
    after = run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "A")
    forged = sign_checkpoint(key(signer), Checkpoint.parse(Note.parse(after.checkpoint).text))
    write_checkpoint(config.data_path / "log", forged)
    with pytest.raises(RefusedStartError, match="checkpoint that is kept is not this log's"):
        run(with_next(config, "keys/cose-next.key", "keys/note-next.key"), "B")
    findings = check(config).findings
    assert [finding.code for finding in findings] == ["checkpoint-signature"]
