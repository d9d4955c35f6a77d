"""Corners where two rules meet: who enrolled, what a star means, and times that must not cross."""

from __future__ import annotations

import pytest

from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, CredentialRecord, IdentifierRecord, ReconfirmedRecord
from ledger.statements import decode_statement
from tests.world import DAY, ITEM, PREFIX, Consortium, Party, credential, key_entry, must_refuse


def test_an_actor_has_one_enroller_or_the_root():
    world = Consortium()
    second = Party("second enroller")
    world.enrol(second, "enroller")
    newcomer = Party("newcomer")
    must_refuse(Reason.CONSENT_REPEATED, world, world.enrolment(newcomer, consents=[world.enroller, second]))
    must_refuse(
        Reason.CONSENT_UNKNOWN_PARTY, world, world.enrolment(newcomer, consents=[world.enroller, world.stranger])
    )
    world.put(world.enrolment(newcomer, "regulator", consents=[*world.roots[:2], world.enroller]))
    record = world.state.read(ActorRecord, newcomer.did)
    assert record is not None
    assert record.enroller == "", "where the root threshold consented, the root enrolled"


def test_the_signing_key_of_an_enrolment_must_be_in_force():
    world, newcomer = Consortium(), Party("newcomer")
    keys = [key_entry(newcomer.signer, nbf=world.now + DAY)]
    must_refuse(Reason.KEY_NOT_VALID, world, world.enrolment(newcomer, consents=[world.enroller], keys=keys))


@pytest.mark.parametrize("claim", ["class", "site", "standard"])
def test_a_star_in_a_scope_covers_everything_but_a_star(claim: str):
    world = Consortium()
    scope = {"classes": ["*"], "sites": ["*"], "standards": ["*"]}
    world.accredit(world.accreditor, world.certifier, 2, scope=scope)
    claims = {"accreditation": 2, claim: "*"}
    must_refuse(Reason.OUT_OF_SCOPE, world, world.certification(world.certifier, ITEM, 2, claims=claims))
    world.put(world.certification(world.certifier, ITEM, 2, claims={"accreditation": 2, "class": "anything"}))


def test_the_holder_of_an_expired_delegation_cannot_block():
    world, holder = Consortium(), Party("short holder")
    world.enrol(holder)
    world.delegate(holder, f"{PREFIX}.77", by=world.registrar, parent=PREFIX, exp=world.now + DAY)
    item = f"vaa:{PREFIX.removeprefix('vaa/')}.77/A"
    world.put(world.registration(holder, item, f"{PREFIX}.77"))
    world.put(world.status(holder, item, "blocked", "delegation-holder", 1))
    world.put(world.status(holder, item, "live", "delegation-holder", 2))
    world.later(2 * DAY)
    must_refuse(Reason.ROLE_NOT_ALLOWED, world, world.status(holder, item, "blocked", "delegation-holder", 3))


def test_a_suspension_cannot_be_lifted_before_it_took_effect():
    world = Consortium()
    world.later(100)
    world.put(world.status(world.certifier, credential(1), "suspended", "issuer", 1))
    raw = world.status(world.certifier, credential(1), "active", "issuer", 2, claims={"effective": world.now - 50})
    must_refuse(Reason.EFFECTIVE_TOO_EARLY, world, raw)
    world.put(world.status(world.certifier, credential(1), "active", "issuer", 2))
    record = world.state.read(CredentialRecord, credential(1))
    assert record is not None
    assert record.state == "active"
    assert world.state.read(IdentifierRecord, ITEM) is not None


def test_an_enroller_reconfirms_only_statements_of_the_actor_that_it_speaks_for():
    """Reconfirming another actor's statement under a puppet's name says nothing about that statement."""
    world = Consortium()
    rogue, puppet = Party("rogue enroller"), Party("puppet")
    world.enrol(rogue, "enroller")
    world.enrol(puppet, by=rogue)
    leaf = decode_statement(world.entries[-3]).leaf
    seq = {"seq": world.touches(ActorRecord, puppet.did)}
    body = {"bad": [{"kid": puppet.signer.kid, "from": 0}], "confirmed": [], "reconfirmed": [leaf]}
    world.put(world.act("compromise", rogue, puppet.did, seq, body))
    assert world.state.read(ReconfirmedRecord, puppet.did, leaf) is not None
    assert world.state.read(ReconfirmedRecord, world.registrar.did, leaf) is None
