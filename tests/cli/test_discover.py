"""Three nodes anchor side by side in one contract; a stranger finds the right one by prefix and checks its answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from api.client import Client
from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from ledger.evidence.bundle import Bundle
from ledger.evidence.policy import parse_policy
from ledger.evidence.policy_text import dump_policy
from node.chain.deploy import Deployer
from node.chain.evm import EvmChain
from node.chain.prefixes import NO_LOG
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from tests.cli.conftest import Ran, tial
from tests.running import OPERATOR_TOKEN, PASSPHRASE, Acts, Running, make_log, running
from tests.world import Party

PREFIXES = {"a": "vaa/88.118", "b": "vaa/88.118.8", "c": "gs1/690123"}
DELEGATED = {"a": "vaa/88.118.9", "b": "vaa/88.118.8", "c": "gs1/6901234"}
SUBJECTS = {"a": "vaa:88.118.9/A1", "b": "vaa:88.118.8/B1", "c": "gs1:01/06901234567892"}


@dataclass
class Second:
    """A second-level node: its log, its process, its sender."""

    acts: Acts
    node: Running
    origin: str
    sender: str

    @property
    def log(self) -> bytes:
        return self.acts.log_id

    def register(self, *subjects: str, prefix: str) -> None:
        self.node.admit(*(self.acts.registration(Party(self.origin), subject, prefix) for subject in subjects))

    def anchor(self) -> int:
        with Client(self.node.url, token=OPERATOR_TOKEN) as client:
            return int(client.anchor_now()["size"])


@dataclass
class Country:
    """The contract and the nodes that anchor in it, by name."""

    chain: EmbeddedChain
    deployer: Deployer
    contract: str
    chain_id: int
    nodes: dict[str, Second]

    def run(self, subject: str, *more: object, nodes: bool = True) -> Ran:
        """`tial discover` with nothing of the nodes at hand; `nodes`: with the addresses of b and c."""
        named = [f"{self.nodes[n].origin}={self.nodes[n].node.url}" for n in ("b", "c") if nodes]
        given = [part for name in named for part in ("--node", name)]
        return tial(
            "discover", subject, "--chain", self.chain.url, "--contract", self.contract, "--json", *more, *given
        )

    def valid(self, subject: str, *more: object) -> Ran:
        """The same, asked again until the chain evidence of the newest anchor is there."""
        end = time.monotonic() + 20
        while (ran := self.run(subject, *more)).code and time.monotonic() < end:
            time.sleep(0.2)
        assert ran.code == 0, ran
        return ran


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("country")
    chain = EmbeddedChain(folder / "chain")
    chain.start()
    with ExitStack() as stack:
        stack.callback(chain.stop)
        deployer = Deployer(JsonRpc(chain.url), chain.key("deployer").signer)
        made = deployer.deploy()
        deployer.grant(made.contract, "REGISTRY_ROLE", deployer.admin.address)
        nodes: dict[str, Second] = {}
        for name, prefix in PREFIXES.items():
            # The first is reached by its origin alone.
            port = free_port()
            origin = f"127.0.0.1:{port}" if name == "a" else f"{name}.example.org/log"
            config, acts = make_log(
                folder / name, origin, http={"port": port},
                chain={"url": chain.url, "chain_id": made.chain_id, "contract": made.contract, "interval": 0.4},
            )  # fmt: skip
            sender, authoriser = chain.key(f"sender-{name}").signer, secp256k1.SUITE.generate()
            keyfile.save(folder / name / "keys/anchor-sender.key", sender, PASSPHRASE)
            keyfile.save(folder / name / "keys/anchor-authoriser.key", authoriser, PASSPHRASE)
            deployer.grant(made.contract, "ANCHORER_ROLE", sender.address)
            log = acts.log_id
            deployer.register_log(made.contract, log, origin, authoriser.address)
            deployer.map_prefix(made.contract, prefix, log)
            node = stack.enter_context(running(config))
            enterprise = Party(origin)
            acts.enrol(enterprise, "owner")
            acts.delegate(enterprise, DELEGATED[name])
            node.admit(*acts.take())
            nodes[name] = Second(acts, node, origin, sender.address)
            nodes[name].register(SUBJECTS[name], prefix=DELEGATED[name])
            nodes[name].anchor()
        yield Country(chain, deployer, made.contract, made.chain_id, nodes)


@contextmanager
def answering(raw: bytes, status: int = 200) -> Iterator[str]:
    """A stranger at an address who answers every question with the same bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- the right node ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_longest_prefix_leads_to_the_node_whose_answer_is_verified(country: Country, name: str) -> None:
    told = country.valid(SUBJECTS[name], "--trust-operator-state").json
    node = country.nodes[name]
    assert (told["log"], told["origin"], told["prefix"]) == (node.log.hex(), node.origin, PREFIXES[name])
    assert told["node"] == node.node.url
    assert told["mapped"]["by"] == country.deployer.admin.address.lower()
    assert (told["verdict"], told["policy"], told["chain"]["proven"]) == ("valid", "drafted", False)
    tenth = next(step for step in told["report"]["steps"] if step["step"] == 10)
    assert tenth["verdict"] == "valid"
    assert any("unproven" in thing for thing in told["rests_on"]), (
        "the reader is told that the chain's node is believed"
    )
    assert any("in its chain" in thing for thing in told["rests_on"])


