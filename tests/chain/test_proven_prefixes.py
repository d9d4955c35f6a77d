"""On a CometBFT chain the log of a subject is proven: a chain's node that lies is not believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from eth_utils.crypto import keccak

from api.chain_view import ChainView, proven_view
from api.discovery import NotMappedError, UnlistedLogError, discover
from ledger.evidence.chain import CometTrust
from ledger.evidence.policy import LogTrust, Policy
from node.chain.artifact import load_artifact
from node.chain.endpoints import connect
from node.chain.prefixes import NO_LOG, candidates, count_slot, find_prefix, read_log, record_slots
from node.chain.protocol import ChainMismatchError, ChainUnavailableError
from tests.comet_node import CometNode, MadeChain
from tests.comet_world import CHAIN_NAME, FOUR, Comet, set_of
from tests.evidence.chain_builder import CONTRACT, LOG, OTHER_LOG, SENDER, meta, plus, slot, word

ORIGIN = "node.example.org/log"
SUBJECT = "vaa:88.118.8/A1"
PIN = CometTrust(CHAIN_NAME, 1, 0, set_of(FOUR))
ADDRESS = "0x" + CONTRACT.hex()


def registered_as(origin: str) -> Callable[[Any], Any]:
    """What a node tells of the registration of LOG, whatever it is asked."""
    raw = origin.encode()
    data = word(64) + bytes(32) + word(len(raw)) + raw + bytes(-len(raw) % 32)
    return lambda _: [{"topics": ["0x" + "aa" * 32, "0x" + LOG.hex()], "data": "0x" + data.hex()}]


def mapped(prefix: str, *logs: bytes) -> dict[bytes, bytes]:
    """Words of a prefix that was given to these logs, one after the other."""
    words = {count_slot(prefix): word(len(logs))}
    for place, log in enumerate(logs):
        words |= dict(zip(record_slots(prefix, place), (log, meta(31 + place, 1_100)), strict=True))
    return words


@contextmanager
def registry(*changes: dict[bytes, bytes], code_hash: bytes | None = None) -> Iterator[CometNode]:
    """A chain whose contract maps vaa/88.118 to LOG."""
    state = Comet(code_hash=code_hash or load_artifact().code_hash)
    first = slot(3, LOG)
    state.words |= {first: sha256(ORIGIN.encode()).digest(), plus(first, 1): bytes(12) + SENDER}
    for words in (mapped("vaa/88.118", LOG), *changes):
        state.words |= words
    with CometNode(MadeChain(42), state) as node:
        node.rewrites["eth_getLogs"] = registered_as(ORIGIN)
        yield node


def view(node: CometNode, pin: CometTrust = PIN) -> ChainView:
    return proven_view(connect(node.url), [node.url], [node.url], pin, ADDRESS, 0)


def test_the_slots_are_those_of_the_storage_layout() -> None:
    assert count_slot("vaa/88.118") == keccak(b"vaa/88.118" + word(6))
    assert record_slots("vaa/88.118", 2)[1] == plus(keccak(count_slot("vaa/88.118")), 5)


def test_the_mapping_and_the_log_are_proven_under_a_signed_header() -> None:
    with registry(mapped("vaa/88.118.8", OTHER_LOG, NO_LOG)) as node:
        found = view(node)
        assert (found.vouched, found.block, found.trusting.comet) == (True, 41, PIN)
        prefix = find_prefix(candidates(SUBJECT), found.words)
        assert prefix is not None
        assert (prefix.prefix, prefix.log, prefix.longer) == ("vaa/88.118", LOG, ("vaa/88.118.8",))
        log = read_log(LOG, found.words, found.ask, ADDRESS)
        assert (log.origin, log.head.size, log.registered.block) == (ORIGIN, 9, 30)
        assert "proven" in found.basis
        assert CHAIN_NAME in found.basis


def test_what_is_not_mapped_is_proven_too() -> None:
    with registry() as node, pytest.raises(NotMappedError):
        discover(view(node), "oid:1.2.3", {}, 0)
    with registry() as node, pytest.raises(UnlistedLogError):
        discover(view(node), SUBJECT, {}, 0, policy=Policy((LogTrust(OTHER_LOG, None, frozenset()),)))


def _altered(answer: dict[str, Any]) -> dict[str, Any]:
    ops = answer["response"]["proofOps"]["ops"]
    raw = ops[0]["data"]
    ops[0]["data"] = raw[:60] + ("A" if raw[60] != "A" else "B") + raw[61:]
    return answer


def _empty(answer: dict[str, Any]) -> dict[str, Any]:
    answer["response"]["proofOps"] = {"ops": []}
    return answer


@pytest.mark.parametrize("lie", [_altered, _empty, lambda _: {}, lambda _: None])
def test_a_word_that_is_not_proven_is_not_believed(lie: Callable[[Any], Any]) -> None:
    with registry() as node:
        found = view(node)
        node.rewrites["abci_query"] = lie
        with pytest.raises(ChainUnavailableError):
            discover(found, SUBJECT, {}, 0)


def test_a_node_with_another_state_than_was_signed_is_not_believed() -> None:
    with registry() as node:
        found = view(node)
        signed = node.chain.app_hash
        node.state.words |= mapped("vaa/88.118.8", OTHER_LOG)  # as a node would that sends people to its own log
        node.touch()
        node.chain.app_hash = signed
        with pytest.raises(ChainUnavailableError):
            find_prefix(candidates(SUBJECT), found.words)


def test_a_node_that_cannot_show_the_origin_on_record_is_silent() -> None:
    with registry() as node:
        found = view(node)
        node.rewrites["eth_getLogs"] = registered_as("evil.example.org/log")
        with pytest.raises(ChainUnavailableError, match="origin"):
            discover(found, SUBJECT, {}, 0)


def test_other_validators_than_the_pinned_ones_lead_nowhere() -> None:
    pin = CometTrust(CHAIN_NAME, 1, 0, set_of(FOUR[:3]))
    with registry() as node, pytest.raises(ChainUnavailableError):
        view(node, pin)
    with registry() as node, pytest.raises(ChainMismatchError):
        view(node, CometTrust("another-chain", 1, 0, set_of(FOUR)))


def test_a_contract_with_other_code_is_refused() -> None:
    with registry(code_hash=keccak(b"other code")) as node, pytest.raises(ChainMismatchError):
        view(node)
