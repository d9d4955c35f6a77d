"""Three second-level nodes anchor side by side on one network, and a stranger finds the right one by prefix."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from devnet.bft.network import BftNetwork
from ledger.log.tree import leaf_hash, root_of
from tests.bft_node import AnchoringLog
from tests.cli.conftest import Ran, tial
from tests.lying_rpc import LyingRpc
from tests.running import Running

MAPPED = {"a": "vaa/88.118", "b": "vaa/88.118.8", "c": "gs1/690123"}
DELEGATED = {"a": "vaa/88.118.9", "b": "vaa/88.118.8", "c": "gs1/6901234"}
SUBJECTS = {"a": "vaa:88.118.9/A1", "b": "vaa:88.118.8/B1", "c": "gs1:01/06901234567892"}


class Country:
    """Three logs with their nodes, by name, and where a stranger asks."""

    def __init__(self, network: BftNetwork, folder: Path, stack: ExitStack) -> None:
        self.network = network
        self.logs: dict[str, AnchoringLog] = {}
        self.nodes: dict[str, Running] = {}
        for name, prefix in MAPPED.items():
            log = AnchoringLog(network, folder / name)
            node = stack.enter_context(log.node())
            if name != "b":  # whose prefix a log of this kind has from the start
                log.acts.delegate(log.party, DELEGATED[name])
            log.acts.registration(log.party, SUBJECTS[name], DELEGATED[name])
            for answer in node.admit(*log.acts.take()):
                log.hear(answer)
            with log.deployer() as deployer:
                deployer.map_prefix(log.chain["contract"], prefix, log.id)
            self.logs[name], self.nodes[name] = log, node

    def discover(self, subject: str, *more: object, comet: str = "", eth: str = "") -> Ran:
        """`tial discover`, with the genesis validators and the nodes' addresses, and nothing else at hand."""
        log = self.logs["a"]
        named = [part for n, log in self.logs.items() for part in ("--node", f"{log.origin}={self.nodes[n].url}")]
        return tial(
            "discover", subject, "--chain", eth or self.network.eth_urls[0], "--contract", log.chain["contract"],
            "--comet", comet or self.network.comet_urls[0], "--trust", log.folder / "chain-trust.json",
            "--trust-operator-state", "--json", *more, *named,
        )  # fmt: skip


@pytest.fixture(scope="module")
def country(network: BftNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    with ExitStack() as stack:
        yield Country(network, tmp_path_factory.mktemp("country"), stack)


def test_three_logs_anchor_at_once_and_none_disturbs_another(country: Country):
    def work(name: str) -> None:
        log, node = country.logs[name], country.nodes[name]
        for number in itertools.count():
            subject = {"c": "gs1:01/06901234567892/21/{}"}.get(name, f"{SUBJECTS[name]}-{{}}").format(number)
            if number == 6:
                return
            for answer in node.admit(log.acts.registration(log.party, subject, DELEGATED[name])):
                log.hear(answer)
            log.anchored(node)

    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(work, country.logs))
    for name, log in country.logs.items():
        anchors = log.on_chain()
        assert {anchor.sender for anchor in anchors} == {log.sender.address}
        log.check(country.nodes[name])
        assert log.states <= {"idle", "anchoring", "starting"}
    roots = [{anchor.root for anchor in log.on_chain()} for log in country.logs.values()]
    assert not roots[0] & roots[1]
    assert not roots[1] & roots[2]


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_a_stranger_finds_the_node_of_a_subject_and_its_answer_is_proven(country: Country, name: str, tmp_path: Path):
    log = country.logs[name]
    log.anchored(country.nodes[name])
    log.evidence(country.nodes[name], log.status(country.nodes[name])["anchored_size"])
    found = country.discover(SUBJECTS[name], "-o", tmp_path / "bundle")
    assert found.code == 0, found
    told = found.json
    assert (told["origin"], told["prefix"]) == (log.origin, MAPPED[name])
    assert (told["verdict"], told["chain"]["proven"], told["outdated"]) == ("valid", True, False)
    assert not any("unproven" in thing for thing in told["rests_on"])
    assert any("signed by" in thing for thing in told["rests_on"])


def test_on_an_old_header_it_cannot_be_told_whose_the_prefix_is_now(country: Country):
    later = int(time.time()) + 2 * 3_600
    found = country.discover(SUBJECTS["b"], "--now", later)
    assert (found.code, found.json["verdict"], found.json["outdated"]) == (4, "cannot tell", True)


def test_a_chain_node_that_names_another_log_is_not_believed(country: Country):
    wrong = country.logs["a"].id.hex()
    right = country.logs["b"].id.hex()

    def lie(_: object, honest: dict[str, object]) -> dict[str, object]:
        return {**honest, "result": str(honest["result"]).replace(right, wrong)}

    with LyingRpc(country.network.eth_urls[0]) as eth:
        eth.rewrite("eth_getStorageAt", lie)
        eth.rewrite("eth_call", lie)
        honest = country.discover(SUBJECTS["b"], eth=eth.url)
        assert honest.json["origin"] == country.logs["b"].origin
    other = LyingRpc(country.network.comet_urls[0])
    with other as comet:
        comet.answer(b'{"jsonrpc":"2.0","id":$ID,"result":{"response":{"code":0}}}', "abci_query")
        refused = country.discover(SUBJECTS["b"], comet=comet.url)
    assert refused.code == 4, refused


def test_other_validators_than_those_that_are_trusted_prove_nothing(country: Country, tmp_path: Path):
    trust = (country.logs["a"].folder / "chain-trust.json").read_text()
    key = country.network.description.nodes[0].key.hex()
    foreign = tmp_path / "foreign.json"
    foreign.write_text(trust.replace(key, "11" * 32))
    refused = country.discover(SUBJECTS["b"], "--trust", foreign)
    assert refused.code == 4, refused


def test_every_root_on_the_chain_is_of_the_log_that_it_names(country: Country):
    for log in country.logs.values():
        for anchor in log.on_chain():
            assert anchor.root == root_of([leaf_hash(entry) for entry in log.reader().iter_entries(0, anchor.size)])
