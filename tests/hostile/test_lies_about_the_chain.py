"""Lies that the chain shows: a revocation that is ignored, a log that contradicts its anchor, a chain of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from ledger.errors import CorruptError
from ledger.evidence.bundle import Bundle, ChainPart
from ledger.evidence.chain import ChainInvalidError, ChainPolicy, ChainUntrustedError
from ledger.evidence.ignored import Ignored, NotIgnoredError, check_ignored
from ledger.evidence.policy import Witnesses
from ledger.evidence.split_view import (
    LogIdentity,
    NoContradictionError,
    split_from_chain,
    verify_split_view,
)
from ledger.log.proofs import consistency_proof
from ledger.log.tree import leaf_hash, root_of
from ledger.statements import decode_statement
from node.chain import transactions
from node.chain.artifact import load_artifact
from node.chain.protocol import ProvenAnchor
from node.monitor import Monitor, MonitorOptions
from node.publisher import Published
from tests import chain_world
from tests.chain_world import TinyLog
from tests.evidence.bundles import step, verdict
from tests.hostile.liar import ALONE, CANNOT_TELL, INVALID, VALID, Operator, Shown, nodes, operating

PATIENCE = 60
"""Seconds that a stranger gives an operator to admit what was requested."""


class Anchored(TinyLog):
    """The log as the anchor's worker sees it."""

    def __init__(self, shown: Shown) -> None:
        self.leaves = list(shown.source.leaves)
        self.shown = shown
        self.published = None

    def publish(self, size: int) -> Published:
        return Published(size, root_of(self.leaves[:size]), self.shown.note)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, nodes(self.leaves))


class Chain(chain_world.World):
    """A chain on which the operator's log is registered."""

    def __init__(self, folder: Path, shown: Shown) -> None:
        super().__init__(folder)
        self.log = Anchored(shown)
        self.deployment = self.deploy()

    def anchor(self, shown: Shown) -> ProvenAnchor:
        """Anchor what is shown, and prove it as of now."""
        self.anchor_as(Anchored(shown), shown.source.size)
        return self.backend().prove(self.log.id, shown.source.size)

    def request(self, leaf: bytes) -> None:
        """Somebody asks in public for the admission of a leaf."""
        chain = self.backend()
        transactions.transact(
            self.rpc(), self.admin, chain_id=chain.identity.chain_id, to=chain.identity.contract,
            data=chain.artifact.encode("request", self.log.id, leaf), price=None, seconds=20,
        )  # fmt: skip

    def pinned(self, *proven: ProvenAnchor) -> ChainPolicy:
        """What somebody trusts who read these blocks' hashes from the chain himself."""
        identity = self.backend().identity
        hashes = []
        for one in proven:
            block = self.rpc().call("eth_getBlockByNumber", hex(one.facts.block), False)  # noqa: FBT003 - JSON-RPC
            hashes.append(bytes.fromhex(block["hash"][2:]))
        contract = bytes.fromhex(identity.contract[2:])
        return ChainPolicy("ethereum", identity.chain_id, contract, identity.code_hash, headers=tuple(set(hashes)))


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """An operator whose log lives in the chain's time."""
    try:
        find_anvil()
        load_artifact()
    except (AnvilNotFoundError, CorruptError) as error:
        pytest.skip(str(error))
    monkeypatch.setattr("tests.world.START", int(time.time()) - 60)
    with operating(tmp_path) as made:
        yield made


@pytest.fixture
def first(operator: Operator) -> Shown:
    return operator.show()


@pytest.fixture
def chain(operator: Operator, first: Shown, tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path / "chain", first)
    try:
        yield made
    finally:
        made.close()


def part(proven: ProvenAnchor, shown: Shown) -> ChainPart:
    """Chain evidence as a bundle holds it, with the proof from there to what is shown."""
    size = proven.facts.size
    return ChainPart(proven.evidence, size, tuple(consistency_proof(size, shown.source.size, shown.source.node)))


