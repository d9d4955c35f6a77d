"""Hostile submitters against a running sequencer: each is refused by name, and the log holds only what is right.

The codec and the rules have tests of their own for every case; here the whole way is tried, beside honest statements in
the same submission, which must not suffer for their neighbours.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ledger.crypto.digests import kid
from ledger.errors import MalformedError
from ledger.state.records import LogRecord
from ledger.state.rules1.log import log_did
from ledger.statements import MAX_STATEMENT_SIZE, Draft, cose, decode_statement, sign
from ledger.statements.acknowledgement import open_refusal
from ledger.statements.cbor import decode, encode
from node.config import Config
from node.node import Node
from node.sequencer import MAX_WAITING, OverloadedError
from node.submission import Admitted, Refused
from tests.faults.acknowledged import Acknowledged
from tests.faults.load import told
from tests.nodes import NodeWorld, Party, admitted, configuration, make_log, registrations, settle
from tests.world import key

PARTY = Party("enterprise")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Story = Callable[[Node, NodeWorld], Awaitable[None]]


def told_by(tmp_path: Path, story: Story) -> Config:
    """Run a story at a node of a new log in which an enterprise may register; afterwards the log must be whole."""
    config = make_log(tmp_path / "log")

    async def run() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, PARTY)
            await story(node, world)

    asyncio.run(run())
    asyncio.run(Acknowledged().check(config, rebuild=tmp_path / "rebuilt"))
    return config


async def outcome(node: Node, raw: bytes) -> Admitted | Refused:
    (one,) = (await node.sequencer.submit([raw])).outcomes
    return one


async def refused_as(node: Node, raw: bytes, reason: str) -> Refused:
    one = await outcome(node, raw)
    assert isinstance(one, Refused), f"admitted, though it should be {reason}"
    assert one.reason == reason, one.error.explain()
    return one


def parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    split = cose.split(raw)
    return split.protected, split.payload, split.signature


def with_header(raw: bytes, **changes: Any) -> bytes:
    """The same statement with members of its protected header replaced (`k4=…`), properly signed again."""
    protected, payload, _ = parts(raw)
    header = decode(protected)
    for name, value in changes.items():
        header[int(name[1:])] = value
    again = encode(header)
    return cose.join(again, payload, PARTY.signer.sign(cose.sig_structure(again, payload)))


def with_claims(raw: bytes, claims: dict[Any, Any]) -> bytes:
    header = decode(parts(raw)[0])
    return with_header(raw, k15={**header[15], **claims})


def malformed_ones(raw: bytes) -> dict[str, bytes]:
    protected, payload, signature = parts(raw)
    head = {0x58: b"\x59\x00", 0x59: b"\x5a\x00\x00"}[raw[2]]
    long_form = raw[:2] + head + raw[3:]
    return {
        "nothing": b"",
        "one byte": raw[:1],
        "truncated": raw[:-1],
        "half": raw[: len(raw) // 2],
        "trailing": raw + b"\x00",
        "twice in one": raw + raw,
        "no tag": raw[1:],
        "another tag": b"\xd1" + raw[1:],
        "not canonical length": long_form,
        "unprotected header": raw.replace(b"\xa0\x58\x20" + payload, b"\xa1\x01\x02\x58\x20" + payload),
        "short signature": cose.join(protected, payload, signature[:-1]),
        "no header": cose.join(b"\xa0", payload, signature),
        "random": os.urandom(300),
        "deep": b"\x81" * 5000 + b"\x00",
        "a map bomb": b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        "text": b'{"type":"registration"}',
        "over the bound": raw + bytes(MAX_STATEMENT_SIZE + 1 - len(raw)),
        "a million bytes": bytes(1 << 20),
        "unknown type": with_header(raw, k16="application/vnd.tial.gift+cose"),
        "unknown header": with_header(raw, k99=1),
        "unknown claim": with_claims(raw, {"gift": 1}),
        "no log named": with_header(raw, k15={k: v for k, v in decode(protected)[15].items() if k != 3}),
    }


def test_malformed_statements_are_refused_and_their_neighbours_are_not(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        good = registrations(world, PARTY, range(40))
        bad = malformed_ones(world.registration(PARTY, "vaa:88.118.8/BAD", "vaa/88.118.8"))
        mixed = [raw for pair in zip(good, bad.values(), strict=False) for raw in pair]
        outcomes = (await node.sequencer.submit(mixed)).outcomes
        for (name, _), honest, hostile in zip(bad.items(), outcomes[::2], outcomes[1::2], strict=True):
            assert isinstance(honest, Admitted), honest
            assert isinstance(hostile, Refused), name
            assert hostile.reason == "malformed", (name, hostile.error)
        indexes = [o.index for o in outcomes if isinstance(o, Admitted)]
        assert indexes == list(range(indexes[0], indexes[0] + len(bad)))

    told_by(tmp_path, story)


def test_every_truncation_and_many_changed_bytes_are_refused(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        raw = world.registration(PARTY, "vaa:88.118.8/A", "vaa/88.118.8")
        tried = [raw[:n] for n in range(len(raw))]
        tried += [raw[:n] + bytes([raw[n] ^ 1 << n % 8]) + raw[n + 1 :] for n in range(len(raw))]
        answer = await node.sequencer.submit(tried)
        assert all(isinstance(o, Refused) for o in answer.outcomes)
        assert isinstance(await outcome(node, raw), Admitted)

    told_by(tmp_path, story)


def test_a_statement_of_exactly_the_largest_size_is_taken_and_one_byte_more_is_not(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        authority = Party("authority")
        world.enrol(authority, "template-authority")
        admitted(await node.sequencer.submit(world.take()))

        def template(fill: int) -> bytes:
            wide = [f"{n:03}{'标' * 125}" for n in range(150)]  # 378 bytes each
            narrow = [f"{n:03}{'x' * 95}" for n in range(fill // 100)]  # 100 bytes with their heads
            return world.template(authority, body={"standards": [*wide, *narrow, "y" * (24 + fill % 100)]})

        length = MAX_STATEMENT_SIZE - len(template(0))
        with pytest.raises(MalformedError, match="at most 65535"):
            template(length + 1)
        largest = template(length)
        assert len(largest) == MAX_STATEMENT_SIZE
        over = largest[:-66] + b"\x58\x41" + largest[-64:] + b"\x00"  # a signature of 65 bytes
        await refused_as(node, over, "malformed")
        assert isinstance(await outcome(node, largest), Admitted)

    told_by(tmp_path, story)


def test_wrong_signatures_logs_suites_and_signers_are_refused_by_name(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        def fresh(name: str) -> bytes:
            return world.registration(PARTY, f"vaa:88.118.8/{name}", "vaa/88.118.8")

        protected, payload, signature = parts(fresh("A"))
        altered = bytes([signature[0] ^ 1]) + signature[1:]
        await refused_as(node, cose.join(protected, payload, altered), "bad_signature")
        await refused_as(node, cose.join(protected, hashlib.sha256(b"other").digest(), signature), "bad_signature")
        await refused_as(node, with_claims(fresh("A"), {3: "00" * 32}), "wrong_log")
        await refused_as(node, with_header(fresh("A"), k1=-999), "malformed")
        await refused_as(node, with_header(fresh("A"), k4=kid(key("somebody").public_key)), "unknown_key")
        stranger = Party("stranger")
        await refused_as(node, world.registration(stranger, "vaa:88.118.8/A", "vaa/88.118.8"), "unknown_actor")
        await refused_as(node, world.registration(PARTY, "vaa:88.118.80/A", "vaa/88.118.8"), "not_covered")
        for shift, reason in ((3600, "iat_ahead"), (-90_000, "iat_too_old")):
            await refused_as(node, with_claims(fresh("A"), {6: world.now + shift}), reason)
        assert isinstance(await outcome(node, fresh("A")), Admitted)

    told_by(tmp_path, story)


def test_a_manifest_from_outside_is_refused_even_with_the_log_key(tmp_path: Path):
    async def story(node: Node, _world: NodeWorld) -> None:
        record = node.admission.view.read(LogRecord)
        assert record is not None
        size = node.admission.size
        for signer, issuer in ((PARTY.signer, PARTY.did), (key("cose"), log_did(record))):
            draft = Draft(
                "manifest", issuer, "batch:9", node.log_id.hex(), node.admission.log_time,
                body={"first": size, "count": 0, "counts": {}, "rules": 1, "state": bytes(32), "began": 0},
            )  # fmt: skip
            await refused_as(node, sign(draft, signer), "wrong_signer")

    told_by(tmp_path, story)


def test_a_change_after_which_the_node_could_not_go_on_is_refused_and_others_are_not(tmp_path: Path):
    """Rules that it does not know, keys of the log that it does not hold: lawful acts, for another node."""

    async def story(node: Node, world: NodeWorld) -> None:
        cose_key, new = key("cose"), key("new cose")

        def change(seq: int, *consenting: Party, **body: Any) -> bytes:
            record = node.admission.view.read(LogRecord)
            assert record is not None
            draft = world.draft("log", log_did(record), f"log:{node.log_id.hex()}", {"seq": seq}, body)
            digest = draft.consent_digest(cose_key)
            return sign(draft, cose_key, [p.consent(digest) for p in (*world.roots[:2], *consenting)])

        keys = {"cose": {"alg": -8, "key": new.public_key}, "note": {"alg": -8, "key": key("note").public_key}}
        await refused_as(node, change(1, rules=2), "bad_parameters")
        await refused_as(node, change(1, Party("new cose"), keys=keys), "bad_parameters")
        policy = {"skew": 60, "max_age": 86_400, "rotation_delay": 60}
        admitted(await node.sequencer.submit([change(1, policy=policy)]))
        await node.publisher.publish_now(node.sequencer)
        assert node.not_ready() is None

    told_by(tmp_path, story)


def test_the_same_bytes_always_get_the_same_place(tmp_path: Path):
    """In one submission, in one group, over groups, over batches, over restarts."""
    config = make_log(tmp_path / "log")
    held = Acknowledged()

    async def first() -> list[bytes]:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, PARTY)
            raws = registrations(world, PARTY, range(20))
            held.hear(told(await node.sequencer.submit([raws[0], raws[0]])))
            answers = await asyncio.gather(*(node.sequencer.submit(raws) for _ in range(10)))
            for answer in answers:
                held.hear(told(answer))
            fresh = [o for answer in answers for o in admitted(answer) if not o.duplicate]
            assert len(fresh) == 19, "each but the first was new once"
            await node.publisher.publish_now(node.sequencer)
            held.hear(told(await node.sequencer.submit(raws)))
            return raws

    async def again(raws: list[bytes]) -> None:
        async with Node(configuration(config.base)) as node:
            answer = await node.sequencer.submit(raws)
            assert all(o.duplicate for o in admitted(answer))
            held.hear(told(answer))

    raws = asyncio.run(first())
    asyncio.run(again(raws))
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))
    assert len(held.places) == 20


def randomised_signature(party: Party, message: bytes) -> bytes:
    """Another valid P-256 signature: our own are deterministic, those of other people's tools are not."""
    private = ec.derive_private_key(int.from_bytes(party.signer.secret, "big"), ec.SECP256R1())
    r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def test_the_same_act_signed_again_gets_the_first_place(tmp_path: Path):
    """P-256 signatures differ each time, the act does not."""

    async def story(node: Node, world: NodeWorld) -> None:
        party = Party("p256 enterprise", "es256")
        world.enrol(party, "owner")
        admitted(await node.sequencer.submit(world.take()))
        world.delegate(party, "vaa/88.200.1")
        admitted(await node.sequencer.submit(world.take()))
        one = decode_statement(world.registration(party, "vaa:88.200.1/A", "vaa/88.200.1"))
        other = decode_statement(cose.join(one.protected, one.payload, randomised_signature(party, one.signed)))
        assert one.raw != other.raw
        assert one.act == other.act
        first = await outcome(node, one.raw)
        second = await outcome(node, other.raw)
        assert isinstance(first, Admitted)
        assert isinstance(second, Admitted)
        assert (second.index, second.leaf, second.duplicate) == (first.index, first.leaf, True)

    told_by(tmp_path, story)


