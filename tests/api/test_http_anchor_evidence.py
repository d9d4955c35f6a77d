"""The route for chain evidence: a node, a chain, and a client who trusts neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api.answers import ApiError
from api.client import Client
from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from ledger.evidence.chain import ChainInvalidError, ChainPolicy, block_hashes, check_chain_evidence, check_request
from node.chain.artifact import load_artifact
from node.chain.deploy import Deployer
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from tests.running import ORIGIN, PASSPHRASE, make_log, running
from tests.world import Party


@dataclass
class Town:
    client: Client
    chain: EmbeddedChain
    log_id: bytes
    policy: ChainPolicy
    anchor: dict
    outbox: Path

    def pin(self, block: int | str) -> ChainPolicy:
        tag = block if isinstance(block, str) else hex(block)
        found = JsonRpc(self.chain.url).call("eth_getBlockByNumber", tag, False)  # noqa: FBT003
        return ChainPolicy(
            "ethereum",
            self.policy.chain_id,
            self.policy.contract,
            self.policy.code_hash,
            headers=(bytes.fromhex(found["hash"][2:]),),
        )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("evidence")
    config, acts = make_log(folder)
    chain = EmbeddedChain(folder / "chain")
    chain.start()
    try:
        sender, authoriser = chain.key("sender").signer, secp256k1.SUITE.generate()
        made = Deployer(JsonRpc(chain.url), chain.key("deployer").signer).establish(
            log=acts.log_id, origin=ORIGIN, sender=sender.address, authoriser=authoriser.address
        )
        keyfile.save(folder / "keys/anchor-sender.key", sender, PASSPHRASE)
        keyfile.save(folder / "keys/anchor-authoriser.key", authoriser, PASSPHRASE)
        with config.open("a") as stream:
            stream.write(f'\n[chain]\nurl = "{chain.url}"\nchain_id = {made.chain_id}\ncontract = "{made.contract}"\n')
        with running(config) as node, Client(node.url, token="operator-token-for-tests") as client:
            acts.enrol(Party("registrar"), "registrar")
            node.admit(*acts.take())
            anchor = client.anchor_now()
            contract = bytes.fromhex(made.contract[2:])
            policy = ChainPolicy("ethereum", made.chain_id, contract, load_artifact().code_hash)
            yield Town(client, chain, acts.log_id, policy, anchor, folder / "data" / "outbox")
    finally:
        chain.stop()


def test_the_evidence_of_an_anchor_is_fetched_and_checked_by_somebody_who_pins_a_block(town: Town) -> None:
    size = town.anchor["size"]
    facts = check_chain_evidence(town.client.anchor_evidence(size), town.pin("latest"), town.log_id)
    assert (facts.size, facts.root.hex(), facts.anchored_block) == (size, town.anchor["root"], town.anchor["block"])
    assert facts.newest


def test_the_asker_may_name_the_block_that_he_trusts(town: Town) -> None:
    JsonRpc(town.chain.url).call("anvil_mine", "0x2")
    block = town.anchor["block"] + 1
    facts = check_chain_evidence(town.client.anchor_evidence(town.anchor["size"], block), town.pin(block), town.log_id)
    assert facts.block == block


def test_the_asker_learns_whether_a_leaf_was_requested(town: Town) -> None:
    leaf, other = bytes(31) + b"\x01", bytes(31) + b"\x02"
    identity = town.policy
    chain = EvmChain(
        JsonRpc(town.chain.url), chain_id=identity.chain_id, contract="0x" + identity.contract.hex(),
        finality=Finality.parse("included"), sender=town.chain.key("deployer").signer,
    )  # fmt: skip
    chain.request(town.log_id, leaf)
    evidence = town.client.anchor_evidence(town.anchor["size"], requested=[leaf, other])
    policy = replace(identity, headers=block_hashes(evidence))
    _, request = check_request(evidence, policy, town.log_id, leaf)
    assert (request.block, request.time) == chain.requested(town.log_id, leaf)
    assert chain.requested(town.log_id, other) == (0, 0)
    with pytest.raises(ChainInvalidError):
        check_request(evidence, policy, town.log_id, other)


@pytest.mark.parametrize(
    ("size", "query", "status"),
    [
        ("{size}1", "", 404),
        ("{size}", "?block=1", 404),
        ("{size}", "?block=x", 400),
        ("{size}", "?block=100000", 503),
        ("{size}", "?requested=ab", 400),
        ("{size}", "?" + "&".join(["requested=" + "00" * 32] * 17), 400),
    ],
)
def test_what_cannot_be_proven_is_refused_with_its_reason(town: Town, size: str, query: str, status: int) -> None:
    path = f"/v1/anchors/{size.format(size=town.anchor['size'])}/evidence{query}"
    with pytest.raises(ApiError) as refused:
        town.client._send("GET", path, attempts=1)
    assert refused.value.status == status


def test_the_status_of_anchoring_names_the_chain_s_nodes_without_secrets_and_so_do_metrics(town: Town) -> None:
    (node,) = town.client._json("GET", "/v1/anchors")["status"]["nodes"]
    assert (node["place"], node["used"], node["state"], node["error"]) == (town.chain.url, True, "well", "")
    text = town.client._send("GET", "/metrics").text
    assert 'tial_chain_node_well{node="1"} 1.0' in text
    assert "tial_anchor_switches_total 0.0" in text


def test_a_dispute_is_resolved_by_the_operator_and_its_evidence_stays(town: Town) -> None:
    assert town.client.resolve_dispute() == {"resolved": 0}
    disputes = town.outbox / "disputes"
    (disputes / "000000000001-00000000000000000009.json").write_text("{}")
    town.client.publish()
    assert town.client.resolve_dispute() == {"resolved": 1}
    assert [path.suffix for path in disputes.iterdir()] == [".resolved"]
    assert town.client.anchor_now()["size"] >= town.anchor["size"]


def test_the_status_of_anchoring_tells_what_was_proven(town: Town) -> None:
    told = town.client._json("GET", "/v1/anchors")["status"]["evidence"]
    assert told["size"] == town.anchor["size"]
    assert told["error"] == ""
