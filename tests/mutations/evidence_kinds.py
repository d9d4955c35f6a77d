"""Kinds of evidence: bundles, chain evidence, audit reports, seals, split-view proofs, reported violations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ledger.crypto.bls12381 import ORDER, SUITE, prove_possession
from ledger.crypto.canonical import document_digest, parse_json
from ledger.crypto.digests import sha256
from ledger.evidence.audit_report import open_audit_report
from ledger.evidence.bundle import Bundle
from ledger.evidence.chain import ChainFacts, ChainPolicy, check_chain_evidence
from ledger.evidence.container import pack
from ledger.evidence.messages import Message
from ledger.evidence.policy import Policy
from ledger.evidence.report import Report, Step, Verdict
from ledger.evidence.seal import Roster, Seal, Sealed, SealMember, Share, check_seal, join, sign_share
from ledger.evidence.split_view import (
    LogIdentity,
    broken_promise,
    late_promise,
    prefix_of,
    split_checkpoints,
    split_from_chain,
    verify_split_view,
)
from ledger.evidence.verifier import verify
from ledger.evidence.violation import LoggedEntry, Violation
from ledger.log.checkpoint import Checkpoint, open_cosigned, sign_checkpoint
from ledger.log.group import GroupTree
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import KeyRef
from ledger.statements.acknowledgement import Acknowledgement, sign_acknowledgement
from tests.evidence.bundles import ORIGIN, PLAIN_WITNESSES, REPLAYERS, LogSource, cosigned, witness
from tests.evidence.chain_builder import SENDER
from tests.mutations.honest import Honest, Town, nodes_of
from tests.mutations.kinds import Kind, made
from tests.world import key


def kinds(honest: Honest) -> list[Kind]:
    """All kinds of this module."""
    return [
        *_bundles(honest), *_chain(honest), _audit_reports(honest), *_seals(honest), *_split_views(honest),
        _violations(honest),
    ]  # fmt: skip


# -- bundles -----------------------------------------------------------------------------------------------------------


_COUNTS = frozenset({"count", "entries", "claims", "names"})
"""Values of messages that say how much a bundle holds."""

_COUNTED = frozenset({3, 4, 6, 7, 9, 11, 12, 13, 14})
"""Steps that name the witnesses on whom they rest."""


class BundleClaim(NamedTuple):
    """What a valid bundle says: the statement's bytes, what it shows of documents, the tree, and the whole report."""

    log_id: bytes
    tree: tuple[int, bytes]
    about: tuple[str, int | None]
    statement: bytes | None
    documents: dict[bytes, frozenset[str]]
    cosigned: tuple[tuple[str, int], ...]
    report: Report


class Truth:
    """What is true of a statement, or an absence, at a tree: what the bundle says that is made for it from the log.

    Index and subject of a bundle are a question, which nobody signs. Who alters them asks another one, and may get an
    answer where the file happens to hold all that it needs: it must be the true one, of the checkpoint's very tree.
    """

    def __init__(self, honest: Honest, policy: Policy, *, audited: bool) -> None:
        self._check = _bundle_check(policy, honest.clock)
        self._honest, self._audited = honest, audited
        towns = (honest.town, honest.other)
        self._sources = {
            (town.world.log_id, (source.size, source.root)): (town, source)
            for town in towns
            for source in (town.early, town.late)
        }
        self._known: dict[Any, BundleClaim | None] = {}
        self._disclosures = {
            digest: frozenset(document.disclosures) for town in towns for digest, document in town.documents.items()
        }

    def __call__(self, claim: BundleClaim, _: Any) -> bool:
        """Whether the log itself bears out what is claimed."""
        found = self._sources.get((claim.log_id, claim.tree))
        if found is None:
            return False
        town, source = found
        asked = (claim.log_id, claim.tree, claim.about)
        if asked not in self._known:
            bundle = self._honest.bundle_about(town, source, *claim.about, audited=self._audited)
            self._known[asked] = self._check(bundle.content())
        truth = self._known[asked]
        return truth is not None and says_no_more(claim, truth) and self._shown(claim, source)

    def _shown(self, claim: BundleClaim, source: LogSource) -> bool:
        """Whether each document is one over which a statement of this tree was signed, with disclosures of its own."""
        signed = {statement.digest for statement in source.statements}
        return all(
            digest in signed and disclosures <= self._disclosures[digest]
            for digest, disclosures in claim.documents.items()
        )