def test_one_identifier_twice_is_a_named_conflict_also_when_both_come_at_once(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        rivals = [
            world.registration(PARTY, "vaa:88.118.8/A", "vaa/88.118.8", digest=hashlib.sha256(bytes([n])).digest())
            for n in range(8)
        ]
        answers = await asyncio.gather(*(node.sequencer.submit([raw], sign_refusals=True) for raw in rivals))
        outcomes = [answer.outcomes[0] for answer in answers]
        won = [o for o in outcomes if isinstance(o, Admitted)]
        lost = [o for o in outcomes if isinstance(o, Refused)]
        assert (len(won), len(lost)) == (1, 7)
        assert {o.reason for o in lost} == {"already_registered"}
        for raw, one in zip(rivals, outcomes, strict=True):
            if isinstance(one, Refused):
                assert one.receipt is not None
                receipt = open_refusal(one.receipt, -8, key("cose").public_key)
                assert (receipt.log_id, receipt.reason) == (node.log_id, "already_registered")
                assert receipt.act == decode_statement(raw).act
        await refused_as(node, rivals[outcomes.index(lost[0])], "already_registered")

    told_by(tmp_path, story)


def test_an_old_statement_replayed_gets_its_place_and_a_late_one_is_stale(tmp_path: Path):
    async def story(node: Node, world: NodeWorld) -> None:
        other = Party("other")
        world.enrol(other, "owner")
        raw = world.registration(PARTY, "vaa:88.118.8/A", "vaa/88.118.8")
        admitted(await node.sequencer.submit([*world.take(), raw]))
        away = world.transfer(PARTY, "vaa:88.118.8/A", other, seq=1)
        late = world.transfer(PARTY, "vaa:88.118.8/A", PARTY, seq=1)
        back = world.transfer(other, "vaa:88.118.8/A", PARTY, seq=2)
        first = await outcome(node, away)
        assert isinstance(first, Admitted)
        assert isinstance(await outcome(node, back), Admitted)
        size = node.admission.size
        replayed = await outcome(node, away)
        assert isinstance(replayed, Admitted)
        assert (replayed.index, replayed.duplicate) == (first.index, True), "it moves nothing a second time"
        await refused_as(node, late, "stale_sequence")
        assert node.admission.size == size

    told_by(tmp_path, story)


def test_a_flood_is_turned_away_whole_and_what_was_taken_is_kept(tmp_path: Path):
    config = make_log(tmp_path / "log")
    held = Acknowledged()

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, PARTY)
            raws = registrations(world, PARTY, range(6000))
            parts = [raws[start : start + 500] for start in range(0, len(raws), 500)]
            junk = [b"\x00"] * 4000
            flood = [asyncio.create_task(node.sequencer.submit(part)) for part in parts]
            noise = [asyncio.create_task(node.sequencer.submit(junk)) for _ in range(9)]
            await asyncio.sleep(0)
            assert node.sequencer.waiting <= MAX_WAITING
            with pytest.raises(OverloadedError):
                await node.sequencer.submit(junk)
            for answer in await asyncio.gather(*flood):
                held.hear(told(answer))
            ends = await asyncio.gather(*noise, return_exceptions=True)
            assert any(isinstance(end, OverloadedError) for end in ends)
            assert node.sequencer.waiting == 0
            await refused_as(node, b"\x00", "malformed")

    asyncio.run(story())
    assert len(held.places) == 6000
    asyncio.run(held.check(config))