def test_without_a_policy_the_current_state_rests_on_the_operator_and_is_not_called_valid(country: Country) -> None:
    country.valid(SUBJECTS["b"], "--trust-operator-state")
    ran = country.run(SUBJECTS["b"])
    assert (ran.code, ran.json["verdict"]) == (4, "cannot tell")


def test_a_person_reads_where_the_answer_comes_from(country: Country) -> None:
    node = country.nodes["b"]
    ran = tial(
        "discover", SUBJECTS["b"], "--chain", country.chain.url, "--contract", country.contract,
        "--node", f"{node.origin}={node.node.url}", "--lang", "zh",
    )  # fmt: skip
    for text in (node.log.hex(), "vaa/88.118.8, mapped", node.node.url, "drafted from the chain", "无法判断"):
        assert text in ran.out


def test_the_bundle_is_kept_and_verified_under_a_policy_of_ones_own(country: Country, tmp_path: Path) -> None:
    node = country.nodes["b"]
    policy, bundle = tmp_path / "policy.toml", tmp_path / "b.tial"
    assert tial("policy", "init", "-o", policy, "--trust-operator-state", "--url", node.node.url).code == 0
    drafted = country.run(SUBJECTS["b"], "--policy", policy)
    assert drafted.code == 4, "the policy names the contract, and no block of the chain that its owner trusts"
    policy.write_text(dump_policy(replace(parse_policy(policy.read_text()), chains=())))
    told = country.run(SUBJECTS["b"], "--policy", policy, "-o", bundle)
    assert (told.code, told.json["policy"]) == (0, "given")
    assert Bundle.decode(bundle.read_bytes()).about == SUBJECTS["b"]
    again = tial("verify", bundle, "--policy", policy, "--json")
    assert again.json["verdict"] == told.json["verdict"]
    both = country.run(SUBJECTS["b"], "--policy", policy, "--trust-operator-state")
    assert both.code == 2


