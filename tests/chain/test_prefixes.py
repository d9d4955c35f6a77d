"""Which log a subject belongs to is read from the contract's storage: longest mapped prefix, history, the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from ledger.errors import MalformedError
from ledger.log.tree import leaf_hash
from node.chain.deploy import Deployer
from node.chain.prefixes import (
    MAX_HISTORY,
    NO_LOG,
    Words,
    asking,
    candidates,
    check_prefix,
    count_slot,
    find_prefix,
    plain_words,
    read_log,
    record_slots,
    subject_of,
)
from node.chain.protocol import ChainUnavailableError, TransactionRefusedError
from node.chain.rpc import JsonRpc
from tests.chain_world import World

SUBJECT = "vaa:88.118.8/A1"
LOGS = {name: leaf_hash(name.encode()) for name in ("a", "b", "c")}


@dataclass
class Registry:
    """One contract with three logs; `words` and `log` read its newest block."""

    world: World
    deployer: Deployer
    rpc: JsonRpc

    @property
    def contract(self) -> str:
        return self.world.deployment.contract

    def map(self, prefix: str, log: bytes) -> None:
        self.deployer.map_prefix(self.contract, prefix, log)

    @property
    def block(self) -> int:
        return int(self.rpc.call("eth_blockNumber"), 16)

    @property
    def words(self) -> Words:
        return plain_words(asking(self.rpc), self.contract, self.block)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    made = World(tmp_path_factory.mktemp("registry"))
    try:
        rpc = made.rpc()
        deployer = Deployer(rpc, made.admin)
        for name, log in LOGS.items():
            deployer.register_log(made.deployment.contract, log, f"{name}.example.org/log", made.authoriser.address)
        yield Registry(made, deployer, rpc)
    finally:
        made.close()


# -- subjects and prefixes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        (SUBJECT, ("vaa/88.118.8", "vaa/88.118", "vaa/88")),
        ("handle:20.500.12357/X%20Y", ("handle/20.500.12357", "handle/20.500", "handle/20")),
        ("delegation:vaa/88.118", ("vaa/88.118", "vaa/88")),
        ("did:web:example.com:plant", ("did/web:example.com:plant", "did/web:example.com", "did/web")),
        ("gs1:01/06901234567892", tuple(f"gs1/{'690123456789'[:n]}" for n in range(12, 2, -1))),
    ],
)
def test_the_prefixes_of_a_subject_are_those_of_its_scheme_longest_first(subject: str, found: tuple[str, ...]) -> None:
    assert candidates(subject) == found
    assert [check_prefix(prefix) for prefix in found] == list(found)


@pytest.mark.parametrize(
    "subject", ["urn:uuid:" + "0" * 8 + "-0000-0000-0000-" + "0" * 12, "log:" + "0" * 64, "batch:1"]
)
def test_a_subject_that_tells_no_prefix_is_refused(subject: str) -> None:
    with pytest.raises(MalformedError, match="has no prefix"):
        candidates(subject)


@pytest.mark.parametrize(
    "text", ["", "vaa:", "vaa:88.118.8", "nope:1", "delegation:vaa/88.118.", "delegation:nope/1", "\ud800"]
)
def test_a_text_that_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        candidates(text)


def test_the_questions_are_bounded() -> None:
    assert len(candidates("oid:1.2" + ".3" * 30)) == 32
    assert len(candidates("handle:" + "1." * 15 + "1/X")) == 16
    with pytest.raises(MalformedError):
        candidates("oid:1.2" + ".3" * 31)
    assert candidates("did:web:example.com:" + "a" * 250)[0] == "did/web:example.com"  # no contract can map the other


@pytest.mark.parametrize(
    "text",
    ["vaa/88.118.", "vaa/8", "vaa", "vaa/", "nope/88", "vaa/88.118.8/A1", "handle/20%2E500", "handle/A", "oid/01"],
)
def test_a_prefix_that_would_never_be_found_is_not_mapped(text: str) -> None:
    with pytest.raises(MalformedError):
        check_prefix(text)


def test_an_identifier_in_another_spelling_is_its_subject_and_an_ambiguous_one_is_refused() -> None:
    assert subject_of("(01)06901234567892") == "gs1:01/06901234567892"
    assert subject_of(SUBJECT) == SUBJECT
    with pytest.raises(MalformedError, match="several") as refused:
        subject_of("88.118.8/A1")
    assert "vaa:88.118.8/A1" in refused.value.remedy


# -- the longest prefix --------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([NO_LOG, *LOGS.values()]), min_size=3, max_size=3), st.data())
def test_the_longest_prefix_that_has_a_log_now_wins(newest: list[bytes], data: st.DataObject) -> None:
    found = candidates(SUBJECT)
    storage: dict[bytes, bytes] = {}
    for prefix, log in zip(found, newest, strict=True):
        older = data.draw(st.lists(st.sampled_from(list(LOGS.values())), max_size=MAX_HISTORY + 2))
        history = [*older, log] if older or log != NO_LOG else []
        storage[count_slot(prefix)] = len(history).to_bytes(32, "big")
        for place, one in enumerate(history):
            slot, meta = record_slots(prefix, place)
            storage[slot], storage[meta] = one, place.to_bytes(32, "big")
    mapped = find_prefix(found, lambda slot: storage.get(slot, bytes(32)))
    wanted = next((place for place, log in enumerate(newest) if log != NO_LOG), None)
    if wanted is None:
        assert mapped is None
    else:
        assert mapped is not None
        assert (mapped.prefix, mapped.log, mapped.longer) == (found[wanted], newest[wanted], found[:wanted])
        count = int.from_bytes(storage[count_slot(mapped.prefix)], "big")
        assert len(mapped.history) + mapped.earlier == count
        assert [one.when.block for one in mapped.history] == list(range(mapped.earlier, count))


def test_a_history_that_cannot_be_is_no_answer() -> None:
    with pytest.raises(ChainUnavailableError, match="history"):
        find_prefix(candidates(SUBJECT), lambda _slot: b"\xff" * 32)


def test_the_contract_is_read_at_the_places_that_it_writes_to(registry: Registry) -> None:
    found = candidates(SUBJECT)
    assert find_prefix(found, registry.words) is None
    registry.map("vaa/88.118", LOGS["a"])
    before = registry.block
    registry.map("vaa/88.118.8", LOGS["b"])
    longest = find_prefix(found, registry.words)
    assert longest is not None
    assert (longest.prefix, longest.log, longest.longer) == ("vaa/88.118.8", LOGS["b"], ())
    assert longest.history[0].when.block == before + 1
    assert "0x" + longest.history[0].when.sender.hex() == registry.world.admin.address.lower()
    other = find_prefix(candidates("vaa:88.118.9/A1"), registry.words)
    assert other is not None
    assert (other.prefix, other.log) == ("vaa/88.118", LOGS["a"])
    # At the block before, the answer was another.
    earlier = find_prefix(found, plain_words(asking(registry.rpc), registry.contract, before))
    assert earlier is not None
    assert earlier.log == LOGS["a"]


def test_a_prefix_changes_hands_keeps_its_history_and_is_taken_back(registry: Registry) -> None:
    for log in (LOGS["a"], LOGS["b"], LOGS["b"], LOGS["c"]):
        registry.map("oid/1.2.156", log)
    block = registry.block
    registry.map("oid/1.2.156", LOGS["c"])
    assert registry.block == block, "mapping what is mapped costs no transaction"
    mapped = find_prefix(candidates("oid:1.2.156.1"), registry.words)
    assert mapped is not None
    assert [one.log for one in mapped.history] == [LOGS["a"], LOGS["b"], LOGS["c"]]
    assert mapped.longer == ("oid/1.2.156.1",)
    registry.map("oid/1.2.156", NO_LOG)
    registry.map("oid/1.2", LOGS["a"])
    mapped = find_prefix(candidates("oid:1.2.156.1"), registry.words)
    assert mapped is not None
    assert (mapped.prefix, mapped.log) == ("oid/1.2", LOGS["a"])
    registry.map("oid/1.2", NO_LOG)
    assert find_prefix(candidates("oid:1.2.156.1"), registry.words) is None


def test_a_prefix_is_not_given_to_a_log_that_nobody_registered(registry: Registry) -> None:
    with pytest.raises(TransactionRefusedError):
        registry.map("vaa/89", leaf_hash(b"nobody"))


# -- the log -------------------------------------------------------------------------------------------------------


def test_the_log_is_told_with_its_origin(registry: Registry) -> None:
    log = read_log(LOGS["b"], registry.words, asking(registry.rpc), registry.contract)
    assert (log.origin, log.head.size, log.root, log.successor) == ("b.example.org/log", 1, LOGS["b"], None)
    assert "0x" + log.authoriser.hex() == registry.world.authoriser.address.lower()
    assert log.registered.block > 0
    with pytest.raises(ChainUnavailableError, match="not registered"):
        read_log(leaf_hash(b"nobody"), registry.words, asking(registry.rpc), registry.contract)


def test_a_sealed_log_names_the_one_that_follows(registry: Registry) -> None:
    registry.deployer.seal(registry.contract, LOGS["c"], 1, LOGS["c"], LOGS["a"])
    log = read_log(LOGS["c"], registry.words, asking(registry.rpc), registry.contract)
    assert (log.head.sealed, log.head.sealed_size, log.successor) == (True, 1, LOGS["a"])


def _event(origin: bytes) -> list[dict[str, str]]:
    return [{"data": "0x" + encode(["string", "address"], ["", "0x" + "00" * 20]).hex()[:128] + _text(origin)}]


def _text(raw: bytes) -> str:
    return len(raw).to_bytes(32, "big").hex() + raw.hex()


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, [None], [{}], [{"data": "0x"}], [{"data": "0x" + "ff" * 200}], _event(b"evil.example.org/log")],
)
def test_a_chains_node_can_withhold_the_origin_and_not_pass_off_another(registry: Registry, answer: object) -> None:
    honest = asking(registry.rpc)
    ask: Callable[..., object] = lambda method, *rest: answer if method == "eth_getLogs" else honest(method, *rest)  # noqa: E731
    with pytest.raises(ChainUnavailableError):
        read_log(LOGS["a"], registry.words, ask, registry.contract)


def test_an_answer_that_is_no_word_is_no_answer() -> None:
    answers: list[object] = [None, "0x", "0x1", "0x" + "00" * 31, 7, [], "0x" + "zz" * 32]
    for answer in answers:
        with pytest.raises(ChainUnavailableError):
            plain_words(lambda *_, told=answer: told, "0x" + "00" * 20, 1)(bytes(32))


def test_an_error_of_the_chains_node_is_no_answer(registry: Registry) -> None:
    with pytest.raises(ChainUnavailableError):
        asking(registry.rpc)("eth_noSuchMethod")
