"""`tial log next-keys`, `rotate-keys`, `adopt-keys` and `seal`: changes of the log itself, by its operator and root.

A change of keys takes three steps, because the node accepts only keys that it holds: new key files are made and named
in tial.toml (then the node is started again), the root threshold agrees to the change, and once it is in force the new
files become the configured ones. A seal ends the log for good; the chain is told by `tial anchor seal`.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.acts import Act, party_of
from api.answers import LogInfo
from api.cli.context import Session, command
from api.cli.errors import UsageError
from api.cli.folder import CARD, LogCard, set_keys
from api.cli.operate import log_app
from api.cli.options import NO_FILES, DraftFile, RootKeys, consenting
from api.client import Client
from api.log_acts import CONSENT_SECONDS, change_keys, seal
from ledger.crypto import keyfile
from ledger.crypto.suites import Signer, suite_by_name
from ledger.errors import MalformedError

NONE = "none"


@command(log_app, "next-keys")
def next_keys(
    session: Session,
    *,
    cose: Annotated[bool, typer.Option("--cose/--no-cose", help="A new key for manifests and acknowledgements")] = True,
    note: Annotated[bool, typer.Option("--note/--no-note", help="A new key for checkpoints")] = True,
) -> None:
    """Make the keys that are to follow the log's own, and name them in tial.toml; then start the node again."""
    config = session.config
    names = asdict(config.keys)
    wanted = [name for name, asked in (("cose", cose), ("note", note)) if asked]
    if not wanted:
        raise UsageError("There is no key to make", where="next-keys", remedy="Leave --no-cose or --no-note out")
    for name in wanted:
        if names[f"next_{name}"]:
            raise UsageError(
                "A next key is configured already", where=f"keys.next_{name}", remedy="Use it, or take it out first"
            )
    for name in wanted:
        current = Path(names[name])
        path = current.with_name(f"{name}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}{current.suffix}")
        signer = suite_by_name("ed25519").generate()
        keyfile.save(config.path(str(path)), signer, config.passphrase())
        names[f"next_{name}"] = str(path)
    set_keys(session.config_path, names)
    told = {f"next_{name}": names[f"next_{name}"] for name in wanted}
    session.out(told, *told.items(), "Start the node again, then: tial log rotate-keys")


@command(log_app, "rotate-keys", submits=True)
def rotate_keys(session: Session, *, root: RootKeys = NO_FILES, draft: DraftFile = None) -> None:
    """Change the log's keys to the next ones of tial.toml: with the root's keys at hand, or by way of a file.

    By way of a file: write it with --draft, have a threshold of root authorities run `tial consent sign`, and finish
    with `tial consent submit FILE --key` and the cose key that is in force.
    """
    keys = session.config.keys
    with session.client() as client:
        info = client.log()
        cose = _next(session, keys.next_cose, info.cose_key)
        note = _next(session, keys.next_note, bytes.fromhex(info.raw["keys"]["note"][-1]["key"]))
        current = _current(session, info)
        act = change_keys(client, current, cose, note, int(time.time()))
        _conclude(session, client, act, current, root, draft)


@command(log_app, "adopt-keys")
def adopt_keys(session: Session) -> None:
    """Make next keys that are in force the configured ones; the former files stay where they are, to be put away."""
    keys = session.config.keys
    names = asdict(keys)
    with session.client() as client:
        info = client.log()
    in_force = {"cose": info.cose_key, "note": bytes.fromhex(info.raw["keys"]["note"][-1]["key"])}
    adopted = {}
    for name, key in in_force.items():
        path = names[f"next_{name}"]
        if path and keyfile.describe(session.config.path(path)).public_key == key:
            adopted[name], names[name], names[f"next_{name}"] = path, path, ""
    if not adopted:
        raise UsageError("No next key is in force", where="keys", remedy="Run `tial log rotate-keys` first")
    set_keys(session.config_path, names)
    if (session.config.base / CARD).exists():
        LogCard(info.log_id.hex(), info.origin, info.vkey_for(info.size), str(info.raw["cose"]["did"])).save(
            session.config.base
        )
    session.out(adopted, *adopted.items(), "Give log.json to those who check the log, witnesses first.")


@command(log_app, "seal", submits=True)
def log_seal(
    session: Session,
    *,
    successor: Annotated[
        str, typer.Option(metavar="ID|FOLDER", help="The log that goes on: its id or its folder; or none")
    ],
    root: RootKeys = NO_FILES,
    draft: DraftFile = None,
) -> None:
    """End the log for good, naming its successor; the root threshold agrees. What is in it stays readable."""
    follower = _successor(successor)
    with session.client() as client:
        current = _current(session, client.log())
        act = seal(client, current, follower, int(time.time()))
        _conclude(session, client, act, current, root, draft)


def _conclude(
    session: Session, client: Client, act: Act, current: Signer, root: list[Path], draft: Path | None
) -> None:
    for signer, did in consenting(session, root):
        act = act.consented(signer, did or party_of(signer), int(time.time()) + CONSENT_SECONDS)
    if draft is not None:
        session.write(draft, act.encode())
        session.show_act(act, f"Written to {draft}; next: tial consent sign {draft} --key KEY", file=str(draft))
        return
    session.submit(client, act.signed(current))


def _next(session: Session, path: str, in_force: bytes) -> Signer | None:
    """The next key, unless it is in force already."""
    if not path:
        return None
    signer = session.key(session.config.path(path))
    return None if signer.public_key == in_force else signer


def _current(session: Session, info: LogInfo) -> Signer:
    """The cose key in force, whichever of the two files holds it."""
    keys = session.config.keys
    for path in (keys.cose, keys.next_cose):
        if path and keyfile.describe(session.config.path(path)).public_key == info.cose_key:
            return session.key(session.config.path(path))
    raise UsageError("No configured key is the log's cose key", where="keys.cose", remedy="Configure the key in force")


def _successor(text: str) -> bytes:
    if text == NONE:
        return bytes(32)
    if (Path(text) / CARD).is_file():
        text = LogCard.load(Path(text)).log_id
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32 or found == bytes(32):
        raise MalformedError(
            "A successor is a log id, 64 hexadecimal digits, a node's folder, or none",
            where="--successor",
            remedy="Make it first: tial init --succeeds",
        )
    return found