def test_a_log_that_the_policy_does_not_list_is_not_asked(country: Country, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    assert tial("policy", "init", "-o", policy, "--url", country.nodes["a"].node.url).code == 0
    ran = country.run(SUBJECTS["b"], "--policy", policy)
    assert (ran.code, ran.json["error"]) == (4, "log-not-in-policy")


def test_that_nothing_is_registered_is_an_answer_too(country: Country) -> None:
    told = country.valid("vaa:88.118.8/NEVER", "--trust-operator-state").json
    assert (told["report"]["claim"], told["verdict"]) == ("absence", "valid")


def test_an_identifier_is_found_in_any_spelling_and_a_delegation_by_itself(country: Country) -> None:
    assert country.run("(01)06901234567892").json["log"] == country.nodes["c"].log.hex()
    told = country.run("delegation:vaa/88.118.8").json
    assert (told["log"], told["prefix"]) == (country.nodes["b"].log.hex(), "vaa/88.118.8")
    assert country.run("88.118.8/B1").code == 1


def test_the_configured_chain_is_asked_and_a_directory_tells_addresses(country: Country, tmp_path: Path) -> None:
    node = country.nodes["c"]
    directory, config = tmp_path / "nodes.toml", tmp_path / "tial.toml"
    directory.write_text(f'[[node]]\norigin = "{node.origin}"\nurl = "{node.node.url}"\n')
    config.write_text(
        f'[chain]\nurl = "{country.chain.url}"\nchain_id = {country.chain_id}\ncontract = "{country.contract}"\n'
    )
    ran = tial("discover", SUBJECTS["c"], "--config", config, "--directory", directory, "--json")
    assert "node" in ran.json, ran
    assert ran.json["node"] == node.node.url
    # An option goes over the directory.
    with answering(b"nothing") as url:
        ran = tial(
            "discover", SUBJECTS["c"], "--config", config, "--directory", directory, "--node", f"{node.origin}={url}",
            "--json",
        )  # fmt: skip
    assert ran.json["node"] == url


# -- what is refused -----------------------------------------------------------------------------------------------


def test_what_nobody_was_given_leads_to_no_log(country: Country) -> None:
    ran = country.run("oid:1.2.3")
    assert (ran.code, ran.json["error"]) == (4, "not-mapped")
    assert country.run("urn:uuid:00000000-0000-0000-0000-000000000000").code == 1


def test_a_node_of_another_log_is_recognised(country: Country) -> None:
    ran = country.run(SUBJECTS["a"], "--node", f"{country.nodes['a'].origin}={country.nodes['b'].node.url}")
    assert (ran.code, ran.json["error"]) == (1, "wrong-answer")
    assert country.nodes["b"].log.hex() in ran.json["detail"]


def test_an_answer_about_another_subject_is_recognised(country: Country) -> None:
    with Client(country.nodes["a"].node.url) as client:
        other = client.evidence(subject="vaa:88.118.9/OTHER")
    with answering(other) as url:
        ran = country.run(SUBJECTS["a"], "--node", f"{country.nodes['a'].origin}={url}")
    assert (ran.code, ran.json["error"]) == (1, "wrong-answer")


def test_an_answer_that_withholds_what_is_anchored_is_never_valid(country: Country) -> None:
    node = country.nodes["a"]
    new = "vaa:88.118.9/LATER"
    with Client(node.node.url) as client:
        before = client.evidence(subject=new)
        assert Bundle.decode(before).index is None
    node.register(new, prefix=DELEGATED["a"])
    node.anchor()
    told = country.valid(new, "--trust-operator-state").json
    assert told["report"]["claim"] == "statement"
    with answering(before) as url:
        ran = country.run(new, "--trust-operator-state", "--node", f"{node.origin}={url}")
    assert (ran.code, ran.json["behind"]) == (4, True)


def test_an_altered_answer_is_invalid_and_no_bundle_is_none(country: Country) -> None:
    node = country.nodes["a"]
    with Client(node.node.url) as client:
        raw = client.evidence(subject=SUBJECTS["a"])
    for answer in (raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:], b"<html>", b""):
        with answering(answer) as url:
            ran = country.run(SUBJECTS["a"], "--node", f"{node.origin}={url}")
        assert (ran.code, ran.json["verdict"]) == (1, "invalid")


def test_a_node_that_is_down_or_refuses_is_no_verdict(country: Country) -> None:
    origin = country.nodes["a"].origin
    ran = country.run(SUBJECTS["a"], "--node", f"{origin}=http://127.0.0.1:{free_port()}")
    assert (ran.code, ran.json["error"]) == (4, "unavailable")
    with answering(b'{"type": "about:blank", "title": "no", "status": 404}', 404) as url:
        ran = country.run(SUBJECTS["a"], "--node", f"{origin}={url}")
    assert (ran.code, ran.json["error"]) == (4, "unavailable")