def says_no_more(claim: BundleClaim, truth: BundleClaim) -> bool:
    """Tell whether a valid bundle says what is true, or less of it.

    Log, tree, subject, index, the statement's bytes and the verdict of every step that decides are compared for
    equality, with the reasons told. What may differ, because no signature obliges a bundle's holder to show this much
    and no more:

    * entries, claims and documents that the answer does not need, each proven to be in the tree or over one of its
      statements; so how many there are, which reasons tell. Fewer documents and disclosures: nobody must show them. A
      certification needs its own document (step 3 is required then), so only another statement can lose its own.
    * fewer cosignatures, in any order, and lines of keys that the policy does not name: a note is a set of lines. The
      quorum is counted again, so what rests on it may name fewer witnesses; never one that did not cosign.
    * what no required step needs: whoever leaves it out says less. Such a step may turn to "cannot tell", or be
      missing; never to anything else.
    """
    if claim[:4] != truth[:4] or not set(claim.cosigned) <= set(truth.cosigned):
        return False
    ours, theirs = claim.report, truth.report
    if (ours.about, ours.claim) != (theirs.about, theirs.claim):
        return False
    if ours.required != theirs.required and not (ours.required == theirs.required - {3} and not claim.documents):
        return False
    other_lines = claim.cosigned != truth.cosigned  # fewer, or in another order
    for step in ours.steps:
        told = theirs.step(step.number)
        if told is None:
            return False
        same = (step.verdict, _reason(step), step.size, step.time) == (
            told.verdict,
            _reason(told),
            told.size,
            told.time,
        )
        less = step.verdict is Verdict.CANNOT_TELL and step.number not in ours.required
        counted = other_lines and step.number in _COUNTED and step.verdict is told.verdict
        if not (less or counted or (same and set(step.rests_on) <= set(told.rests_on))):
            return False
    return True


def _reason(step: Step) -> Any:
    """A step's reason without how much the bundle holds."""
    if not isinstance(step.said, Message):
        return step.said
    return step.said.name, tuple(pair for pair in step.said.values if pair[0] not in _COUNTS)


def _bundles(honest: Honest) -> list[Kind]:
    def kind(name: str, share: int, policy: Policy, *, audited: bool) -> Kind:
        raws = {name: bundle.content() for name, bundle in honest.bundles(audited=audited).items()}
        truth = Truth(honest, policy, audited=audited)
        check = _bundle_check(policy, honest.clock)
        return made(name, share, raws, check, valid=_not_revoked, agrees=truth, fields=())

    return [
        kind("bundle", 22, honest.policy(), audited=False),
        kind("bundle, audited", 6, honest.audited_policy(), audited=True),
    ]


def _not_revoked(name: str) -> bool:
    return name != "revoked"


def _bundle_check(policy: Policy, clock: int) -> Callable[[bytes], BundleClaim | None]:
    witnesses = [witness(name) for name in (*PLAIN_WITNESSES, *REPLAYERS)]
    vkey = Vkey(ORIGIN, ED25519, key("note").public_key)

    def check(raw: bytes) -> BundleClaim | None:
        """The content is what is altered: under a checksum, nothing else of a file would ever be read."""
        done = verify(pack(raw), policy, clock)
        assert done.report.as_text("zh")
        assert done.report.as_json()
        if done.report.overall is not Verdict.VALID:
            return None
        bundle, seen = Bundle.read(raw), done.checkpoint
        assert seen is not None, "valid without a checkpoint"
        lines = open_cosigned(bundle.checkpoint, vkey, witnesses)[1]
        return BundleClaim(
            bundle.log_id,
            (seen.size, seen.root),
            (bundle.about, bundle.index),
            None if bundle.index is None else bundle.by_index[bundle.index],
            # A document's digest is that of its canonical form: spacing and the order of members say nothing.
            {document_digest(parse_json(one.raw)): frozenset(one.disclosures) for one in bundle.documents},
            tuple((line.vkey.name, line.time) for line in lines),
            done.report,
        )

    return check


# -- the chain ---------------------------------------------------------------------------------------------------------