def test_the_operator_ignores_a_revocation(operator: Operator, first: Shown, chain: Chain) -> None:
    certifier, sub = operator.parties["certifier"], operator.certification.sub
    before = chain.anchor(first)
    revocation = operator.world.status(certifier, sub, "revoked", "issuer", 1)
    unfit = operator.world.status(operator.parties["enterprise"], sub, "revoked", "issuer", 1)  # not its issuer
    leaf = leaf_hash(revocation)
    nobody = chain.backend().prove_request(operator.world.log_id, leaf)
    for asked in (leaf, leaf_hash(unfit)):
        chain.request(asked)
    evidence, other = (
        chain.backend().prove_request(operator.world.log_id, leaf_hash(raw)) for raw in (revocation, unfit)
    )
    policy = operator.policy(chains=(chain.pinned(before, nobody, evidence, other),))

    def judged(raw: bytes, proven: ProvenAnchor, shown: Shown) -> Ignored:
        bundle = shown.about(operator.certification, whole=True)
        return check_ignored(raw, proven.evidence, bundle, policy, operator.clock, PATIENCE)

    soon = operator.show()
    honest = operator.twin()
    operator.pass_time(2 * PATIENCE)
    lie = operator.show()
    plain = lie.about(operator.certification, chain=part(evidence, lie))
    assert operator.judged(plain, policy).overall is VALID  # each step is right: what is missing is what nobody logged
    found = judged(revocation, evidence, lie)
    assert (found.size, found.statement.leaf) == (lie.source.size, leaf)
    assert found.shown > found.request.time + PATIENCE

    with pytest.raises(ChainInvalidError):  # before anybody asked nothing was ignored
        judged(revocation, nobody, lie)
    with pytest.raises(ChainUntrustedError):  # the evidence of an anchor speaks of no request
        judged(revocation, before, lie)
    with pytest.raises(NotIgnoredError, match="may still come"):
        judged(revocation, evidence, soon)
    with pytest.raises(NotIgnoredError, match="rules refuse"):  # a log owes nothing to what its rules refuse
        judged(unfit, other, lie)
    with pytest.raises(NotIgnoredError, match="something else"):
        judged(operator.registration.raw, evidence, lie)
    newcomer = operator.world.registration(operator.parties["enterprise"], "vaa:88.118.8/NEW", "vaa/88.118.8")
    absent = lie.absence("vaa:88.118.8/NEW")
    chain.request(leaf_hash(newcomer))
    asked_new = chain.backend().prove_request(operator.world.log_id, leaf_hash(newcomer))
    pinned = replace(policy, chains=(chain.pinned(asked_new),))
    with pytest.raises(NotIgnoredError, match="not shown"):  # what else the rules would read is not in such a bundle
        check_ignored(newcomer, asked_new.evidence, absent, pinned, operator.clock, PATIENCE)
    for less, why in (({"chains": ()}, "names no chain"), ({"replaying": Witnesses("replaying")}, "cannot tell")):
        policy, whole = replace(policy, **less), policy
        with pytest.raises(NotIgnoredError, match=why):
            judged(revocation, evidence, lie)
        policy = whole

    honest.world.put(revocation)
    honest.world.close(operator.clock)
    policy = replace(policy, **ALONE)
    with pytest.raises(NotIgnoredError, match="in the log"):
        judged(revocation, evidence, honest.show())


