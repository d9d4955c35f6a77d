"""An operator that owns the log's keys and may do anything with them, and the honest parties around it.

Real logs: statements of the test consortium, tiles and bundles on disk behind HTTP, checkpoints signed with the true
note key, manifests with the true cose key. The witnesses are real ones over folders of their own; they cosign what they
are asked to cosign and are never told what to answer. What the operator cannot do is sign for anybody else.
"""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ledger.audit.engine import Audit, audit_log
from ledger.evidence.build import build
from ledger.evidence.bundle import Document
from ledger.evidence.policy import PLAIN, REPLAYING, Policy, Witnesses
from ledger.evidence.report import Report, Verdict
from ledger.evidence.split_view import LogIdentity, Prefix, prefix_of, split_checkpoints
from ledger.evidence.verifier import Verification, verify
from ledger.evidence.violation import Violation
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import ED25519, Note, Vkey
from ledger.log.proofs import consistency_proof
from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import KeyRef
from ledger.state.view import MemoryState
from ledger.statements import Statement, decode_statement
from ledger.store.tiles import TileReader, write_checkpoint
from node.witness.request import read_size, write_request
from node.witness.witness import Witness
from tests.audit.served import serve
from tests.evidence.bundles import DIGEST, ORIGIN, RAW_DOCUMENT, LogSource, Scene
from tests.witness.serving import files_at
from tests.witness.witness_world import StillClock, make_witness, opened, replaying
from tests.world import World

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL
ALONE: dict[str, Any] = {
    "plain": Witnesses(PLAIN), "replaying": Witnesses(REPLAYING), "max_age": None, "trust_operator_state": True,
}  # fmt: skip
"""What somebody demands who believes the operator."""


@dataclass
class Ring:
    """The honest witnesses: two plain ones and one that replays, by one clock that a test sets."""

    plain: list[Witness]
    replaying: Witness
    clock: StillClock
    folder: Path

    def ask(self, entries: Sequence[bytes], note: bytes) -> tuple[bytes, dict[str, str]]:
        """Ask each for its cosignature: the note with those that were given, and why the others refused."""
        leaves = [leaf_hash(raw) for raw in entries]
        whole, refused = Note.parse(note), {}
        for witness in (*self.plain, self.replaying):
            answer = witness.add_checkpoint(write_request(0, [], note))
            if answer.status == 409:
                old = read_size(answer.body)
                if old > len(leaves):
                    refused[witness.vkey.name] = f"size {old} was cosigned before"
                    continue
                proof = consistency_proof(old, len(leaves), nodes(leaves))
                answer = witness.add_checkpoint(write_request(old, proof, note))
            if answer.status == 200:
                whole = Note.parse(whole.serialise() + answer.body)
            else:
                refused[witness.vkey.name] = answer.body.decode()
        return whole.serialise(), refused

    def evidence(self) -> dict[str, bytes]:
        """The evidence files of the replaying witness."""
        return {path.name: path.read_bytes() for path in self.folder.glob("replaying/logs/*/evidence/*")}

    def violation(self) -> bytes:
        """The one evidence file of the replaying witness."""
        (raw,) = self.evidence().values()
        return raw


@dataclass
class Shown:
    """A log as the operator shows it: where bundles come from, and who refused to cosign, with the reason."""

    source: LogSource
    refused: dict[str, str]

    @property
    def note(self) -> bytes:
        return self.source.note

    def about(self, statement: Statement, **more: Any) -> bytes:
        """The bundle about a statement."""
        return build(self.source, statement.sub, list(self.source.entries).index(statement.raw), **more).encode()

    def absence(self, about: str) -> bytes:
        """The bundle that something does not exist."""
        return build(self.source, about, None).encode()

    def prefix(self, size: int) -> Prefix:
        """What this log begins with, as anybody reads it from its tiles."""
        return prefix_of(size, self.source.size, self.source.node)


