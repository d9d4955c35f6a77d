"""A real node's log with a certification in it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.crypto.canonical import canonical_json
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.tree import EMPTY_ROOT, leaf_hash
from ledger.statements import Statement, decode_statement
from ledger.store.lock import CheckpointLock, LockState
from ledger.store.tiles import TileReader
from node.config import Config
from node.node import Node
from tests.nodes import NodeWorld, Party, admitted, log_time, settle

ITEM = "vaa:88.118.8/A1"
DOCUMENT = {"type": "certificate", "credentialSubject": {"id": ITEM}, "rating": 5}
PRIVATE = {"type": "certificate", "credentialSubject": {"id": ITEM}, "rating": 4}


@dataclass(frozen=True)
class Made:
    """A configuration of a stopped node, and what is in its log."""

    config: Config
    world: NodeWorld
    parties: dict[str, Party]
    registration: Statement
    certification: Statement
    private: Statement


async def play(config: Config) -> Made:
    async with Node(config) as node:
        world = NodeWorld(node.log_id)
        parties = {name: Party(name) for name in ("enterprise", "accreditor", "authority", "certifier", "outsider")}
        await settle(node, world, parties["enterprise"])
        world.enrol(parties["accreditor"], "accreditor")
        world.enrol(parties["authority"], "template-authority")
        world.enrol(parties["certifier"], "certifier")
        world.approve_template(parties["authority"])
        world.accredit(parties["accreditor"], parties["certifier"])
        enterprise = parties["enterprise"]
        for n in range(300):
            world.put(world.registration(enterprise, f"vaa:88.118.8/A{n}", "vaa/88.118.8"))
        admitted(await node.sequencer.submit(world.take()))
        await node.publisher.publish_now(node.sequencer)
        certifications = []
        for number, (document, grade) in enumerate(((DOCUMENT, "public"), (PRIVATE, "private")), 1):
            digest = node.documents.put(canonical_json(document), grade)
            certifications.append(world.certification(parties["certifier"], ITEM, number, digest=digest))
        admitted(await node.sequencer.submit(certifications))
        await node.publisher.publish_now(node.sequencer)
        entries = node.reader.iter_entries(0, node.publisher.published.size)
        registration = next(st for st in map(decode_statement, entries) if st.sub == ITEM)
        world.time = log_time(node)  # acts of tests take effect then, when every record is there
        return Made(config, world, parties, registration, *map(decode_statement, certifications))


def fresh_lock(config: Config) -> None:
    data = config.data_path
    note = (data / "log" / "checkpoint").read_bytes()
    signed = Checkpoint.parse(Note.parse(note).text)
    log_id = leaf_hash(TileReader(data / "log").entry(0))
    instance = (data / "instance").read_bytes()
    with CheckpointLock.open(config.path(config.lock), data) as lock:
        lock.create(LockState(log_id, instance, 0, EMPTY_ROOT, b""))
        lock.compare_and_swap((0, EMPTY_ROOT), LockState(log_id, instance, signed.size, signed.root, note))