def _chain(honest: Honest) -> list[Kind]:
    town = honest.town

    def files(evidence: Callable[..., bytes]) -> dict[str, bytes]:
        return {
            "anchor": evidence(town),
            "requested": evidence(town, (town.sale.leaf,)),
            "two requested": evidence(town, (town.sale.leaf, bytes(32))),
            "elsewhere": evidence(honest.other),
        }

    def kind(name: str, share: int, policy: ChainPolicy, raws: dict[str, bytes]) -> Kind:
        def check(raw: bytes) -> ChainFacts:
            return check_chain_evidence(raw, policy, town.world.log_id)

        return made(name, share, raws, check, valid=lambda name: name != "elsewhere", agrees=_true_facts(honest))

    raws, comet = files(honest.evidence), files(honest.comet_evidence)
    return [
        kind("chain evidence, pinned", 6, honest.pinned, raws),
        kind("chain evidence, sealed", 4, honest.by_validators, raws),
        kind("chain evidence, cometbft", 8, honest.comet.policy(), comet),
    ]


def _true_facts(honest: Honest) -> Callable[[ChainFacts, ChainFacts], bool]:
    """What tells whether the same is proven of the log under the same header.

    The evidence may ask about any leaf, which nobody signs: each answer must be what the contract holds. One leaf was
    requested; that another was not is proven by the same nodes, where the paths end alike. The seals or votes for a
    block are outside of its hash and more than a quorum: fewer of them, in any order, name fewer validators.
    """
    asked = honest.town.sale.leaf
    made_at = {asked: (41, honest.town.early_time, SENDER)}

    def agrees(claim: ChainFacts, told: ChainFacts) -> bool:
        for one in claim.requested:
            if (one.block, one.time, one.sender) != made_at.get(one.leaf_hash, (0, 0, b"")):
                return False
        silent: dict[str, Any] = {"requested": (), "rests_on": ()}
        return replace(claim, **silent) == replace(told, **silent) and all(
            _validators(ours) <= _validators(theirs) for ours, theirs in zip(claim.rests_on, told.rests_on, strict=True)
        )

    return agrees


def _validators(told: str) -> set[str]:
    return {word.strip(",") for word in told.split() if word.startswith("0x")} or {told}


# -- reports, seals ----------------------------------------------------------------------------------------------------


def _audit_reports(honest: Honest) -> Kind:
    town, keys = honest.town, [(-8, key("auditor").public_key)]
    raws = {"early": town.audit(town.early), "late": town.audit(town.late)}
    return made("audit report", 8, raws, lambda raw: open_audit_report(raw, keys), tag=18)


def _seals(honest: Honest) -> list[Kind]:
    town = honest.town
    # Secrets without pattern: where two sets of them add up to the same, their seals are the same too.
    scalars = [int.from_bytes(sha256(b"member %d" % number)) % ORDER for number in range(9)]
    signers = [SUITE.from_secret(scalar.to_bytes(32, "big")) for scalar in scalars]
    roster = Roster(
        tuple(SealMember(f"did:example:{n}", one.public_key, prove_possession(one)) for n, one in enumerate(signers)), 5
    )
    heads = [Checkpoint(ORIGIN, source.size, source.root) for source in (town.early, town.late)]
    shares = [[sign_share(signer, town.world.log_id, checkpoint) for signer in signers] for checkpoint in heads]
    expected = Sealed.of(town.world.log_id, heads[0])
    raws = {
        "five": join(shares[0][2:7], roster).encode(),
        "six": join(shares[0][:6], roster).encode(),
        "late": join(shares[1][:5], roster).encode(),
    }

    def check(raw: bytes) -> tuple[str, ...]:
        return check_seal(Seal.decode(raw), roster, expected)

    def check_share(raw: bytes) -> Share | None:
        share = Share.decode(raw)
        genuine = share.sealed == expected and SUITE.verify(share.key, share.sealed.message, share.signature)
        return share if genuine and share.key in {signer.public_key for signer in signers} else None

    parts = {"first": shares[0][0].encode(), "second": shares[0][1].encode(), "late": shares[1][0].encode()}
    return [
        made("seal", 4, raws, check, valid=lambda name: name != "late"),
        made("seal share", 2, parts, check_share, valid=lambda name: name != "late"),
    ]


# -- a log that lies ---------------------------------------------------------------------------------------------------


