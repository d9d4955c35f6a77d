"""`tial request`: somebody asks on the chain for what a log ignores, and shows with three files that it was ignored."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.promises import PromiseFile
from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from ledger.crypto import keyfile
from ledger.errors import CorruptError
from ledger.evidence.chain import ChainPolicy, block_hashes, check_request
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.promise import Kept
from ledger.log.tree import leaf_hash
from node.chain.artifact import load_artifact
from tests.cli.conftest import Ran, tial
from tests.hostile.liar import Operator, operating
from tests.hostile.test_lies_about_the_chain import Chain


class Ignoring:
    """A log whose operator leaves a revocation out, its chain, and the files that the issuer holds."""

    def __init__(self, operator: Operator, folder: Path) -> None:
        self.operator = operator
        self.folder = folder
        first = operator.show()
        self.chain = Chain(folder / "chain", first)
        self.chain.anchor(first)
        certifier, sub = operator.parties["certifier"], operator.certification.sub
        self.raw = operator.world.status(certifier, sub, "revoked", "issuer", 1)
        self.leaf = leaf_hash(self.raw)
        (folder / "revocation").write_bytes(self.raw)
        file = PromiseFile(folder / "receipts")
        file.add(Kept(operator.world.log_id, self.raw))
        file.close()
        keyfile.save(folder / "account.key", self.chain.admin, "x")

    def run(self, *arguments: object, contract: str = "") -> Ran:
        identity = self.chain.backend().identity
        named = ("--chain", self.chain.chain.url, "--chain-id", identity.chain_id)
        return tial("request", *arguments, *named, "--contract", contract or identity.contract, "--json")

    def prove(self, name: str, *more: object) -> Path:
        path = self.folder / name
        ran = self.run("prove", self.folder / "receipts", "-o", path, *more)
        assert ran.code == 0, ran
        assert ran.json["block_hashes"] == [one.hex() for one in block_hashes(path.read_bytes())]
        return path

    def policy(self, *evidence: Path) -> Path:
        identity = self.chain.backend().identity
        pins = tuple({one for path in evidence for one in block_hashes(path.read_bytes())})
        chain = ChainPolicy(
            "ethereum", identity.chain_id, bytes.fromhex(identity.contract[2:]), identity.code_hash, headers=pins
        )
        path = self.folder / "policy.toml"
        path.write_bytes(dump_policy(self.operator.policy(chains=(chain,))).encode())
        return path

    def check(self, statement: str, evidence: Path, policy: Path, *more: object) -> Ran:
        files = ("--evidence", evidence, "--bundle", self.folder / "whole", "--policy", policy)
        return tial("request", "check", self.folder / statement, *files, "--now", self.operator.clock, *more, "--json")


@pytest.fixture
def ignoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ignoring]:
    try:
        find_anvil()
        load_artifact()
    except (AnvilNotFoundError, CorruptError) as error:
        pytest.skip(str(error))
    monkeypatch.setattr("tests.world.START", int(time.time()) - 60)
    monkeypatch.setenv("TIAL_PASSPHRASE", "x")
    monkeypatch.chdir(tmp_path)
    with operating(tmp_path) as operator:
        made = Ignoring(operator, tmp_path)
        try:
            yield made
        finally:
            made.chain.close()


def test_an_act_that_is_ignored_is_asked_for_proven_and_shown(ignoring: Ignoring) -> None:
    before = ignoring.prove("before")
    key = ("--key", ignoring.folder / "account.key")
    sent = ignoring.run("send", ignoring.folder / "receipts", *key)
    assert (sent.code, sent.json["earlier"], sent.json["leaf"]) == (0, False, ignoring.leaf.hex())
    again = ignoring.run("send", ignoring.folder / "revocation", *key)
    assert (again.code, again.json["earlier"], again.json["block"]) == (0, True, sent.json["block"])
    evidence = ignoring.prove("evidence")
    pinned = ignoring.policy(evidence, before)

    operator = ignoring.operator
    operator.pass_time(7200)
    lie = operator.show()
    (ignoring.folder / "whole").write_bytes(lie.about(operator.certification, whole=True))
    for statement in ("revocation", "receipts"):
        found = ignoring.check(statement, evidence, pinned, "--patience", 3600)
        assert (found.code, found.json["ignored"], found.json["leaf"]) == (0, True, ignoring.leaf.hex()), found
        assert found.json["requested"]["block"] == sent.json["block"]
    assert ignoring.check("revocation", evidence, pinned).code == 1  # a day has not passed
    assert ignoring.check("revocation", before, pinned, "--patience", 3600).code == 1  # nobody had asked by then
    assert ignoring.check("revocation", evidence, ignoring.policy(before), "--patience", 3600).code == 4
    assert ignoring.check("nothing", evidence, pinned).code == 2
    assert ignoring.check("policy.toml", evidence, pinned).code == 1


def test_what_cannot_be_asked_is_refused(ignoring: Ignoring) -> None:
    key = ("--key", ignoring.folder / "account.key")
    statement = ignoring.folder / "revocation"
    assert ignoring.run("send", statement, *key, contract="0x" + "11" * 20).code == 1
    assert tial("request", "send", statement, *key, "--json").code == 2  # no chain is known
    assert tial("request", "send", statement, *key, "--chain", ignoring.chain.chain.url).code == 2
    assert ignoring.run("prove", "x" * 64, "-o", ignoring.folder / "out").code == 2
    away = tial("request", "send", statement, *key, "--chain", "http://127.0.0.1:9", "--chain-id", 1, "--contract",
                "0x" + "11" * 20)  # fmt: skip
    assert away.code == 4


def test_a_leaf_is_proven_by_its_hash_under_a_block_of_one_s_own(ignoring: Ignoring) -> None:
    ignoring.chain.request(ignoring.leaf)
    chain = ignoring.chain.backend()
    block = chain.final_block()
    path = ignoring.prove("evidence", "--block", block)
    rule = replace(ignoring.chain.pinned(), headers=block_hashes(path.read_bytes()))
    facts, request = check_request(path.read_bytes(), rule, ignoring.operator.world.log_id, ignoring.leaf)
    assert (facts.block, request.leaf_hash) == (block, ignoring.leaf)
