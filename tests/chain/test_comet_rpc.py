"""A CometBFT node's answers become checked values, or a named error."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain.comet.commit import verify_commit
from ledger.evidence.chain.comet.ics23 import Absence, Existence, iavl_root, store_root
from node.chain.comet_proofs import MAX_PROOF, decode_proof
from node.chain.comet_rpc import CometRpc
from node.chain.protocol import ChainUnavailableError
from tests.comet_node import CometNode, MadeChain, commitment, existence, many
from tests.comet_world import FOUR, Comet, digest, proto, set_of
from tests.evidence.chain_builder import CONTRACT, LOG, slot

HEAD = b"\2" + CONTRACT + slot(2, LOG)
NOTHING = b"\2" + CONTRACT + digest(b"nothing")


@pytest.fixture
def node() -> Iterator[CometNode]:
    with CometNode(MadeChain(42)) as made:
        yield made


@pytest.fixture
def rpc(node: CometNode) -> Iterator[CometRpc]:
    made = CometRpc(node.url, timeout=2)
    yield made
    made.close()


def test_a_real_commit_is_read_and_its_signatures_hold(
    vectors: Callable[[str], Path], node: CometNode, rpc: CometRpc
) -> None:
    folder = vectors("cometbft-evidence")
    for method, name in (("commit", "raw_commit"), ("validators", "raw_validators")):
        real = json.loads((folder / f"{name}.json").read_text())["result"]
        node.rewrites[method] = lambda _, real=real: real
    node.chain.height = 522
    header, commit = rpc.commit()
    assert verify_commit(header, commit, rpc.validators(522)) == (0, 1, 2, 3)
    assert header.hash().hex().startswith("1a67beaf")
    assert (header.height, header.seconds, header.nanos) == (522, 1_795_433_772, 687_066_665)


def test_real_proofs_are_read_and_lead_to_the_header(vectors: Callable[[str], Path]) -> None:
    state = json.loads((vectors("cometbft-evidence") / "state.json").read_text())
    for entry in state["entries"].values():
        proof, store = (decode_proof(base64.b64decode(entry[name])) for name in ("iavl", "store"))
        assert isinstance(proof, Existence)
        assert isinstance(store, Existence)
        assert (proof.key.hex(), proof.value.hex()) == (entry["key"], entry["value"])
        assert (store.key, store.value) == (b"evm", iavl_root(proof))
        assert store_root(store).hex().upper() == state["header"]["app_hash"]


def test_a_header_with_its_commit_and_validators_is_read(node: CometNode, rpc: CometRpc) -> None:
    signed = rpc.commit()
    assert signed == node.chain.signed(42)
    assert rpc.commit(7) == node.chain.signed(7)
    assert rpc.validators(7) == set_of(FOUR)


def test_validators_come_in_pages(node: CometNode, rpc: CometRpc) -> None:
    node.chain.sets = {1: many(150)}
    assert rpc.validators(9) == set_of(many(150))
    assert node.asked.count("validators") == 2


def test_a_page_that_never_ends_is_refused(node: CometNode, rpc: CometRpc) -> None:
    node.rewrites["validators"] = lambda honest: honest | {"total": "200"}
    with pytest.raises(ChainUnavailableError):
        rpc.validators(9)
    assert len(node.asked) < 5


def test_values_and_absences_are_read(node: CometNode, rpc: CometRpc) -> None:
    there, store = rpc.prove(HEAD, 41)
    gone, _ = rpc.prove(NOTHING, 41)
    assert there == node.state.evm().prove(HEAD)
    assert gone == node.state.evm().prove(NOTHING)
    assert isinstance(gone, Absence)
    assert iavl_root(there) == iavl_root(gone) == store.value
    assert store_root(store) == node.chain.signed(42).header.app_hash


def test_what_the_node_cannot_answer_is_no_answer(rpc: CometRpc) -> None:
    with pytest.raises(ChainUnavailableError, match="commit"):
        rpc.commit(43)


def mutations(value: Any) -> Iterator[Any]:
    """The value with one part of it changed, all of them."""
    strange: list[Any] = [None, [], {}, "", "x", -1, 1 << 70, True, "9" * 30, "\u00e9", [None], {"a": 1}]
    yield from strange
    if isinstance(value, dict):
        yield from ({name: part for name, part in value.items() if name != left} for left in value)
        yield from (value | {name: changed} for name, part in value.items() for changed in mutations(part))
    elif isinstance(value, list) and value:
        yield [*value, *value * 300]
        yield from ([changed, *value[1:]] for changed in mutations(value[0]))
    elif isinstance(value, str):
        yield from (value + "0", value[:-1], value.lower(), value + "\n")


ASK: dict[str, Callable[[CometRpc], object]] = {
    "commit": lambda rpc: rpc.commit(),
    "validators": lambda rpc: rpc.validators(9),
    "abci_query": lambda rpc: rpc.prove(HEAD, 41),
}


@pytest.mark.parametrize("method", ASK)
def test_any_other_answer_is_a_value_or_no_answer(method: str, node: CometNode, rpc: CometRpc) -> None:
    honest = {
        "commit": lambda: node._commit(None),
        "validators": lambda: node._validators("9", "1", "100"),
        "abci_query": lambda: node._abci_query("/store/evm/key", HEAD.hex(), "41", True),  # noqa: FBT003
    }[method]()
    refused = 0
    for changed in mutations(honest):
        rpc._rpc.call = lambda *_, changed=changed: changed  # type: ignore[method-assign]
        try:
            ASK[method](rpc)
        except ChainUnavailableError:
            refused += 1
    assert refused > 20


def test_a_vote_at_a_time_before_1970_counts_as_absent(node: CometNode, rpc: CometRpc) -> None:
    """CometBFT takes votes of any time: one validator that lies must not make the others' unreadable."""
    honest = rpc.commit().commit.signatures
    for moment in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z"):
        changed = node._commit(None)
        changed["signed_header"]["commit"]["signatures"][1]["timestamp"] = moment
        node.rewrites["commit"] = lambda _, changed=changed: changed
        assert rpc.commit().commit.signatures == (honest[0], None, *honest[2:])


