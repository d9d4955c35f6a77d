"""Policies: what is written is read back, and what is not understood is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.errors import MalformedError
from ledger.evidence.chain.comet.validators import Validator, ValidatorSet
from ledger.evidence.chain.facts import ChainPolicy, CometTrust
from ledger.evidence.policy import PLAIN, REPLAYING, Auditor, LogTrust, Policy, Witnesses, parse_policy
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.seal import Roster, SealMember
from ledger.log.notes import ED25519, Vkey
from tests.evidence.bundles import PLAIN_WITNESSES, REPLAYERS, SUITES, witness
from tests.world import key

LOG = LogTrust(bytes(range(32)), "example.org/log", SUITES, (Vkey("example.org/log", ED25519, key("n").public_key),))
WHOLE = Policy(
    logs=(LOG, LogTrust(bytes(32), None, frozenset({-8}))),
    plain=Witnesses(PLAIN, tuple(map(witness, PLAIN_WITNESSES)), 2),
    replaying=Witnesses(REPLAYING, tuple(map(witness, REPLAYERS)), 3),
    auditors=(Auditor('an "auditor" \x7f 审计方', -7, key("auditor", "es256").public_key),),
    chains=(ChainPolicy("ethereum", 31337, b"\xc0" * 20, bytes(32), (b"\x01" * 32,), (b"\x02" * 20,), 1),),
    skew=7,
    max_lag=8,
    max_age=9,
    trusting_period=10,
    trust_operator_state=True,
    roster=Roster(tuple(SealMember(f"did:example:{n}", bytes([n]) * 48, bytes([n]) * 96) for n in range(3)), 2),
)

KEYS = ValidatorSet.of([Validator(bytes([n]) * 32, power) for n, power in ((7, 10), (8, 10), (9, 2**40))])
COMET = ChainPolicy(
    "cometbft", 31991, b"\xc0" * 20, bytes(32), (b"\x01" * 32,), comet=CometTrust("tial-bft-1", 12, 1_700_000_000, KEYS)
)
COMETS = Policy(
    (LOG,),
    chains=(
        COMET,
        replace(COMET, comet=CometTrust('a "name" \x7f 链', 2**63 - 1, 0, KEYS), headers=()),
        replace(COMET, comet=None),
        *WHOLE.chains,
    ),
)


@pytest.mark.parametrize("policy", [WHOLE, Policy((LOG,)), COMETS])
def test_a_written_policy_is_read_back(policy):
    assert parse_policy(dump_policy(policy)) == policy


def test_the_least_policy_names_a_log():
    policy = parse_policy(f'format = "tial-policy-v1"\n[[log]]\nid = "{bytes(32).hex()}"\n')
    assert policy.log(bytes(32)) == LogTrust(bytes(32), None, SUITES)
    assert policy.log(b"x" * 32) is None
    assert not policy.trust_operator_state


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("format =", "formats =", "format"),
        ("tial-policy-v1", "tial-policy-v2", "format"),
        ("max_lag = 8", "max_lags = 8", "verifier.max_lags"),
        ("max_lag = 8", "max_lag = -8", "verifier.max_lag"),
        ("max_lag = 8", "max_lag = 8.5", "verifier.max_lag"),
        ("max_lag = 8", "max_lag = true", "verifier.max_lag"),
        ("trust_operator_state = true", "trust_operator_state = 1", "verifier.trust_operator_state"),
        ('suites = [\n    "ed25519"', 'suites = [\n    "secp256k1"', "log[0].suites"),
        ('suites = [\n    "ed25519"', 'suites = [\n    "rot13"', "suite"),
        ("plain_quorum = 2", "plain_quorum = 1", "witnesses.plain_quorum"),
        ("plain_quorum = 2", "plain_quorum = 4", "witnesses.plain_quorum"),
        ("plain_quorum = 2", "", "witnesses.plain_quorum"),
        ("chain_id = 31337", "", "chain[0].chain_id"),
        ("c0" * 20, "c0" * 19, "chain[0].contract"),
        ("threshold = 2", "threshold = 1", "seal.threshold"),
        ("threshold = 2", "", "seal.threshold"),
        ("threshold = 2", "threshold = 2\nmembers = 3", "seal.members"),
        ("01" * 48, "01" * 47, "seal.member[1].key"),
        ("01" * 96, "01" * 95, "seal.member[1].proof"),
        ("02" * 48, "01" * 48, "seal.member"),
        ("did:example:2", "did:example:1", "seal.member"),
        ('did = "did:example:2"', 'name = "did:example:2"', "seal.member[2].did"),
        ("c0" * 20, "zz" * 20, "chain[0].contract"),
        ("[[auditor]]", "[[inspector]]", "policy.inspector"),
        ("[[log]]", "[[logs]]", "log"),
        ("[[log]]", "[log]", "policy"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(old, new, where):
    text = dump_policy(WHOLE)
    assert old in text
    with pytest.raises(MalformedError) as refused:
        parse_policy(text.replace(old, new))
    assert where in refused.value.where


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('chain_name = "tial-bft-1"', "", "chain[0].height"),
        ('chain_name = "tial-bft-1"', 'chain_name = ""', "chain[0].chain_name"),
        ("height = 12", "", "chain[0].height"),
        ("height = 12", "height = 0", "height"),
        ("time = 1700000000", "time = -1", "chain[0].time"),
        ("height = 12", "height = 12\nquorum = 3", "chain[0].quorum"),
        ("height = 12", "height = 12\nvalidators = []", "chain[0].validators"),
        ("power = 1099511627776", "power = 0", "power"),
        ("power = 1099511627776", "power = 1152921504606846976", "power"),
        ("power = 1099511627776", "", "chain[0].validator[0].power"),
        ("power = 1099511627776", "power = 1\nname = 1", "chain[0].validator[0].name"),
        ("09" * 32, "09" * 31, "chain[0].validator[0].key"),
        ("08" * 32, "07" * 32, "validators"),
        ('kind = "cometbft"', 'kind = "ethereum"', "chain[0].chain_name"),
        ("[[chain.validator]]", "[[chain.member]]", "chain[0].member"),
    ],
)
def test_a_pin_that_is_not_understood_is_refused_with_its_place(old, new, where):
    text = dump_policy(Policy((LOG,), chains=(COMET,)))
    assert old in text
    with pytest.raises(MalformedError) as refused:
        parse_policy(text.replace(old, new, 1))
    assert where in refused.value.where


@pytest.mark.parametrize("kind", ['"foo"', '"Ethereum"', '""', "1", "[]"])
def test_a_kind_of_chain_that_nobody_checks_is_refused_and_the_known_ones_are_named(kind: str):
    text = dump_policy(Policy((LOG,), chains=(COMET,))).replace('kind = "cometbft"', f"kind = {kind}")
    with pytest.raises(MalformedError, match=r"no kind of chain|expected a text") as refused:
        parse_policy(text)
    assert refused.value.where == "chain[0].kind"
    assert refused.value.remedy == "The known kinds are cometbft and ethereum"


def test_validators_stand_in_any_order_in_the_file():
    text = dump_policy(Policy((LOG,), chains=(COMET,)))
    first, second = f'"{"09" * 32}"\npower = {2**40}', f'"{"08" * 32}"\npower = 10'
    assert parse_policy(text.replace(first, "@").replace(second, first).replace("@", second)).chains == (COMET,)


def test_a_quorum_of_half_or_less_is_refused():
    four = tuple(witness(f"w{n}.example") for n in range(4))
    for quorum in (0, 1, 2, 5):
        with pytest.raises(MalformedError):
            Witnesses(PLAIN, four, quorum)
    assert Witnesses(PLAIN, four, 3).quorum == 3


def test_no_party_is_counted_twice():
    with pytest.raises(MalformedError, match="twice"):
        Witnesses(PLAIN, (witness("a.example"), witness("a.example")), 2)
    both = Witnesses(PLAIN, (witness("a.example"),), 1)
    with pytest.raises(MalformedError, match="both"):
        Policy((LOG,), plain=both, replaying=Witnesses(REPLAYING, both.vkeys, 1))
    with pytest.raises(MalformedError, match="once"):
        Policy((LOG, LOG))
    with pytest.raises(MalformedError, match="cosignature"):
        Witnesses(PLAIN, LOG.note_keys, 1)


def test_bytes_that_are_no_toml_are_refused():
    for text in ("=", "a" * (1 << 21), "[[" * 5_000):
        with pytest.raises(MalformedError):
            parse_policy(text)