def _split_views(honest: Honest) -> list[Kind]:
    """Proofs that convict, and files of the same form that convict nobody: those must go on convicting nobody."""
    town = honest.town
    note, cose = key("note"), key("cose")
    log = LogIdentity.of(
        town.world.log_id,
        Vkey(ORIGIN, ED25519, note.public_key),
        KeyRef(cose.suite.alg or 0, cose.public_key),
        honest.pinned,
    )
    leaves = town.late.leaves
    parted = [*leaves[:20], *(leaf_hash(b"parted %d" % n) for n in range(len(leaves) - 20))]

    def signed(tree: list[bytes]) -> bytes:
        return sign_checkpoint(note, Checkpoint(ORIGIN, len(tree), root_of(tree)))

    def prefix(tree: list[bytes], size: int) -> Any:
        return prefix_of(size, len(tree), nodes_of(tree))

    group = leaves[-3:]
    first = len(leaves) - 3
    ack = Acknowledgement(town.world.log_id, first, 3, GroupTree(group).root, town.early_time, town.world.now + 5)
    raw_ack = sign_acknowledgement(cose, ack)

    def broken(tree: list[bytes]) -> bytes:
        return broken_promise(
            raw_ack, signed(tree), index=first + 1, leaf=group[1], group_proof=GroupTree(group).range_proof(1, 1),
            logged=tree[first + 1], proof=inclusion_proof(first + 1, len(tree), nodes_of(tree)),
        )  # fmt: skip

    def late(by: int) -> bytes:
        promised = sign_acknowledgement(cose, replace(ack, first=len(leaves), publish_by=town.world.now - by))
        proof = inclusion_proof(len(leaves) - 1, len(leaves), nodes_of(leaves))
        return late_promise(promised, signed(leaves), manifest=town.world.entries[-1], proof=proof)

    same = sorted((leaves, parted), key=root_of)
    convicting = {
        "two roots": split_checkpoints(signed(same[0]), signed(same[1])),
        "two sizes": split_checkpoints(signed(leaves[:30]), signed(parted), prefix(parted, 30)),
        "against the chain": split_from_chain(signed(parted), honest.evidence(town), prefix(parted, town.early_size)),
        "broken promise": broken(parted),
        "late promise": late(5),
    }
    innocent = {
        "a log that grew": split_checkpoints(signed(leaves[:30]), signed(leaves), prefix(leaves, 30)),
        "as anchored": split_from_chain(signed(leaves), honest.evidence(town), prefix(leaves, town.early_size)),
        "kept promise": broken(leaves),
        "promise in time": late(-5),
    }

    def check(raw: bytes) -> str:
        return verify_split_view(raw, log).detail

    # A proof that convicts may be put together anew: the lying log signed all of it, and an honest file is at hand as
    # the donor. So the sentence must be one that is true of this log, whichever pair of its words it is about.
    true = frozenset(verify_split_view(raw, log).detail for raw in convicting.values())
    return [
        made("split view", 6, convicting, check, agrees=lambda claim, _: claim in true, fields=(2,)),
        made("split view, innocent", 6, innocent, check, valid=lambda _: False, fields=(2,)),
    ]


def _violations(honest: Honest) -> Kind:
    town = honest.town
    vkeys = [Vkey(ORIGIN, ED25519, key("note").public_key)]

    def logged(source: Any, index: int) -> LoggedEntry:
        return LoggedEntry(index, source.entries[index], tuple(inclusion_proof(index, source.size, source.node)))

    def written(town: Town, source: Any, index: int) -> bytes:
        bare = cosigned(source.note, ["more.example"], town.early_time)
        return Violation("why", town.early_time, bare, logged(source, source.size - 1), logged(source, index)).encode()

    raws = {
        "early": written(town, town.early, 9), "late": written(town, town.late, 21),
        "elsewhere": written(honest.other, honest.other.early, 9),
    }  # fmt: skip

    def check(raw: bytes) -> tuple[Any, ...]:
        # Reason and time are the maker's word (docs/formats.md), outside of what is compared here.
        found = Violation.decode(raw)
        return found.check(vkeys), found.manifest.entry, found.offending

    trees = {(source.size, source.root): source for source in (town.early, town.late, honest.other.early)}

    def agrees(claim: tuple[Any, ...], honest: tuple[Any, ...]) -> bool:
        # Any entry of the tree may be pointed at, or none: that it breaks a rule is for the reader's replay to find.
        source, pointed = trees[claim[0].size, claim[0].root], claim[2]
        return claim[:2] == honest[:2] and (pointed is None or source.entries[pointed.index] == pointed.entry)

    return made("violation", 5, raws, check, agrees=agrees)
