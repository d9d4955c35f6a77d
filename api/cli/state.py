"""`tial proof state`: ask for a proof of what the state holds, and check it before a word of it is shown."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from api.cli.context import Session, command, table
from api.state import check_state, state_key
from ledger.state.places import place_of_subject
from ledger.state.records import KIND_OF, decode_record
from ledger.statements import subjects

app = typer.Typer(help="Proofs of the state: what the log holds about something, or that it holds nothing.")
NODES_WORD = "that this is the true state is the operator's word"


@app.callback()
def _group() -> None:
    """Proofs of the state: what the log holds about something, or that it holds nothing."""


def state(
    session: Session,
    *,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="A typed subject")],
    batch: Annotated[int | None, typer.Option(min=1, help="Number of a closed batch; else the published one")] = None,
    identifier: Annotated[bool, typer.Option("--identifier", help="Take a DID as an identifier, not an actor")] = False,
) -> None:
    """Prove what the state held about something at the end of a batch, and check the proof here.

    The proof leads from the record to the root in a signed manifest, and from that to a signed checkpoint.
    """
    kind = "identifier" if identifier else ""
    key = state_key(subject, kind)
    with session.client() as client:
        info = client.log()
        answer = client.state_proof([subject], batch=batch, kind=kind)
        checkpoint = check_state(info, client.entry(answer.manifest), answer, [key])
    raw = answer.claims[key]
    parsed = subjects.parse(subject)
    name = "actor" if parsed[0] == "actor" and not identifier else KIND_OF[place_of_subject(parsed, subject)[0]]
    record: Any = None if raw is None else decode_record(name, raw)._asdict()
    current = answer.manifest == checkpoint.size - 1
    told = {
        "subject": subject, "key": key.hex(), "present": raw is not None,
        "record": None if raw is None else raw.hex(), "batch": answer.batch, "manifest": answer.manifest,
        "root": answer.root.hex(), "size": checkpoint.size, "current": current, "rests_on": [NODES_WORD],
    }  # fmt: skip
    rows = [("subject", subject), ("present", str(raw is not None))]
    if record is not None:
        rows += [(field, _shown(value)) for field, value in record.items() if field != "head"]
    rows += [("state after entry", str(answer.manifest - 1)), ("batch", str(answer.batch))]
    rows += [("checkpoint", f"size {checkpoint.size}, {'which commits to this state' if current else 'a later one'}")]
    rows += [("proof", f"{len(answer.proof.siblings)} hashes to state root {answer.root.hex()}: checked")]
    rows += [("rests on", NODES_WORD)]
    session.out(told, table(("", ""), rows))


def _shown(value: Any) -> str:
    text: str = orjson.dumps(value, default=_plain).decode().strip('"') if not isinstance(value, bytes) else value.hex()
    return text


def _plain(value: Any) -> str:
    return bytes(value).hex()


command(app, "state")(state)