def test_the_operator_signs_a_checkpoint_that_the_chain_contradicts(
    operator: Operator, first: Shown, chain: Chain, tmp_path: Path
) -> None:
    liar = operator.rewritten(*other_registration(operator))
    proven = chain.anchor(first)
    trusted = chain.pinned(proven)
    policy = operator.policy(chains=(trusted,))
    honest = first.about(operator.certification, chain=part(proven, first))
    good = operator.judged(honest, policy, now=proven.facts.time + 5)
    assert (verdict(good, 10), good.overall) == (VALID, VALID)

    liar.pass_time(10)
    lie = liar.show()
    bundle = lie.about(operator.certification, chain=part(proven, lie))
    told = operator.judged(bundle, policy)
    assert (verdict(told, 8), verdict(told, 10), told.overall) == (VALID, INVALID, INVALID)
    for number in (proven.facts.size - 1, proven.facts.size + 1):  # nor does another size help
        altered = replace(Bundle.decode(bundle), chain=ChainPart(proven.evidence, number, ()))
        assert verdict(operator.judged(altered.encode(), policy), 10) is INVALID

    identity = LogIdentity(operator.world.log_id, operator.identity.keys, trusted)
    monitor = Monitor([operator.url], tmp_path / "monitor", MonitorOptions((operator.vkey,), chain=chain.backend()))
    ((_, path),) = monitor.scan().contradictions
    found = Path(path).read_bytes()
    newest = chain.pinned(proven, chain.backend().prove(operator.world.log_id, proven.facts.size))
    assert verify_split_view(found, replace(identity, chain=newest)).kind == "chain"
    by_hand = split_from_chain(lie.note, proven.evidence, lie.prefix(proven.facts.size))
    assert verify_split_view(by_hand, identity).kind == "chain"
    with pytest.raises(ChainUntrustedError):  # a block that nobody vouches for accuses nobody
        verify_split_view(by_hand, replace(identity, chain=replace(trusted, headers=(bytes(32),))))

    operator.pass_time(10)
    grown = Shown(operator.source(), {})
    with pytest.raises(NoContradictionError):  # a log that holds what was anchored cannot be accused
        verify_split_view(split_from_chain(grown.note, proven.evidence, grown.prefix(proven.facts.size)), identity)


def other_registration(operator: Operator) -> tuple[int, bytes]:
    """The place of an old registration, and another one for it."""
    entries = operator.world.entries
    index = next(at for at, raw in enumerate(entries) if decode_statement(raw).sub == "vaa:88.118.8/B5")
    enterprise = operator.parties["enterprise"]
    return index, operator.world.registration(enterprise, "vaa:88.118.8/INSTEAD", "vaa/88.118.8")


def test_the_operator_invents_a_chain(operator: Operator, first: Shown, chain: Chain, tmp_path: Path) -> None:
    proven = chain.anchor(first)
    trusted = chain.pinned(proven)
    policy = operator.policy(chains=(trusted,))
    honest = first.about(operator.certification, chain=part(proven, first))
    assert operator.judged(honest, policy, now=proven.facts.time + 5).overall is VALID

    liar = operator.rewritten(*other_registration(operator))
    liar.pass_time(10)
    lie = liar.show()
    shutil.copytree(tmp_path / "chain" / "chain" / "keys", tmp_path / "own" / "chain" / "keys")
    own = Chain(tmp_path / "own", lie)
    try:
        invented = own.anchor(lie)
        same = own.pinned(invented)
    finally:
        own.close()
    assert replace(same, headers=()) == replace(trusted, headers=())  # chain id, contract and code are as the true ones
    bundle = lie.about(operator.certification, chain=part(invented, lie))
    alone, now = operator.policy(**ALONE), invented.facts.time + 5
    fooled = operator.judged(bundle, replace(alone, chains=(same,)), now=now)
    assert fooled.overall is VALID  # whoever lets the operator say which chain it is
    told = operator.judged(bundle, replace(alone, chains=(trusted,)), now=now)
    assert (verdict(told, 10), told.overall) == (CANNOT_TELL, CANNOT_TELL)
    assert "nobody vouches" in step(told, 10).reason
    assert step(told, 10).time is None  # what it says of time counts for nothing either
    for elsewhere in (replace(same, contract=bytes(20)), replace(same, chain_id=1), replace(same, code_hash=bytes(32))):
        report = operator.judged(bundle, replace(alone, chains=(elsewhere,)), now=now)
        assert (verdict(report, 10), report.overall) == (INVALID, INVALID)

    # What the true chain holds convicts the checkpoint; what the invented one holds convicts nobody.
    identity = LogIdentity(operator.world.log_id, operator.identity.keys, trusted)
    against = split_from_chain(lie.note, proven.evidence, lie.prefix(proven.facts.size))
    assert verify_split_view(against, identity).kind == "chain"
    operator.pass_time(20)
    grown = Shown(operator.source(), {})
    framing = split_from_chain(grown.note, invented.evidence, grown.prefix(first.source.size))
    with pytest.raises(ChainUntrustedError):
        verify_split_view(framing, identity)
