"""`tial chain validator`: who makes the blocks of a BFT network, and with how much power.

The list is the consortium contract's; the chain follows a change two blocks later. Blocks need more than two thirds of
all power: power given to a node that does not run counts against every block. So a change is refused after which the
validators that are seen to run could make none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.bft import NetworkOption
from api.cli.consortium import AdministratorKeys, Hand, hand, report
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.options import NO_FILES
from devnet.bft.network import BftNetwork
from ledger.errors import MalformedError

if TYPE_CHECKING:
    from ledger.evidence.chain.comet.validators import Validator

validator_app = typer.Typer(help="Validators of the BFT network, and their power.", no_args_is_help=True)

_Validator = Annotated[str, typer.Argument(metavar="KEY|NODE", help="Ed25519 key in hex, or a node such as node2")]
_MayHalt = Annotated[
    bool,
    typer.Option("--may-halt", help="Also where the validators that run would hold two thirds of the power or less"),
]
_EFFECTIVE = 2
"""Blocks after an act until the validators are the new ones."""


def add(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(validator_app, name="validator")


@command(validator_app, "list")
def validator_list(session: Session, *, network: NetworkOption = None) -> None:
    """List the validators as the consortium has set them; the chain follows two blocks later."""
    with hand(session, network, changes=False) as at:
        found = at.consortium.validators()
        names = _names(at.network)
    total = sum(validator.power for validator in found)
    rows = [{"key": v.key.hex(), "power": v.power, "node": names.get(v.key, "")} for v in found]
    shown = [(v.key.hex(), v.power, f"{100 * v.power / total:.1f} %", names.get(v.key, "")) for v in found]
    session.out({"validators": rows}, table(("validator", "power", "share", "node"), shown))


@command(validator_app, "set")
def validator_set(
    session: Session,
    *,
    validator: _Validator,
    power: Annotated[int, typer.Argument(min=1, max=1 << 40, help="Its weight in every vote")],
    may_halt: _MayHalt = False,
    key: AdministratorKeys = NO_FILES,
    network: NetworkOption = None,
) -> None:
    """Make a node a validator, or change its power. Blocks need more than two thirds of all power.

    Refused where those that run would then hold no more: the chain would halt, and no act could end that.
    """
    from ledger.evidence.chain.comet.validators import Validator  # noqa: PLC0415 - for this command only

    with hand(session, network) as at:
        chosen = Validator(_validator_key(at.network, validator), power)
        known = list(at.consortium.validators())
        places = [place for place, each in enumerate(known) if each.key == chosen.key]
        if places and known[places[0]] == chosen:
            session.out({"act": "", "executed": True, "missing": 0}, "It has that power already.")
            return
        changed = [chosen if each.key == chosen.key else each for each in known] + ([] if places else [chosen])
        _require_carried(at, changed, may_halt=may_halt)
        told = at.perform(key, at.consortium.call_set_validators(changed))
    report(session, _effective(told), f"{chosen.key.hex()} has power {power} from two blocks on")


@command(validator_app, "remove")
def validator_remove(
    session: Session,
    *,
    validator: _Validator,
    may_halt: _MayHalt = False,
    key: AdministratorKeys = NO_FILES,
    network: NetworkOption = None,
) -> None:
    """Take a validator out; its node goes on following the chain.

    Refused where the others that run hold no more than two thirds: the chain would halt, and no act could end that.
    """
    with hand(session, network) as at:
        removed = _validator_key(at.network, validator)
        known = at.consortium.validators()
        kept = [each for each in known if each.key != removed]
        if len(kept) == len(known):
            raise UsageError(f"{removed.hex()} is no validator", where="KEY|NODE")
        if not kept:
            raise UsageError("The last validator stays: without one there are no blocks", where="KEY|NODE")
        _require_carried(at, kept, may_halt=may_halt)
        told = at.perform(key, at.consortium.call_set_validators(kept))
    report(session, _effective(told), f"{removed.hex()} validates no more from two blocks on")


def _require_carried(at: Hand, changed: Sequence[Validator], *, may_halt: bool) -> None:
    """Refuse a set that the validators which run cannot carry, as far as that can be seen from here."""
    from api.bft_power import require_carried, running  # noqa: PLC0415 - the chain's libraries take a second to load

    if may_halt:
        return
    comet = at.network.comet_urls if at.network.made else at.session.config.chain.comet.split()
    if not comet:
        at.session.note("chain.comet names no node: nobody looks whether the validators run")
        return
    require_carried(changed, running(at.network, comet, [each.key for each in changed]))


def _effective(told: dict[str, Any]) -> dict[str, Any]:
    return told | ({"effective": told["block"] + _EFFECTIVE} if told["executed"] else {})


def _names(network: BftNetwork) -> dict[bytes, str]:
    return {node.key: node.name for node in network.description.nodes} if network.made else {}


def _validator_key(network: BftNetwork, text: str) -> bytes:
    for key, name in _names(network).items():
        if text == name:
            return key
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise MalformedError(
            f"{text[:80]!r} is no validator", where="KEY|NODE", remedy="Write 64 hexadecimal digits, or a node's name"
        )
    return key