class Operator(Scene):
    """The keeper of the log's keys."""

    def __init__(self, folder: Path, **genesis: int) -> None:
        super().__init__(**genesis)
        self.folder = folder / "served"
        self.folder.mkdir()
        self.ring: Ring | None = None
        self.url = ""
        self.told: dict[Any, Any] | None = None

    # -- what everybody knows of the log -----------------------------------------------------------------------------

    @property
    def vkey(self) -> Vkey:
        return Vkey(ORIGIN, ED25519, self.world.note.public_key)

    @property
    def identity(self) -> LogIdentity:
        """The log by its public keys, as a third party has it."""
        cose = self.world.cose
        return LogIdentity.of(self.world.log_id, self.vkey, KeyRef(cose.suite.alg or 0, cose.public_key))

    def policy(self, **changes: Any) -> Policy:
        """A policy that names the honest witnesses."""
        ring = self.witnesses
        named = {
            "plain": Witnesses(PLAIN, tuple(witness.vkey for witness in ring.plain), len(ring.plain)),
            "replaying": Witnesses(REPLAYING, (ring.replaying.vkey,), 1),
        }
        return super().policy(**named | changes)

    @property
    def witnesses(self) -> Ring:
        assert self.ring is not None
        return self.ring

    @property
    def clock(self) -> int:
        """The stranger's clock: as the witnesses'."""
        return int(self.witnesses.clock.at)

    def judged(self, raw: bytes, policy: Policy | None = None, **more: Any) -> Report:
        """What a stranger finds who holds the bundle and the policy."""
        return self.verified(raw, policy, **more).report

    def verified(self, raw: bytes, policy: Policy | None = None, now: int | None = None, **more: Any) -> Verification:
        return verify(raw, policy or self.policy(), self.clock if now is None else now, **more)

    # -- acting ------------------------------------------------------------------------------------------------------

    def twin(self, world: World | None = None) -> Self:
        """The same operator with another log under the same keys; by default one that goes its own way from here."""
        other = copy.copy(self)
        other.world = self.world.fork() if world is None else world
        return other

    def rewritten(self, index: int, raw: bytes) -> Self:
        """The log with another entry at `index`, and every manifest after it made to fit."""
        world = self.world.fork()
        world.state, world.entries, world.counts = MemoryState(), [], Counter()
        for at, entry in enumerate(self.world.entries):
            statement = decode_statement(entry)
            if statement.type == "manifest":
                world.close(statement.iat)
            else:
                world.put(raw if at == index else entry)
        return self.twin(world)

    def pass_time(self, seconds: int) -> None:
        """Let true time pass, and close the batch by it as an honest log does."""
        self.witnesses.clock.passes(seconds)
        self.world.close(self.clock)

    def close_with(self, edit: Callable[[dict[Any, Any]], None]) -> None:
        """Close the batch with a state that no statement led to."""
        edit(self.world.state.records)
        self.told = dict(self.world.state.records)
        self.world.close(self.clock)

    def sign(self, entries: Sequence[bytes]) -> bytes:
        """A checkpoint of any tree, signed with the true key."""
        return sign_checkpoint(
            self.world.note, Checkpoint(ORIGIN, len(entries), root_of([leaf_hash(raw) for raw in entries]))
        )

    def show(self, kind: type[LogSource] = LogSource) -> Shown:
        """Serve this log, and ask the witnesses for their cosignatures."""
        entries = list(self.world.entries)
        shutil.rmtree(self.folder)
        serve(self.folder, entries, self.world.note)
        note, refused = self.witnesses.ask(entries, self.sign(entries))
        write_checkpoint(self.folder, note)
        source = kind(entries)
        source.documents = {DIGEST: Document(RAW_DOCUMENT)}
        if self.told is not None:
            source.state.records = dict(self.told)
        source.note = note
        return Shown(source, refused)

    # -- third parties -----------------------------------------------------------------------------------------------

    def audited(self, work: Path) -> Audit:
        """What an auditor finds who holds the files that are served."""
        reader = TileReader(self.folder)
        note = reader.checkpoint()
        assert note is not None
        return audit_log(reader, note, work)

    def convicts(self, raw: bytes, work: Path) -> int | None:
        """What a third party makes of a violation file with the log's key and a mirror: the entry that broke the rules.

        The file shows that the log signed the entry; the mirror, whose root is the file's, that the rules refuse it.
        None where the replay finds nothing wrong: then the file accuses nobody.
        """
        violation = Violation.decode(raw)
        checkpoint = violation.check([self.vkey])
        assert TileReader(self.folder).root(checkpoint.size) == checkpoint.root
        found = self.audited(work)
        if not found.failures:
            return None
        assert violation.offending is not None
        assert found.failures[0].index == violation.offending.index
        return violation.offending.index


def nodes(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """A tree's nodes."""
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def split_of(one: Shown, other: Shown) -> bytes:
    """What anybody makes of two logs under one key that do not belong together."""
    small, large = sorted((one, other), key=lambda shown: (shown.source.size, shown.source.root))
    prefix = None if small.source.size == large.source.size else large.prefix(small.source.size)
    return split_checkpoints(small.note, large.note, prefix)


@contextmanager
def operating(folder: Path) -> Iterator[Operator]:
    """An operator whose log is served, and witnesses that know its key."""
    operator = Operator(folder)
    clock = StillClock(operator.world.now + 5)
    with ExitStack() as stack:
        operator.url = stack.enter_context(files_at(operator.folder))
        plain = []
        for number in range(2):
            make_witness(folder / f"plain{number}", (operator.vkey, ""), name=f"plain{number}.example")
            plain.append(stack.enter_context(opened(folder / f"plain{number}", clock)))
        make_witness(folder / "replaying", (operator.vkey, operator.url), replaying=True, name="replaying.example")
        operator.ring = Ring(plain, stack.enter_context(replaying(folder / "replaying", clock)), clock, folder)
        yield operator
