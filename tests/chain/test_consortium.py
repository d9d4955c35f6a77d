"""Acts of several administrators against the real contract on a real chain, and a node that lies about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import secp256k1
from ledger.errors import CorruptError, MalformedError
from ledger.evidence.chain.comet.validators import Validator
from node.chain import transactions
from node.chain.artifact import CONSORTIUM, load_artifact
from node.chain.consortium import (
    ADDRESS,
    MAX_ADMINISTRATORS,
    MAX_POWER,
    MAX_VALIDATORS,
    MAY_CREATE,
    MAY_SEND,
    Act,
    Consortium,
)
from node.chain.protocol import (
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    TransactionRefusedError,
)
from node.chain.rpc import JsonRpc
from tests.lying_rpc import LyingRpc

NAMES = ("ann", "ben", "cat")
ANYBODY = "0x" + "5a" * 20
FOUR = tuple(Validator(bytes([i]) * 32, 10) for i in range(1, 5))


@dataclass
class Place:
    """One chain, and the keys of people on it."""

    chain: EmbeddedChain

    def signer(self, name: str) -> secp256k1.Secp256k1Signer:
        return self.chain.key(name).signer

    def rpc(self, url: str = "") -> JsonRpc:
        return JsonRpc(url or self.chain.url, timeout=3)

    @property
    def chain_id(self) -> int:
        return self.chain.status().chain_id

    def consortium(self, names: Sequence[str], threshold: int, validators: Sequence[Validator] = FOUR) -> Consortium:
        """Put a contract of its own on the chain, as a genesis would have it."""
        addresses = [self.signer(name).address for name in names]
        data = load_artifact(name=CONSORTIUM).creation(addresses, threshold, [tuple(each) for each in validators])
        _, receipt = transactions.transact(
            self.rpc(), self.signer("deployer"), chain_id=self.chain_id, to=None, data=data, price=None, seconds=20
        )
        made = Consortium(self.rpc(), self.chain_id, address="0x" + transactions.created(receipt).hex(), seconds=20)
        made.check()
        return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    try:
        find_anvil()
        load_artifact(name=CONSORTIUM)
    except (AnvilNotFoundError, CorruptError) as error:
        pytest.skip(str(error))
    chain = EmbeddedChain(tmp_path_factory.mktemp("consortium"))
    chain.start()
    try:
        yield Place(chain)
    finally:
        chain.stop()


@pytest.fixture
def two_of_three(place: Place) -> Consortium:
    return place.consortium(NAMES, 2)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(TransactionRefusedError) as caught:
        act()
    return caught.value.reason


def test_what_was_set_up_can_be_read(place: Place, two_of_three: Consortium) -> None:
    assert two_of_three.administrators() == tuple(place.signer(name).address for name in NAMES)
    assert two_of_three.validators() == FOUR
    assert (two_of_three.threshold(), two_of_three.round()) == (2, 0)
    assert [two_of_three.rights(place.signer(name).address) for name in NAMES] == [MAY_SEND] * 3
    assert two_of_three.rights(ANYBODY) == 0


def test_one_of_one_acts_at_once(place: Place) -> None:
    alone = place.consortium(["ann"], 1)
    done = alone.act(place.signer("ann"), alone.call_set_rights(ANYBODY, MAY_SEND | MAY_CREATE))
    assert (done.executed, done.confirmations, done.missing) == (True, 1, 0)
    assert (alone.rights(ANYBODY), alone.round()) == (3, 1)
    assert len(done.tx) == 32
    assert done.block > 0


def test_two_of_three_need_two(place: Place, two_of_three: Consortium) -> None:
    call = two_of_three.call_set_rights(ANYBODY, MAY_SEND)
    act_id = two_of_three.act_id(call)
    first = two_of_three.act(place.signer("cat"), call)
    assert first == Act(act_id, first.tx, first.block, confirmations=1, missing=1)
    assert not first.executed
    assert (two_of_three.rights(ANYBODY), two_of_three.round()) == (0, 0)
    assert two_of_three.confirmations(act_id) == 1
    assert two_of_three.confirmed(act_id, place.signer("cat").address)
    assert not two_of_three.confirmed(act_id, place.signer("ann").address)
    second = two_of_three.act(place.signer("ann"), call)
    assert (second.id, second.executed, second.confirmations) == (act_id, True, 2)
    assert (two_of_three.rights(ANYBODY), two_of_three.round()) == (MAY_SEND, 1)


def test_the_same_words_are_another_act_in_the_next_round(place: Place, two_of_three: Consortium) -> None:
    call = two_of_three.call_set_rights(ANYBODY, MAY_SEND)
    before = two_of_three.act_id(call)
    for name in ("ann", "ben"):
        two_of_three.act(place.signer(name), call)
    for name in ("ann", "ben"):
        two_of_three.act(place.signer(name), two_of_three.call_set_rights(ANYBODY, 0))
    again = two_of_three.act(place.signer("cat"), call)
    assert not again.executed
    assert again.id not in (before, bytes(32))
    assert two_of_three.rights(ANYBODY) == 0


def test_a_transaction_cannot_be_sent_again(place: Place) -> None:
    alone = place.consortium(["ann"], 1)
    ann = place.signer("ann")
    done = alone.act(ann, alone.call_set_rights(ANYBODY, MAY_SEND))
    raw = place.rpc().call("eth_getRawTransactionByHash", "0x" + done.tx.hex())
    alone.act(ann, alone.call_set_rights(ANYBODY, 0))
    assert refusal(lambda: transactions.send(place.rpc(), bytes.fromhex(raw[2:]))) == "nonce-too-low"
    assert (alone.rights(ANYBODY), alone.round()) == (0, 2)


def test_a_stranger_is_refused_by_name(place: Place, two_of_three: Consortium) -> None:
    call = two_of_three.call_set_rights(ANYBODY, MAY_SEND)
    stranger = place.signer("stranger")
    assert refusal(lambda: two_of_three.act(stranger, call)) == "NotAdministrator"
    assert refusal(lambda: two_of_three.withdraw(stranger, call)) == "NotAdministrator"
    assert two_of_three.confirmations(two_of_three.act_id(call)) == 0


def test_nobody_confirms_twice(place: Place, two_of_three: Consortium) -> None:
    call = two_of_three.call_set_rights(ANYBODY, MAY_SEND)
    two_of_three.act(place.signer("ann"), call)
    assert refusal(lambda: two_of_three.act(place.signer("ann"), call)) == "AlreadyConfirmed"
    assert two_of_three.rights(ANYBODY) == 0


def test_a_withdrawn_confirmation_does_not_count(place: Place, two_of_three: Consortium) -> None:
    call = two_of_three.call_set_rights(ANYBODY, MAY_SEND)
    ann, ben = place.signer("ann"), place.signer("ben")
    two_of_three.act(ann, call)
    two_of_three.withdraw(ann, call)
    assert refusal(lambda: two_of_three.withdraw(ann, call)) == "NotConfirmed"
    assert two_of_three.act(ben, call).missing == 1
    assert two_of_three.rights(ANYBODY) == 0
    assert two_of_three.act(ann, call).executed


def test_validators_are_added_weighed_and_removed(place: Place) -> None:
    alone = place.consortium(["ann"], 1)
    for wanted in (
        (*FOUR, Validator(b"\x77" * 32, 25)),
        (FOUR[2], FOUR[0]._replace(power=MAX_POWER)),
        tuple(Validator(i.to_bytes(32, "big"), MAX_POWER) for i in range(1, MAX_VALIDATORS + 1)),
        FOUR[:1],
    ):
        assert alone.act(place.signer("ann"), alone.call_set_validators(wanted)).executed
        assert alone.validators() == wanted


def test_administrators_replace_themselves(place: Place, two_of_three: Consortium) -> None:
    dan = place.signer("dan")
    call = two_of_three.call_set_administrators([dan.address, place.signer("ann").address], 1)
    two_of_three.act(place.signer("ben"), call)
    two_of_three.act(place.signer("cat"), call)
    assert two_of_three.administrators() == (dan.address, place.signer("ann").address)
    assert two_of_three.threshold() == 1
    assert two_of_three.rights(dan.address) == MAY_SEND
    assert refusal(lambda: two_of_three.act(place.signer("ben"), call)) == "NotAdministrator"
    ben = place.signer("ben").address
    assert two_of_three.act(dan, two_of_three.call_set_rights(ben, 0)).executed
    assert two_of_three.rights(ben) == 0


@pytest.mark.parametrize(
    ("validators", "reason"),
    [
        ((), "ValidatorCount"),
        (tuple(Validator(i.to_bytes(32, "big"), 1) for i in range(1, MAX_VALIDATORS + 2)), "ValidatorCount"),
        ((FOUR[0], FOUR[0]._replace(power=3)), "ValidatorKeyRepeated"),
        ((Validator(bytes(32), 1),), "ValidatorKeyMissing"),
        ((Validator(b"k" * 32, 0),), "ValidatorPower"),
        ((Validator(b"k" * 32, MAX_POWER + 1),), "ValidatorPower"),
    ],
)
def test_a_bad_list_of_validators_is_refused_when_it_is_proposed(
    place: Place, two_of_three: Consortium, validators: tuple[Validator, ...], reason: str
) -> None:
    call = two_of_three.call_set_validators(validators)
    assert refusal(lambda: two_of_three.act(place.signer("ann"), call)) == reason
    assert two_of_three.confirmations(two_of_three.act_id(call)) == 0


@pytest.mark.parametrize(
    ("count", "threshold", "reason"),
    [
        (0, 1, "AdministratorCount"),
        (MAX_ADMINISTRATORS + 1, 1, "AdministratorCount"),
        (2, 0, "ThresholdOutOfRange"),
        (2, 3, "ThresholdOutOfRange"),
    ],
)
def test_a_bad_list_of_administrators_is_refused_when_it_is_proposed(
    place: Place, two_of_three: Consortium, count: int, threshold: int, reason: str
) -> None:
    people = ["0x" + bytes([i + 1] * 20).hex() for i in range(count)]
    call = two_of_three.call_set_administrators(people, threshold)
    assert refusal(lambda: two_of_three.act(place.signer("ann"), call)) == reason


def test_other_bad_calls_are_refused_by_name(place: Place, two_of_three: Consortium) -> None:
    ann = place.signer("ann")
    zero = "0x" + "00" * 20
    for call, reason in (
        (two_of_three.call_set_administrators([ann.address, ann.address], 1), "AdministratorRepeated"),
        (two_of_three.call_set_administrators([ann.address, zero], 1), "AdministratorMissing"),
        (two_of_three.call_set_rights(zero, 1), "AccountMissing"),
        (two_of_three.call_set_rights(ANYBODY, 4), "RightsUnknown"),
        (two_of_three.call_set_rights(place.signer("ben").address, MAY_CREATE), "AdministratorMustSend"),
        (two_of_three.artifact.encode("act", b""), "CallRefused"),
        (b"", "CallRefused"),
    ):
        assert refusal(lambda call=call: two_of_three.act(ann, call)) == reason  # type: ignore[misc]


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c.call_set_rights("0x12", 1),
        lambda c: c.call_set_rights("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5D359".swapcase(), 1),
        lambda c: c.call_set_rights("0xfb6916095CA1df60bB79Ce92cE3Ea74c37c5d359", 1),
        lambda c: c.call_set_rights(ANYBODY, -1),
        lambda c: c.call_set_rights(ANYBODY, rights=True),
        lambda c: c.call_set_validators([Validator(b"short", 1)]),
        lambda c: c.call_set_validators([Validator(bytes(32), 1 << 64)]),
        lambda c: c.call_set_administrators(["nobody"], 1),
        lambda c: c.call_set_administrators([ANYBODY], 1 << 256),
        lambda c: c.confirmations(b"short"),
        lambda c: Consortium(c.rpc, 1, address="0x"),
    ],
)
def test_what_cannot_be_encoded_is_malformed(make: Callable[[Consortium], object]) -> None:
    with pytest.raises(MalformedError):
        make(Consortium(JsonRpc("http://127.0.0.1:1"), 1))


def test_another_chain_or_contract_is_noticed(place: Place, two_of_three: Consortium) -> None:
    with pytest.raises(ContractMissingError):
        Consortium(place.rpc(), place.chain_id, address=ADDRESS).check()
    with pytest.raises(ChainMismatchError):
        Consortium(place.rpc(), place.chain_id + 1, address=two_of_three.address).check()
    anchor = load_artifact()
    with pytest.raises(ChainMismatchError):
        Consortium(place.rpc(), place.chain_id, address=two_of_three.address, artifact=anchor).check()
    with pytest.raises(ChainUnavailableError):
        Consortium(place.rpc(), place.chain_id, address=ADDRESS).validators()


PAIR = "(bytes32,uint64)[]"
ROW = (b"k" * 32, 1)
TALL = encode(["uint256", "uint256"], [32, (1 << 256) - 1])


@pytest.mark.parametrize(
    ("read", "answers"),
    [
        (
            lambda c: c.validators(),
            [
                encode([PAIR], [[]]),
                encode([PAIR], [[ROW, ROW]]),
                encode([PAIR], [[(b"k" * 32, 0)]]),
                encode([PAIR], [[(b"k" * 32, MAX_POWER + 1)]]),
                encode([PAIR], [[(i.to_bytes(32, "big"), 1) for i in range(MAX_VALIDATORS + 1)]]),
                encode([PAIR], [[ROW]]) + bytes(32),
                encode([PAIR], [[ROW]])[:-1],
                encode(["uint256", "uint256", "bytes32", "uint256"], [32, 1, b"k" * 32, 1 << 64]),
                encode(["uint256", "bytes32", "uint256"], [(1 << 256) - 32, b"k" * 32, 1]),
                TALL,
                b"",
            ],
        ),
        (
            lambda c: c.administrators(),
            [
                encode(["address[]"], [[]]),
                encode(["address[]"], [[ANYBODY, ANYBODY]]),
                encode(["uint256[]"], [[1 << 160]]),
                encode(["address[]"], [[ANYBODY]]) * 2,
                TALL,
            ],
        ),
        (lambda c: c.threshold(), [bytes(32), (33).to_bytes(32, "big"), b"\xff" * 32, b"\x01", bytes(64)]),
        (lambda c: c.rights(ANYBODY), [(4).to_bytes(32, "big"), b"\xff" * 32, bytes(31)]),
        (lambda c: c.round(), [b"", bytes(33)]),
        (lambda c: c.confirmations(bytes(32)), [(33).to_bytes(32, "big")]),
        (lambda c: c.confirmed(bytes(32), ANYBODY), [(2).to_bytes(32, "big")]),
    ],
)
def test_malformed_answers_are_no_answers(
    place: Place, read: Callable[[Consortium], object], answers: list[bytes]
) -> None:
    with LyingRpc(place.chain.url) as proxy:
        asking = Consortium(place.rpc(proxy.url), place.chain_id)
        for answer in answers:
            proxy.result("0x" + answer.hex(), "eth_call")
            with pytest.raises(ChainUnavailableError):
                read(asking)
        for strange in (None, 7, "0xzz", [], {}):
            proxy.result(strange, "eth_call")
            with pytest.raises(ChainUnavailableError):
                read(asking)
        proxy.error("no", "eth_call")
        with pytest.raises(ChainUnavailableError):
            read(asking)


ENCODED = encode([PAIR], [[(validator.key, validator.power) for validator in FOUR]])
CHANGED = st.builds(
    lambda at, byte, end: (ENCODED[:at] + bytes([byte]) + ENCODED[at + 1 :])[:end],
    st.integers(0, len(ENCODED) - 1),
    st.integers(0, 255),
    st.sampled_from([len(ENCODED)] * 9 + [len(ENCODED) - 32]),
)


@given(st.one_of(CHANGED, st.binary(max_size=300)))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_one_list_of_validators_or_no_answer(answer: bytes) -> None:
    with LyingRpc("http://127.0.0.1:1") as proxy:
        proxy.result("0x" + answer.hex(), "eth_call")
        asking = Consortium(JsonRpc(proxy.url), 1)
        with suppress(ChainUnavailableError):
            rows = [(validator.key, validator.power) for validator in asking.validators()]
            assert encode([PAIR], [rows]) == answer
        with suppress(ChainUnavailableError):
            assert encode(["address[]"], [asking.administrators()]) == answer
        with suppress(ChainUnavailableError):
            assert asking.threshold() == int.from_bytes(answer, "big")


def _logs(
    change: Callable[[list[dict[str, Any]]], object],
) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Lie about the logs of a receipt."""

    def rewrite(_asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if isinstance(answer.get("result"), dict):
            answer["result"]["logs"] = change(answer["result"]["logs"])
        return answer

    return rewrite


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda _: 7,
        lambda _: [],
        lambda _: [None, {}, {"topics": 7}],
        lambda logs: logs[1:],
        lambda logs: [log | {"address": ANYBODY} for log in logs],
        lambda logs: [log | {"address": None} for log in logs],
        lambda logs: [log | {"topics": log["topics"][:2]} for log in logs],
        lambda logs: [log | {"topics": [log["topics"][0], 7, None]} for log in logs],
        lambda logs: [log | {"topics": [*log["topics"][:2], "0x" + "11" * 32]} for log in logs],
        lambda logs: [log | {"topics": [log["topics"][0], "0x" + "11" * 32, *log["topics"][2:]]} for log in logs],
        lambda logs: [log | {"data": "0x"} for log in logs],
        lambda logs: [log | {"data": log["data"][:-64] + "11" * 32} for log in logs],
    ],
)
def test_a_receipt_that_does_not_tell_the_act_is_no_answer(place: Place, change: Callable[[Any], object]) -> None:
    alone = place.consortium(["ann"], 1)
    with LyingRpc(place.chain.url) as proxy:
        proxy.rewrite("eth_getTransactionReceipt", _logs(change))
        asking = Consortium(place.rpc(proxy.url), place.chain_id, address=alone.address, seconds=20)
        with pytest.raises(ChainUnavailableError):
            asking.act(place.signer("ann"), alone.call_set_rights(ANYBODY, MAY_SEND))
    assert alone.rights(ANYBODY) == MAY_SEND


def test_an_artifact_of_the_other_contract_is_refused() -> None:
    artifacts = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"
    with pytest.raises(CorruptError):
        load_artifact(artifacts / "LedgerAnchor.json", name=CONSORTIUM)
    assert (
        load_artifact(artifacts / "Consortium.json", name=CONSORTIUM).code_hash
        == load_artifact(name=CONSORTIUM).code_hash
    )