def test_a_header_of_another_height_is_refused(node: CometNode, rpc: CometRpc) -> None:
    node.rewrites["commit"] = lambda _: node._commit("8")
    with pytest.raises(ChainUnavailableError, match="another height"):
        rpc.commit(7)


def test_state_of_another_height_is_refused(node: CometNode, rpc: CometRpc) -> None:
    node.rewrites["abci_query"] = lambda honest: {"response": honest["response"] | {"height": "40"}}
    with pytest.raises(ChainUnavailableError, match="another height"):
        rpc.prove(HEAD, 41)


# --- proofs -----------------------------------------------------------------------------------------------------------

TREE = Comet().evm()


@given(st.one_of(st.sampled_from(TREE.keys()), st.binary(min_size=1, max_size=60)))
def test_every_proof_of_a_tree_is_read_back(key: bytes) -> None:
    proof = TREE.prove(key)
    assert decode_proof(commitment(proof)) == proof


@given(st.data())
def test_a_proof_that_is_changed_is_refused_or_another_one(data: st.DataObject) -> None:
    raw = bytearray(commitment(TREE.prove(data.draw(st.sampled_from([HEAD, NOTHING])))))
    at = data.draw(st.integers(0, len(raw) - 1))
    before = decode_proof(bytes(raw))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        assert decode_proof(bytes(raw)) != before  # one spelling for each proof
    except MalformedError:
        return


@given(st.binary(max_size=400))
def test_any_bytes_are_a_proof_or_refused(raw: bytes) -> None:
    try:
        decode_proof(raw)
    except MalformedError:
        return


LEAF = proto((1, 1), (3, 1), (4, 1), (5, b"\0\2\2"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        proto((3, b"batch")),
        proto((4, b"compressed")),
        commitment(TREE.prove(HEAD)) * 2,
        proto((1, existence(TREE.existence(HEAD)) + proto((5, b"more")))),
        proto((1, proto((2, b"value"), (1, b"key"), (3, LEAF)))),
        proto((1, proto((1, b"key"), (1, b"key"), (3, LEAF)))),
        proto((1, proto((1, b"key"), (2, b"value")))),
        proto((1, proto((1, b"key"), (2, b"value"), (3, proto((1, 2), (3, 1), (4, 1), (5, b"\0")))))),
        proto((1, proto((1, b"key"), (2, b"value"), (3, proto((1, 1), (2, 1), (3, 1), (4, 1), (5, b"\0")))))),
        proto((1, proto((1, b"key"), (2, b"value"), (3, proto((1, 1), (4, 1), (5, b"\0")))))),
        proto((1, proto((1, b"key"), (2, b"value"), (3, LEAF), (4, proto((2, b"no hash")))))),
        proto((1, proto((1, b"key"), (2, b"value"), (3, LEAF), *[(4, proto((1, 1), (2, b"x")))] * 97))),
        proto((1, proto((1, b"k" * 257), (3, LEAF)))),
        b"\x0a\x80\x00",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0d" + bytes(4),
        bytes(MAX_PROOF + 1),
    ],
)
def test_other_forms_of_proofs_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_proof(raw)
