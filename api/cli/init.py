"""`tial init` and `tial serve`: make a log with its folder, and run its node.

Root authorities consent to a genesis. Where their keys are at hand (a first try, tests) they are made here and consent
at once; in a consortium each has its own (`--member`), the genesis is written as an act for them, and `--genesis` takes
it back with their consents.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.acts import Act, party_of
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.folder import CARD, CONFIG, LogCard, config_text, private_file
from api.cli.options import NO_TEXTS
from ledger.crypto import keyfile
from ledger.crypto.suites import Signer, suite_by_name
from ledger.identifiers.did_key import did_key_public
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import ED25519, Note, Vkey
from ledger.log.tree import leaf_hash
from ledger.statements import Draft, cbor
from ledger.statements.header import read_header
from ledger.store.durable import make_directories
from ledger.store.tiles import TileReader
from node.genesis import Policy, Predecessor, RootMember, create_log, draft_genesis
from node.recovery import DataFolder

CONSENT_DAYS = 30
GENESIS = "genesis.act"
LOG_KEYS = {
    "cose": "ed25519",
    "note": "ed25519",
    "anchor-sender": "secp256k1",
    "anchor-authoriser": "secp256k1",
}


def add(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "init", rich_help_panel="The node")(init)
    command(app, "serve", rich_help_panel="The node")(serve)


def init(
    session: Session,
    *,
    origin: Annotated[str, typer.Option(help="Name of the log for ever, such as node.example.org/assets")] = "",
    folder: Annotated[Path, typer.Option(help="Folder of the node, new or empty")] = Path(),
    root: Annotated[int, typer.Option(min=1, max=32, help="Root authorities whose keys are made here")] = 3,
    threshold: Annotated[int, typer.Option(min=0, help="How many of them must agree (default: a majority)")] = 0,
    member: Annotated[
        list[str], typer.Option(metavar="DID", help="did:key of a root authority elsewhere, instead of --root")
    ] = NO_TEXTS,
    genesis: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Finish: the genesis, with the members' consents in it")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the node on loopback")] = 8080,
    skew: Annotated[int, typer.Option(min=1, help="Seconds that clocks may differ")] = 300,
    rotation_delay: Annotated[int, typer.Option(min=0, help="Seconds until a key rotation takes effect")] = 86_400,
    chain: Annotated[str, typer.Option(metavar="URL", help="JSON-RPC address of the chain to anchor on")] = "",
    chain_id: Annotated[int, typer.Option(help="Its chain id")] = 0,
    contract: Annotated[str, typer.Option(help="Address of the anchor contract")] = "",
    succeeds: Annotated[
        str, typer.Option(metavar="FOLDER|ID,SIZE,ROOT", help="Log that this one follows, at a signed size of it")
    ] = "",
) -> None:
    """Make a log: keys, configuration, and the genesis that the root authorities agree to."""
    if genesis is not None:
        _finish(session, folder, Act.load(genesis))
        return
    if not origin:
        raise UsageError("A log has an origin", where="--origin", remedy="Choose a name that is yours for ever")
    count = len(member) or root
    needed = threshold or count // 2 + 1
    if needed > count:
        raise UsageError(f"The threshold {needed} is more than {count} authorities", where="--threshold")
    Vkey(origin, ED25519, suite_by_name("ed25519").generate().public_key)  # refuses an unusable name before any file
    _refuse_used(folder)
    predecessor = _predecessor(succeeds) if succeeds else None
    keys = {name: suite_by_name(suite).generate() for name, suite in LOG_KEYS.items()}
    roots = [] if member else [suite_by_name("ed25519").generate() for _ in range(root)]
    members = [RootMember(did, *did_key_public(did)) for did in member] or [
        RootMember(party_of(signer), signer.suite.name, signer.public_key) for signer in roots
    ]
    policy = Policy(skew=skew, rotation_delay=rotation_delay)
    draft = draft_genesis(
        origin, keys["cose"], keys["note"], members, needed, policy, int(time.time()), predecessor=predecessor
    )
    chain_values = {"url": chain, "chain_id": chain_id, "contract": contract} if chain else {}
    act = Act.of(draft, keys["cose"])
    for signer in roots[:needed]:
        act = act.consented(signer, party_of(signer), draft.iat + CONSENT_DAYS * 86_400)
    _lay_out(session, folder, config_text(port=port, chain=chain_values))
    _save_keys(session, folder, keys | {f"root-{n}": signer for n, signer in enumerate(roots, 1)})
    path = folder / GENESIS
    session.write(path, act.encode())  # kept: from it a crash on the way can be finished
    if not member:
        _create(session, folder, act, keys["cose"], keys["note"].public_key)
        return
    session.show_act(act, f"Written to {path}: have {needed} members consent, then tial init --genesis {path}")


def serve(
    session: Session,
    *,
    recover_lock: Annotated[
        bool,
        typer.Option(
            "--recover-lock", help="Write a lost signed-checkpoint lock anew; only where the chain agrees with the log"
        ),
    ] = False,
    clock_checked: Annotated[
        bool, typer.Option("--clock-checked", help="Start though the log was idle for long: the clock is right")
    ] = False,
) -> None:
    """Run the node until SIGTERM or Ctrl-C: it takes statements, publishes checkpoints, anchors."""
    from api.http.server import serve as run  # noqa: PLC0415 - the server is slow to load, for this command only

    code = run(session.config, recover_lock=recover_lock, clock_checked=clock_checked)
    if code:
        raise typer.Exit(code)


def _refuse_used(folder: Path) -> None:
    """A folder with a node in it is refused; one where a crash came before the log was made can be finished."""
    if not (folder / CONFIG).exists() and not (folder / "keys").exists():
        return
    if (folder / GENESIS).exists() and not DataFolder(folder / "data").instance.exists():
        raise UsageError(
            "A log was begun here and not finished",
            where=str(folder),
            remedy=f"Run tial init --folder {folder} --genesis {folder / GENESIS}, or remove the folder: nothing was"
            " acknowledged in it",
        )
    raise UsageError("There is a node here already", where=str(folder), remedy="Choose another --folder")


def _predecessor(text: str) -> Predecessor:
    """A log to go on from: the folder of its node (or of its data), or ID,SIZE,ROOT as others know it."""
    path = Path(text)
    if path.is_dir():
        served = DataFolder(path / "data" if (path / "data").is_dir() else path).served
        reader = TileReader(served)
        note = reader.checkpoint()
        if note is None:
            raise UsageError("That log has published nothing", where=str(served), remedy="Give its ID,SIZE,ROOT")
        signed = Checkpoint.parse(Note.parse(note).text)
        return Predecessor(leaf_hash(reader.entry(0)), signed.size, signed.root)
    log, _, rest = text.partition(",")
    size, _, root = rest.partition(",")
    try:
        found = Predecessor(bytes.fromhex(log), int(size), bytes.fromhex(root))
    except ValueError:
        found = Predecessor(b"", 0, b"")
    if (len(found.log), len(found.root)) != (32, 32) or found.size < 2:
        raise UsageError(
            "A predecessor is a folder, or ID,SIZE,ROOT of one of its checkpoints",
            where="--succeeds",
            remedy="Read size and root from its checkpoint or from the chain",
        )
    return found


def _lay_out(session: Session, folder: Path, config: str) -> None:
    make_directories(folder)
    for name in ("keys", "lock"):
        make_directories(folder / name, 0o700)
    passphrase = os.environ.get("TIAL_PASSPHRASE") or secrets.token_urlsafe(32)
    private_file(folder / "keys" / "passphrase", passphrase)
    private_file(folder / "keys" / "operator.token", secrets.token_urlsafe(32))
    session.write(folder / CONFIG, config.encode())


def _save_keys(session: Session, folder: Path, keys: dict[str, Signer]) -> None:
    passphrase = (folder / "keys" / "passphrase").read_text().rstrip("\n")
    for name, signer in keys.items():
        session.note(f"key {name}")
        keyfile.save(folder / "keys" / f"{name}.key", signer, passphrase)


def _finish(session: Session, folder: Path, act: Act) -> None:
    """Create the log from a genesis that came back with its consents."""
    name, *_ = read_header(act.protected)
    if name != "genesis":
        raise UsageError(f"This act is a {name}, not a genesis", where="--genesis")
    passphrase = (folder / "keys" / "passphrase").read_text().rstrip("\n")
    cose = keyfile.load(folder / "keys" / "cose.key", passphrase)
    note = keyfile.describe(folder / "keys" / "note.key")
    _create(session, folder, act, cose, note.public_key)


def _create(session: Session, folder: Path, act: Act, cose: Signer, note: bytes) -> None:
    _, _, _, claims = read_header(act.protected)
    body = cbor.decode(act.body)
    draft = Draft("genesis", claims[1], claims[2], None, claims[6], body=body)
    data, lock = DataFolder(folder / "data"), folder / "lock" / "checkpoint.lock"
    log_id = create_log(data, lock, draft, cose, act.consents)
    origin = body["origin"]
    card = LogCard(log_id.hex(), origin, Vkey(origin, ED25519, note).format(), party_of(cose))
    card.save(folder)
    told = {
        "folder": str(folder.absolute()),
        "log": card.log_id,
        "origin": card.origin,
        "vkey": card.vkey,
        "config": str(folder / CONFIG),
        "card": str(folder / CARD),
        "keys": _listed(folder),
    }
    rows = [(name, value) for name, value in told.items() if name != "keys"]
    session.out(told, table(("", ""), rows), f"Next: tial serve --config {folder / CONFIG}")


def _listed(folder: Path) -> Sequence[str]:
    return sorted(str(path) for path in (folder / "keys").glob("*.key"))