def test_a_chain_that_does_not_answer_or_is_another_is_no_verdict(country: Country) -> None:
    given = ("discover", SUBJECTS["a"], "--json", "--chain")
    ran = tial(*given, f"http://127.0.0.1:{free_port()}", "--contract", country.contract)
    assert (ran.code, ran.json["error"]) == (4, "chain-unavailable")
    ran = tial(*given, country.chain.url, "--contract", "0x" + "11" * 20)
    assert ran.code == 2, "1 would say invalid"
    assert "no contract" in ran.json["detail"]
    ran = tial(*given, country.chain.url, "--contract", country.contract, "--chain-id", 5)
    assert ran.code == 2
    assert "not 5" in ran.json["detail"]
    for contract in ("", "0x12", "here"):
        assert tial(*given, country.chain.url, "--contract", contract).code == 2
    assert tial("discover", SUBJECTS["a"], "--config", "/nowhere/tial.toml").code == 2
    assert country.run(SUBJECTS["a"], "--comet", country.chain.url).code == 2, "headers that nobody is trusted to sign"


# -- side by side --------------------------------------------------------------------------------------------------


def test_three_logs_anchor_at_once_and_none_disturbs_another(country: Country) -> None:
    def load(name: str) -> int:
        size = 0
        for number in range(6):
            new = [f"vaa:{DELEGATED[name][4:]}/{name}{number}-{i}" for i in range(3)]
            country.nodes[name].register(*(new if name != "c" else ()), prefix=DELEGATED[name])
            size = country.nodes[name].anchor()
        return size

    with ThreadPoolExecutor(3) as pool:
        sizes = dict(zip(country.nodes, pool.map(load, country.nodes), strict=True))
    rpc = JsonRpc(country.chain.url)
    reader = EvmChain(rpc, chain_id=country.chain_id, contract=country.contract, finality=Finality.parse("included"))
    for name, node in country.nodes.items():
        anchors = list(reader.scan(node.log))
        assert {one.sender for one in anchors} == {node.sender}
        assert [one.size for one in anchors] == sorted({one.size for one in anchors})
        assert anchors[-1].size >= sizes[name]
        # No transaction failed, was repeated or took a nonce of another's: each sender sent its anchors, nothing else.
        assert int(rpc.call("eth_getTransactionCount", node.sender, "latest"), 16) == len(anchors)
        status = node.node.client.get("/v1/anchors").json()["status"]
        assert status["state"] in {"idle", "anchoring"}, status
    assert len({node.sender for node in country.nodes.values()}) == 3


# -- changes on the chain: last, for the others do not expect them --------------------------------------------------


def test_a_prefix_that_changes_hands_leads_to_the_new_log_and_shows_the_old_one(country: Country) -> None:
    a, b = country.nodes["a"].log, country.nodes["b"].log
    country.deployer.map_prefix(country.contract, "vaa/88.118.8", a)
    told = country.run(SUBJECTS["b"]).json
    assert (told["log"], [one["log"] for one in told["history"]]) == (a.hex(), [b.hex(), a.hex()])
    assert told["report"]["claim"] == "absence", "the log that has the prefix now knows nothing of it"
    country.deployer.map_prefix(country.contract, "vaa/88.118.8", NO_LOG)
    told = country.run(SUBJECTS["b"]).json
    assert (told["prefix"], told["log"]) == ("vaa/88.118", a.hex())
    country.deployer.map_prefix(country.contract, "vaa/88.118.8", b)


def test_a_sealed_log_is_asked_and_its_successor_on_demand(country: Country) -> None:
    a, c = country.nodes["a"], country.nodes["c"]
    reader = EvmChain(
        JsonRpc(country.chain.url), chain_id=country.chain_id, contract=country.contract,
        finality=Finality.parse("included"),
    )  # fmt: skip
    head = reader.head(c.log)
    country.deployer.seal(country.contract, c.log, head.size, head.root, a.log)
    told = country.run(SUBJECTS["c"]).json
    assert told["log"] == c.log.hex()
    assert told["sealed"] == {"size": head.size, "successor": a.log.hex()}
    followed = country.run(SUBJECTS["c"], "--follow").json
    assert (followed["log"], followed["followed"]) == (a.log.hex(), [c.log.hex()])
    shown = tial(
        "discover", SUBJECTS["c"], "--chain", country.chain.url, "--contract", country.contract,
        "--node", f"{c.origin}={c.node.url}",
    )  # fmt: skip
    assert f"followed by {a.log.hex()} (--follow)" in shown.out
