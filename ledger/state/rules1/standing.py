"""Whether the issuer of an admitted act could still do the like now: the same checks, without the act's own novelty.

Decides nothing about admission. A verifier asks it beside the question whether the issuer was entitled at issuance: a
certifier may have lost its accreditation since. Which key signed plays no part, since keys are rotated; that the issuer
has one in force does.
"""

from __future__ import annotations

from ledger.errors import Rejection
from ledger.identifiers import SCHEMES
from ledger.state.reasons import Reason, refuse
from ledger.state.records import ActorRecord, LogRecord
from ledger.state.rules1.assets import check_scope
from ledger.state.rules1.context import Act
from ledger.state.rules1.rights import check_chain, covering
from ledger.state.view import Verify, View
from ledger.statements import Statement

ROLES = {"accreditation": "accreditor", "template": "template-authority"}
"""Types whose issuer needs a role and no more."""
JUDGED = frozenset({"registration", "certification", *ROLES})
"""Types about whose issuer the question makes sense: those that rest on a right that may end."""


def check_standing(view: View, statement: Statement, log: LogRecord, verify: Verify) -> None:
    """Raise the Rejection that says why the issuer may not do the like at log time; return where it may."""
    act = Act(view, statement, 0, verify, log)
    actor = act.actor(statement.iss)
    if actor is None:
        raise refuse(Reason.UNKNOWN_ACTOR, statement.iss, where="claims.iss")
    _require_key(act, actor)
    if statement.type in ROLES:
        act.require_role(actor, ROLES[statement.type])
    elif statement.type == "certification":
        check_scope(act, statement.iss, statement.claims["accreditation"], statement.claims)
    elif statement.type == "registration":
        identifier = act.identifier(statement.sub, "claims.sub")
        prefixes = SCHEMES[identifier.scheme].prefixes(identifier.normal)
        _, delegation = covering(act, identifier.scheme, prefixes, statement.claims["delegation"])
        if delegation.holder != statement.iss:
            raise refuse(Reason.WRONG_SIGNER, f"The delegation is held by {delegation.holder}.", where="claims.iss")
        check_chain(act, identifier.scheme, delegation, "register")


def _require_key(act: Act, actor: ActorRecord) -> None:
    for key in actor.keys:
        try:
            act.usable_key(actor, key.kid, "statement")
        except Rejection:
            continue  # another key may do
        return
    raise refuse(Reason.KEY_NOT_VALID, f"{act.st.iss} has no key in force.", where="claims.iss")
