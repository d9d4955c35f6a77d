"""What every statement must satisfy, and whose signature counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.crypto.suites import SUITES
from ledger.errors import Rejection
from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, IdentifierRecord
from ledger.state.transition import UnknownRulesError, transition
from ledger.state.view import MemoryState
from ledger.statements import decode_statement, sign, subjects
from tests.world import DAY, ITEM, PREFIX, Consortium, Party, World, accepts, key, key_entry, must_refuse

OTHER = "vaa:88.118.8/B2"


def test_only_a_genesis_as_entry_0_begins_a_log(world: World, c: Consortium):
    empty = World()
    empty.state = MemoryState()
    must_refuse(Reason.GENESIS_MISPLACED, empty, world.entries[0])  # at index 2, though nothing is there
    empty.entries = []
    must_refuse(Reason.GENESIS_MISPLACED, empty, c.entries[2])
    empty.put(world.entries[0])
    must_refuse(Reason.GENESIS_MISPLACED, empty, world.entries[0])


def test_a_statement_for_another_log_is_refused(c: Consortium):
    other = Consortium(skew=301)
    assert other.log_id != c.log_id
    raw = other.registration(other.registrar, OTHER, PREFIX)
    other.put(raw)
    must_refuse(Reason.WRONG_LOG, c, raw)


def test_a_log_statement_about_another_log_is_refused(c: Consortium):
    must_refuse(Reason.WRONG_LOG, c, c.log_change(sub=f"log:{'ab' * 32}", suites=[-8]))


@accepts("registration", "log", "manifest")
def test_a_sealed_log_takes_nothing_but_the_manifest_that_closes_its_last_batch(c: Consortium):
    c.put(c.registration(c.registrar, OTHER, PREFIX))
    c.put(c.log_change(seal={"successor": "cd" * 32}))
    assert c.log.successor == b"\xcd" * 32
    must_refuse(Reason.LOG_SEALED, c, c.registration(c.registrar, "vaa:88.118.8/C3", PREFIX))
    must_refuse(Reason.LOG_SEALED, c, c.log_change(suites=[-8]))
    c.close(c.now)


def test_a_suite_that_the_log_does_not_admit_is_refused_everywhere():
    c = Consortium()
    seq = c.touches(IdentifierRecord, ITEM)
    ready = c.fork()
    ready.put(ready.transfer(ready.holder, ITEM, ready.stranger, seq=seq))  # es256 is good so far
    c.put(c.log_change(suites=[-8]))
    must_refuse(Reason.UNKNOWN_SUITE, c, c.transfer(c.holder, ITEM, c.stranger, seq=seq))
    newcomer = Party("newcomer", "es256")
    must_refuse(Reason.UNKNOWN_SUITE, c, c.enrolment(newcomer, consents=[c.enroller]))
    entries = [key_entry(newcomer.signer)]
    must_refuse(Reason.UNKNOWN_SUITE, c, c.rotation(c.stranger, add=[newcomer.signer], entries=entries))
    # a consent in a suite that the log gave up counts no more than a signature in it
    c.put(c.registration(c.registrar, OTHER, PREFIX))
    must_refuse(Reason.UNKNOWN_SUITE, c, c.transfer(c.registrar, OTHER, c.holder, seq=1))


class _Disguised:
    """Signs with an Ed25519 key under the name of another suite."""

    def __init__(self, party: Party) -> None:
        self.suite = SUITES["es256"]
        self.public_key, self.kid = party.signer.public_key, party.signer.kid
        self.sign = party.signer.sign


def test_the_algorithm_must_be_that_of_the_registered_key(c: Consortium):
    disguised: Any = _Disguised(c.registrar)
    raw = sign(_registration(c), disguised)
    assert decode_statement(raw).alg == -7
    must_refuse(Reason.UNKNOWN_SUITE, c, raw)


def _registration(c: Consortium, **fields: Any) -> Any:
    claims = {"holder": c.holder.did, "delegation": PREFIX}
    return c.draft("registration", c.registrar.did, OTHER, claims, digest=bytes(32), **fields)


def test_iat_may_be_ahead_of_log_time_by_the_skew_and_no_more(c: Consortium):
    must_refuse(Reason.IAT_AHEAD, c, sign(_registration(c, iat=c.now + 301), c.registrar.signer))
    c.put(sign(_registration(c, iat=c.now + 300), c.registrar.signer))


def test_iat_may_be_as_old_as_the_maximum_age_and_no_older(c: Consortium):
    must_refuse(Reason.IAT_TOO_OLD, c, sign(_registration(c, iat=c.now - DAY - 1), c.registrar.signer))
    c.put(sign(_registration(c, iat=c.now - DAY), c.registrar.signer))


def test_a_captured_statement_is_too_old_later(c: Consortium):
    raw = c.registration(c.registrar, OTHER, PREFIX)
    c.later(DAY + 1)
    must_refuse(Reason.IAT_TOO_OLD, c, raw)


@pytest.mark.parametrize("seq", [0, 1, 3, 2**64 - 1])
def test_seq_must_be_the_count_of_the_record(c: Consortium, seq: int):
    assert c.touches(IdentifierRecord, ITEM) == 2
    must_refuse(Reason.STALE_SEQUENCE, c, c.transfer(c.holder, ITEM, c.stranger, seq=seq))
    c.put(c.transfer(c.holder, ITEM, c.stranger, seq=2))


def test_an_old_transfer_cannot_be_replayed_after_the_item_came_back(c: Consortium):
    there = c.transfer(c.holder, ITEM, c.stranger, seq=2)
    c.put(there)
    c.put(c.transfer(c.stranger, ITEM, c.holder, seq=3))
    must_refuse(Reason.STALE_SEQUENCE, c, there)


def test_seq_is_absent_where_there_is_no_record(c: Consortium):
    must_refuse(Reason.STALE_SEQUENCE, c, c.registration(c.registrar, OTHER, PREFIX, claims={"seq": 0}))
    must_refuse(Reason.STALE_SEQUENCE, c, c.delegation(c.stranger, "vaa/88.999", claims={"seq": 0}))
    must_refuse(Reason.STALE_SEQUENCE, c, c.template(c.authority, "other/1", seq=0))
    must_refuse(Reason.STALE_SEQUENCE, c, c.template(c.authority, state="withdrawn"))
    must_refuse(Reason.STALE_SEQUENCE, c, c.accreditation(c.accreditor, c.certifier, 2, claims={"seq": 0}))


def test_a_certificate_makes_a_prepared_transfer_stale(c: Consortium):
    c.put(c.registration(c.registrar, OTHER, PREFIX, c.holder))
    transfer = c.transfer(c.holder, OTHER, c.stranger, seq=1)
    c.put(c.certification(c.certifier, OTHER, 2))
    must_refuse(Reason.STALE_SEQUENCE, c, transfer)


@pytest.mark.parametrize(
    "sub",
    [
        "vaa:88.118.8",  # no suffix
        "vaa:88.118.8/%41",  # an encoding that needs not be: refused while decoding, or here
        "nosuch:88.118.8/A1",
        "gs1:01/06901234567891/21/A1",  # check digit
        "gs1:01/6901234567892/21/A1",  # not padded
        "vin:lsvaa49j132047371",  # lower case
        "did:web:EXAMPLE.org",
    ],
)
def test_a_subject_that_is_not_an_identifier_in_normal_form_is_refused(c: Consortium, sub: str):
    must_refuse(Reason.MALFORMED_SUBJECT, c, c.registration(c.registrar, sub, PREFIX))
    must_refuse(Reason.MALFORMED_SUBJECT, c, c.certification(c.certifier, sub, 2))
    must_refuse(Reason.MALFORMED_SUBJECT, c, c.transfer(c.holder, sub, c.stranger, seq=1))


def test_a_stranger_to_the_log_can_do_nothing(c: Consortium):
    nobody = Party("nobody")
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.registration(nobody, OTHER, PREFIX))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.certification(nobody, ITEM, 2))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.transfer(nobody, ITEM, c.stranger, seq=2))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.status(nobody, ITEM, "blocked", "regulator", 2))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.template(nobody, "other/1"))


def test_a_key_of_somebody_else_is_refused(c: Consortium):
    raw = c.act("registration", c.registrar, OTHER, {"holder": c.holder.did, "delegation": PREFIX},
                signer=c.stranger.signer, digest=bytes(32))  # fmt: skip
    must_refuse(Reason.UNKNOWN_KEY, c, raw)


def test_a_signature_that_does_not_verify_is_refused(c: Consortium):
    raw = c.registration(c.registrar, OTHER, PREFIX)
    must_refuse(Reason.BAD_SIGNATURE, c, raw[:-1] + bytes([raw[-1] ^ 1]))
    for altered in (replace(_registration(c), iat=c.now - 1), replace(_registration(c), digest=b"\x01" * 32)):
        moved = sign(altered, c.registrar.signer)
        signature = decode_statement(raw).signature
        must_refuse(Reason.BAD_SIGNATURE, c, moved[: -len(signature)] + signature)


def test_keys_serve_within_their_dates_and_purposes_only(c: Consortium):
    dated, agreeing, signing = key("dated"), key("agreeing"), key("signing")
    keys = [
        key_entry(c.stranger.signer),
        key_entry(dated, nbf=c.now + 100, exp=c.now + 200),
        key_entry(agreeing, ["consent"]),
        key_entry(signing, ["statement"]),
    ]
    party = Party("several")
    keys[0] = key_entry(party.signer)
    draft = c.draft("actor", party.did, party.did, body={"keys": keys, "roles": [], "name": "several"})
    digest = draft.consent_digest(party.signer)
    own = [party.consent(digest, signer=s) for s in (dated, agreeing, signing)]
    c.put(sign(draft, party.signer, [*own, c.enroller.consent(digest)]))
    c.delegate(party, "vaa/88.777")

    def raw(signer: Any, n: int) -> bytes:
        claims = {"holder": party.did, "delegation": "vaa/88.777"}
        return c.act("registration", party, f"vaa:88.777.1/{n}", claims, signer=signer, digest=bytes(32))

    must_refuse(Reason.KEY_NOT_VALID, c, raw(dated, 1))
    must_refuse(Reason.KEY_PURPOSE, c, raw(agreeing, 1))
    c.put(raw(signing, 1))
    c.later(100)
    c.put(raw(dated, 2))
    c.later(99)
    c.put(raw(dated, 3))
    c.later(1)
    must_refuse(Reason.KEY_NOT_VALID, c, raw(dated, 4))
    # and consents likewise
    draft = c.draft("transfer", c.holder.did, ITEM, {"holder": party.did, "seq": 2}, {})
    digest = draft.consent_digest(c.holder.signer)
    must_refuse(Reason.KEY_PURPOSE, c, sign(draft, c.holder.signer, [party.consent(digest, signer=signing)]))
    must_refuse(Reason.KEY_NOT_VALID, c, sign(draft, c.holder.signer, [party.consent(digest, signer=dated)]))
    c.put(sign(draft, c.holder.signer, [party.consent(digest, signer=agreeing)]))


def test_an_unknown_rules_version_stops_everything(c: Consortium):
    c.put(c.log_change(rules=2))
    for raw in (c.registration(c.registrar, OTHER, PREFIX), c.manifest(c.now)):
        with pytest.raises(UnknownRulesError):
            c.put(raw)
    future = replace(c.genesis, body={**(c.genesis.body or {}), "rules": 7})
    digest = future.consent_digest(c.cose)
    statement = decode_statement(sign(future, c.cose, [p.consent(digest) for p in c.roots]))
    with pytest.raises(UnknownRulesError):
        transition(MemoryState(), statement, 0)


def test_the_same_act_twice_is_refused_whatever_its_type(c: Consortium):
    c.put(c.rotation(c.stranger, add=[key("second")]))
    c.put(c.transfer(c.holder, ITEM, c.stranger, seq=2))
    c.put(c.status(c.certifier, subjects.credential("00000000-0000-0000-0000-000000000001"), "suspended", "issuer", 1))
    for raw in list(c.entries):
        with pytest.raises(Rejection):
            c.put(raw)


def test_deciding_changes_nothing_and_is_deterministic(c: Consortium):
    statement = decode_statement(c.registration(c.registrar, OTHER, PREFIX, c.holder))
    before = dict(c.state.records)
    first = transition(c.state, statement, len(c.entries))
    assert transition(c.state, statement, len(c.entries)) == first
    assert c.state.records == before
    assert set(first) == {(IdentifierRecord, OTHER)}
    assert c.state.read(ActorRecord, c.registrar.did) is before[ActorRecord, c.registrar.did]
