"""The node follows a chain's validators from its operator's pin, and nobody can lead it elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha512
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError, CometTrust
from ledger.evidence.chain.comet.commit import (
    MAX_LINKS,
    Commit,
    Link,
    Signature,
    signed_bytes,
    verify_commit,
    verify_links,
)
from ledger.evidence.chain.comet.header import Header
from node.chain import comet_trust
from node.chain.comet_rpc import SignedHeader
from node.chain.comet_trust import ChainTrust, ChainUnprovenError, pin_document, read_pin
from node.chain.protocol import ChainMismatchError, ChainUnavailableError, NodeBehindError
from tests.comet_node import MadeChain, many
from tests.comet_world import CHAIN_NAME, FIVE, FOUR, Member, Members, commit, header, ordered, set_of

OTHERS: Members = many(4)


def pin(members: Members = FOUR, height: int = 1) -> CometTrust:
    return CometTrust(CHAIN_NAME, height, 0, set_of(members))


def advance(trust: ChainTrust, chain: MadeChain, height: int | None = None) -> Link:
    return trust.advance(chain, chain.commit(height))


def test_a_header_that_the_pinned_validators_signed_is_the_newest(tmp_path: Path) -> None:
    chain, trust = MadeChain(1_000), ChainTrust(pin(), tmp_path / "followed")
    assert advance(trust, chain).header.height == 1_000
    assert trust.newest is not None
    assert trust.newest.header == chain.signed(1_000).header
    assert len(chain.asked) == 1
    assert trust.links == ()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_changes_of_validators_are_followed_however_they_lie(data: st.DataObject) -> None:
    heights = sorted(data.draw(st.sets(st.integers(2, 300), max_size=5)))
    sets = {1: FOUR} | {height: many(4 + place) for place, height in enumerate(heights)}
    chain, trust = MadeChain(300, sets), ChainTrust(pin())
    for stop in sorted(data.draw(st.sets(st.integers(1, 300), max_size=4))):
        advance(trust, chain, stop)
    newest = advance(trust, chain)
    assert newest.validators == set_of(chain.members(300))
    assert [link.header.height + 1 for link in trust.links] == heights
    verify_links((*trust.links, newest))
    for height in data.draw(st.lists(st.integers(1, 300), max_size=5)):
        link = trust.verify(chain, chain.commit(height))
        assert link.validators == set_of(chain.members(height))
        verify_links((*trust.links_before(height), link))


def test_a_change_takes_some_questions_not_one_a_block() -> None:
    chain = MadeChain(1_000_000, {1: FOUR, 700_001: FIVE})
    trust = ChainTrust(pin())
    advance(trust, chain)
    assert [link.header.height for link in trust.links] == [700_000]
    assert len(chain.asked) < 25


def test_validators_who_came_back_are_trusted_without_those_in_between() -> None:
    chain, trust = MadeChain(1_000, {1: FOUR, 300: FIVE, 400: FOUR}), ChainTrust(pin())
    assert advance(trust, chain).header.height == 1_000
    assert trust.links == ()
    assert trust.verify(chain, chain.commit(200)).header.height == 200
    with pytest.raises(ChainUnavailableError, match="other validators"):
        trust.verify(chain, chain.commit(350))


def test_following_goes_on_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comet_trust, "QUESTIONS", 20)
    chain = MadeChain(1_000, {1: FOUR, 100: FIVE, 300: many(4), 500: many(5), 900: many(6)})
    trust, looks = ChainTrust(pin()), 0
    while True:
        looks += 1
        try:
            advance(trust, chain)
            break
        except ChainUnavailableError as error:
            assert "more than one look" in str(error)  # noqa: PT017
    assert 1 < looks < 6
    assert len(trust.links) == 4


def test_what_was_followed_is_known_after_a_restart(tmp_path: Path) -> None:
    chain, path = MadeChain(1_000, {1: FOUR, 500: FIVE}), tmp_path / "followed"
    before = ChainTrust(pin(), path)
    advance(before, chain)
    after = ChainTrust(pin(), path)
    assert (after.newest, after.links, after.base) == (before.newest, before.links, before.base)
    with pytest.raises(NodeBehindError):
        advance(after, chain, 999)
    chain.height = 1_001
    chain.asked.clear()
    advance(after, chain)
    assert len(chain.asked) == 1


def test_another_pin_begins_anew(tmp_path: Path) -> None:
    chain, path = MadeChain(1_000, {1: FOUR, 500: FIVE}), tmp_path / "followed"
    advance(ChainTrust(pin(), path), chain)
    anew = ChainTrust(pin(FIVE, 600), path)
    assert (anew.newest, anew.base) == (None, pin(FIVE, 600))
    advance(anew, chain)
    assert anew.links == ()


@pytest.mark.parametrize("spot", [0, 5, 60, 300, -200, -1])
def test_what_is_kept_is_verified_again(spot: int, tmp_path: Path) -> None:
    chain, path = MadeChain(1_000, {1: FOUR, 500: FIVE}), tmp_path / "followed"
    advance(ChainTrust(pin(), path), chain)
    raw = bytearray(path.read_bytes())
    raw[spot] ^= 1
    path.write_bytes(raw)
    trust = ChainTrust(pin(), path)
    assert trust.newest is None
    advance(trust, chain)
    assert ChainTrust(pin(), path).newest is not None


def test_what_is_kept_of_other_validators_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "followed"
    theirs = ChainTrust(pin(OTHERS), path)
    advance(theirs, MadeChain(9, {1: OTHERS}))
    theirs._digest = ChainTrust(pin())._digest
    theirs._keep(theirs._state)
    assert ChainTrust(pin(), path).newest is None


def test_only_so_many_links_are_kept(tmp_path: Path) -> None:
    sets = {1: FOUR} | {10 * number: many(3 + number % 5) for number in range(1, 21)}
    chain, path = MadeChain(300, sets), tmp_path / "followed"
    trust = ChainTrust(pin(), path)
    for height in range(1, 301, 4):
        advance(trust, chain, height)
    assert [link.header.height + 1 for link in trust.links] == [10 * number for number in range(5, 21)]
    assert len(trust.links) == MAX_LINKS
    assert trust.base.height == 40
    assert trust.base.validators == set_of(sets[40])
    again = ChainTrust(pin(), path)
    assert (again.base, again.links, again.newest) == (trust.base, trust.links, trust.newest)
    with pytest.raises(ChainUnavailableError, match="not among those followed"):
        again.verify(chain, chain.commit(39))


# --- lies -------------------------------------------------------------------------------------------------------------


def test_validators_whom_nobody_announced_are_refused() -> None:
    trust = ChainTrust(pin())
    advance(trust, MadeChain(10))
    with pytest.raises(ChainUnprovenError):
        advance(trust, MadeChain(1_000, {1: OTHERS}))
    with pytest.raises(ChainUnprovenError):  # an honest past, then others who appoint themselves
        advance(trust, Usurped(1_000))
    assert trust.newest is not None
    assert trust.newest.header.height == 10
    assert trust.links == ()


class Usurped(MadeChain):
    """From block 501 on others sign, whom block 500 did not announce."""

    def members(self, height: int) -> Members:
        return FOUR if height <= 500 else OTHERS

    def signed(self, height: int) -> SignedHeader:
        if height != 500:
            return super().signed(height)
        over = header(500, self.began + 500, FOUR, FOUR)
        return SignedHeader(over, commit(over, FOUR))


def test_a_set_other_than_the_announced_one_is_refused() -> None:
    chain, trust = MadeChain(100, {1: FOUR, 50: FIVE}), ChainTrust(pin())
    chain.validators = lambda _: set_of(OTHERS)  # type: ignore[method-assign]
    with pytest.raises(ChainUnprovenError, match="announced"):
        advance(trust, chain)
    assert trust.links == ()


def test_too_few_votes_are_refused() -> None:
    chain, trust = MadeChain(100), ChainTrust(pin())
    over = chain.signed(100).header
    with pytest.raises(ChainUnprovenError):
        trust.advance(chain, SignedHeader(over, commit(over, FOUR, FOUR[:2])))
    assert trust.newest is None
    trust.advance(chain, SignedHeader(over, commit(over, FOUR, FOUR[:3])))


def wider(vote: Signature, over: Header, made: Commit, by: Member) -> Signature:
    """A vote by the rule of CometBFT (ZIP-215) alone: its R has a part of order 8, which the cofactor takes away."""
    order = 2**252 + 27742317777372353535851937790883648493
    torsion = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    seed = bytearray(sha512(by.secret.private_bytes_raw()).digest()[:32])
    seed[0], seed[31] = seed[0] & 248, seed[31] & 127 | 64
    point = crypto_core_ed25519_add(crypto_scalarmult_ed25519_base_noclamp((7).to_bytes(32, "little")), torsion)
    message = signed_bytes(over, over.hash(), made, vote)
    challenge = int.from_bytes(sha512(point + by.key + message).digest(), "little")
    last = (7 + challenge * int.from_bytes(seed, "little")) % order
    return vote._replace(signature=point + last.to_bytes(32, "little"))


def test_the_vote_of_one_validator_who_lies_does_not_spoil_those_of_the_others(tmp_path: Path) -> None:
    """CometBFT takes it into the block; here it counts as absent, and what is passed on is strict again."""
    chain = MadeChain(100, {1: FOUR, 50: FIVE})
    honest, liar = chain.commit, ordered(FOUR)[0]

    def spoilt(height: int | None = None) -> SignedHeader:
        over, votes = honest(height)
        places = [member.key for member in ordered(chain.members(over.height))]
        at, given = places.index(liar.key), list(votes.signatures)
        vote = given[at]
        assert vote is not None
        given[at] = wider(vote, over, votes, liar)
        return SignedHeader(over, replace(votes, signatures=tuple(given)))

    chain.commit = spoilt  # type: ignore[method-assign]
    trust = ChainTrust(pin(), tmp_path / "followed")
    newest = advance(trust, chain)
    assert sum(vote is not None for vote in newest.commit.signatures) == 4
    assert len(verify_links((*trust.links, newest))) == 4
    assert sum(vote is not None for vote in trust.links[0].commit.signatures) == 3
    assert ChainTrust(pin(), tmp_path / "followed").newest == newest
    with pytest.raises(ChainInvalidError, match="does not verify"):
        verify_commit(*spoilt(), set_of(FIVE))


def test_places_for_other_validators_stay_refused() -> None:
    chain, trust = MadeChain(100), ChainTrust(pin())
    over, votes = chain.signed(100)
    with pytest.raises(ChainUnprovenError, match="3 places"):
        trust.advance(chain, SignedHeader(over, replace(votes, signatures=votes.signatures[:3])))


def test_a_header_that_was_changed_is_refused() -> None:
    chain, trust = MadeChain(100), ChainTrust(pin())
    over, votes = chain.signed(100)
    with pytest.raises(ChainUnprovenError):
        trust.advance(chain, SignedHeader(replace(over, app_hash=bytes(32)), votes))


def test_another_chain_is_refused() -> None:
    chain, trust = MadeChain(100), ChainTrust(replace(pin(), chain_name="another"))
    with pytest.raises(ChainMismatchError, match="another"):
        advance(trust, chain)


def test_an_older_header_is_a_node_that_lags() -> None:
    chain, trust = MadeChain(100), ChainTrust(pin())
    advance(trust, chain)
    with pytest.raises(NodeBehindError, match="block 100 is known"):
        advance(trust, chain, 99)
    assert advance(trust, chain).header.height == 100


def test_two_blocks_of_one_height_are_told_as_that() -> None:
    trust = ChainTrust(pin())
    advance(trust, MadeChain(100))
    with pytest.raises(ChainUnprovenError, match="two blocks at height 100"):
        advance(trust, MadeChain(100, fork=b"another"))


def test_a_later_block_must_be_later() -> None:
    trust, late = ChainTrust(pin()), MadeChain(101)
    advance(trust, MadeChain(100))
    late.began -= 5
    with pytest.raises(ChainUnprovenError, match="older"):
        advance(trust, late)


def test_a_source_that_names_other_validators_everywhere_is_refused() -> None:
    trust, liar = ChainTrust(pin()), MadeChain(100, {1: OTHERS})
    advance(trust, MadeChain(50))
    with pytest.raises(ChainUnprovenError, match="other validators than those trusted"):
        advance(trust, liar)
    assert len(liar.asked) < 12


# --- the operator's file ----------------------------------------------------------------------------------------------


def test_the_pin_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "chain-trust.json"
    path.write_text(json.dumps(pin_document(pin(FIVE, 7))))
    assert read_pin(path) == pin(FIVE, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"}, {"height": 0}, {"height": "1"}, {"height": True}, {"chain_name": ""}, {"time": -1},
        {"validators": []}, {"validators": [{"key": "00", "power": 1}]}, {"validators": [{"key": "zz", "power": 1}]},
        {"validators": [{"key": "00" * 32, "power": 0}]}, {"validators": [{"power": 1}]}, {"validators": None},
    ],
)  # fmt: skip
def test_another_form_of_pin_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "chain-trust.json"
    path.write_text(json.dumps(pin_document(pin()) | change))
    with pytest.raises(MalformedError, match="cannot be read"):
        read_pin(path)
    with pytest.raises(MalformedError, match="cannot be read"):
        read_pin(tmp_path / "nothing")
