"""The demonstration from the first key to the last table: the main job on real input, in nine acts.

Owns the order, the numbers and the summary; each act is a module of its own. Anything unexpected raises or makes
`ok` false: a demonstration that shrugs proves nothing.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.client import Client
from api.demo import CERTIFICATES, ITEMS
from api.demo.auditor import Audit, audit
from api.demo.cast import Cast, make_cast
from api.demo.forgeries import Attempt, Forgers
from api.demo.lines import (
    BATTERY,
    ELECTRONICS,
    EXAMPLES,
    REQUESTS,
    SHARE,
    CertificateRequest,
    Item,
    read_items,
    read_requests,
)
from api.demo.officer import Officer
from api.demo.onchain import AnchorReader, ChainAnchor
from api.demo.play import Play, Submission, UnexpectedError
from api.demo.questions import Inquiry, Question
from api.demo.screen import Screen
from api.demo.stage import ORIGIN, Setting, Stage, describe
from api.demo.watchers import Watchers
from ledger.errors import MalformedError
from ledger.identifiers import subject
from ledger.log.notes import Vkey


@dataclass(slots=True)
class Outcome:
    """All that a run found out. `forged_entries`: entries since the forgeries were tried, manifests aside."""

    setting: Setting
    play: Play
    audit: Audit
    questions: list[Question]
    attempts: list[Attempt]
    anchors: list[ChainAnchor]
    forged_entries: int
    strangers: list[Question]
    seconds: float
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every question is proven, every forgery refused by its name, and no forgery left an entry."""
        proven = all(question.proven for question in (*self.questions, *self.strangers))
        refused = all(attempt.as_expected for attempt in self.attempts)
        return proven and refused and not self.forged_entries

    def summary(self) -> dict[str, Any]:
        """The outcome for a machine."""
        story, entries = self.play.story, self.audit.entries
        assert story.certifications is not None
        return {
            "ok": self.ok,
            "setting": describe(self.setting),
            "registered": sum(submission.count for submission in story.registrations),
            "certified": story.certifications.count,
            "statuses": [
                {"credential": c.credential, "by": c.by, "state": c.expected, "moves": [list(m) for m in c.moves]}
                for c in story.changes
            ],
            "transferred": story.transferred,
            "entries": len(entries),
            "questions": [question.as_json() for question in self.questions],
            "strangers": [question.as_json() for question in self.strangers],
            "forgeries": [attempt.as_json() for attempt in self.attempts],
            "forged_entries": self.forged_entries,
            "anchors": [
                {"size": a.size, "root": a.root.hex(), "block": a.block, "time": a.time, "tx": a.tx, "gas": a.gas}
                for a in self.anchors
            ],
            "cost": self.cost(),
            "urls": dict(urls(self.setting, story.transferred)),
        }

    def cost(self) -> dict[str, Any]:
        """What it cost: seconds, entries a second, gas, bytes."""
        story = self.play.story
        assert story.certifications is not None
        gas = [anchor.gas for anchor in self.anchors]
        return {
            "seconds": round(self.seconds, 2),
            "phases": {name: round(value, 2) for name, value in self.phases.items()},
            "streams": [_stream(s) for s in (*story.registrations, story.certifications)],
            "replay": {
                "seconds": round(self.audit.seconds, 2),
                "entries_per_second": round(len(self.audit.entries) / self.audit.seconds),
                "signatures": self.audit.signatures,
            },
            "bytes": self.audit.size_bytes,
            "bytes_per_statement": round(self.audit.size_bytes / len(self.audit.entries), 1),
            "gas_per_anchor": {"least": min(gas), "most": max(gas), "mean": round(sum(gas) / len(gas))},
            "gas_per_statement": round(sum(gas) / self.anchors[-1].size, 1),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        }


def run(
    folder: Path, screen: Screen, *, items: int = ITEMS, certificates: int = CERTIFICATES, bft: bool = False
) -> Outcome:
    """Play everything in `folder`, made anew; node and chain run on afterwards.

    Raises LedgerError where something went otherwise than it must; what was started keeps running for a look at it.
    """
    begun = time.perf_counter()
    lines, requests = _choose(items, certificates)
    stage, cast = Stage(folder, bft=bft), make_cast()
    screen.title(
        "tial demo",
        "A second-level node of the industrial internet identifier system, two enterprises, an accreditor, a certifier"
        " and a regulator; then strangers who believe none of them. Real keys, a real log, real witnesses, a real"
        f" contract on {stage.chain.told}.",
    )
    screen.names = {party.did: party.name for party in cast.parties}
    setting = _set_up(stage, cast, screen)
    prepared = time.perf_counter()
    client, operator = Client(setting.url), Client(setting.url, token=stage.token)
    with client, operator:
        play = Play(cast, client, operator)
        _rights(play, screen)
        _registrations(play, screen, lines)
        _certificates(play, screen, requests)
        _anchor(play, screen)
        played = time.perf_counter()
        found, questions, reader = _questions(play, screen, setting)
        asked = time.perf_counter()
        attempts, forged = _forgeries(play, screen, len(found.entries))
        tried = time.perf_counter()
        strangers = _strangers(stage, setting, play, screen)
    anchors = reader.anchors(bytes.fromhex(setting.log_id))
    ended = time.perf_counter()
    phases = {
        "set-up": prepared - begun, "acts": played - prepared, "questions": asked - played, "forgeries": tried - asked,
        "strangers": ended - tried,
    }  # fmt: skip
    outcome = Outcome(setting, play, found, questions, attempts, anchors, forged, strangers, ended - begun, phases)
    _tables(outcome, screen)
    return outcome


def _choose(items: int, certificates: int) -> tuple[dict[str, list[Item]], list[CertificateRequest]]:
    """Read the exports and take as many rows as asked for; the requests are those about items that were taken."""
    first = items * SHARE[0] // sum(SHARE)
    lines = {
        ELECTRONICS: read_items(EXAMPLES / ELECTRONICS, first),
        BATTERY: read_items(EXAMPLES / BATTERY, items - first),
    }
    taken = {subject(item.identifier) for line in lines.values() for item in line}
    requests = [r for r in read_requests(EXAMPLES / REQUESTS) if subject(r.identifier) in taken][:certificates]
    if sum(map(len, lines.values())) < items or len(requests) < certificates:
        raise MalformedError(
            f"The examples hold {sum(map(len, lines.values()))} such items and {len(requests)} requests about them",
            where="--items, --certificates",
            remedy="One certificate to ten items, at most 500 to 5,000",
        )
    return lines, requests


def _set_up(stage: Stage, cast: Cast, screen: Screen) -> Setting:
    screen.act(1, f"A log, a chain, two witnesses, a node  ({stage.folder})")
    with screen.step("folder cleared, keys of 10 parties made and encrypted"):
        stage.clear()
        stage.make_keys(cast)
    with screen.step("genesis signed by the log key, with the consents of 2 of 3 root authorities") as more:
        log_id, vkey = stage.make_log(cast)
        more += [f"log {log_id.hex()}", f"origin {ORIGIN}"]
    with screen.step("chain started, contract LedgerAnchor deployed, roles granted, log registered") as more:
        chain = stage.make_chain(log_id)
        more.append(f"contract {chain['contract']}  chain id {chain['chain_id']}  {stage.chain.url}")
    stage.configure(log_id, vkey, chain)
    with screen.step("two witnesses started, one plain, one replaying: nothing is published without both") as more:
        stage.make_witnesses(vkey)
        more += [witness.vkey.format() for witness in stage.witnesses]
    with screen.step("node started as a process of its own") as more:
        setting = stage.run_node()
        more.append(f"{setting.url}  process {setting.node_pid}")
    return setting


def _rights(play: Play, screen: Screen) -> None:
    screen.act(2, "Who may do what")
    with screen.step("7 parties enrolled: the root admits who holds public office, the second-level node the others"):
        play.enrol()
    with screen.step("prefixes delegated") as more:
        more += [f"{prefix:14} {giver} → {holder}" for giver, prefix, holder in play.delegate()]
    with screen.step("2 certificate templates approved, 2 certifiers accredited"):
        play.approve()
    _anchor(play, screen)


def _registrations(play: Play, screen: Screen, lines: dict[str, list[Item]]) -> None:
    screen.act(3, "Product items registered, from the files that the enterprises' systems export")
    for name, party in ((ELECTRONICS, play.cast.electronics), (BATTERY, play.cast.battery)):
        with screen.step(f"{len(lines[name]):,} items of examples/{name}.csv for the {party.name}") as more:
            submission = play.register(party, name, lines[name])
            more.append(_told(submission))
            more.append(f"for example {subject(lines[name][-1].identifier)}")
        _anchor(play, screen)


def _certificates(play: Play, screen: Screen, requests: Sequence[CertificateRequest]) -> None:
    screen.act(4, "Certificates issued, suspended, withdrawn; one item changes hands")
    with screen.step(f"{len(requests):,} certificates of examples/{REQUESTS} issued by the certifier") as more:
        more.append(_told(play.certify(requests)))
    with screen.step("5 certificates suspended or withdrawn") as more:
        for change in play.change_states():
            moves = " → ".join(f"{state} ({reason})" for state, reason in change.moves)
            more.append(f"{change.credential}  {moves}  by the {change.by}")
    with screen.step("1 item transferred, the new holder consents") as more:
        play.transfer()
        more.append(f"{play.story.transferred}: electronics enterprise → battery enterprise")


def _anchor(play: Play, screen: Screen) -> None:
    with screen.step("batch published, checkpoint anchored on the chain") as more:
        play.operator.publish()
        play.operator.anchor_now()
        info = play.client.log()
        more.append(f"size {info.published}")


def _questions(play: Play, screen: Screen, setting: Setting) -> tuple[Audit, list[Question], AnchorReader]:
    screen.act(5, "Questions asked, and proven")
    log_id, vkey = bytes.fromhex(setting.log_id), Vkey.parse(setting.vkey)
    with screen.step("an auditor downloads the log, computes its root, replays every entry by the same rules") as more:
        found = audit(setting.url, log_id, vkey)
        more.append(
            f"{len(found.entries):,} entries, {found.signatures:,} signatures checked, root"
            f" {found.checkpoint.root.hex()[:16]}… as signed"
        )
        more.append("trusted beforehand: the log id and the log's verifier key, nothing else")
    reader = AnchorReader(setting.chain_url, setting.contract)
    questions = Inquiry(play.cast, play.story, play.client, found=found, chain=reader, vkey=vkey).ask()
    for number, question in enumerate(questions, 1):
        screen.question(number, question)
    return found, questions, reader


def _forgeries(play: Play, screen: Screen, size: int) -> tuple[list[Attempt], int]:
    """Try them; returns how many entries came into the log of `size` entries meanwhile, manifests aside."""
    screen.act(6, "Forgeries tried")
    attempts = Forgers(play.cast, play.story, play.client).try_all()
    screen.attempts(attempts)
    play.operator.publish()
    since = [play.client.entry_view(index) for index in range(size, play.client.log().size)]
    forged = sum(entry["type"] != "manifest" for entry in since)
    screen.console.print()
    screen.line(f"{forged} entries came into the log from all this")
    return attempts, forged


def _strangers(stage: Stage, setting: Setting, play: Play, screen: Screen) -> list[Question]:
    """Those who ask the node for bytes and nothing else: an officer without a network, an auditor, a monitor."""
    screen.act(7, "Carried away in a file, verified without a network")
    officer = Officer(stage, stage.setting, play, screen)
    questions = officer.ask()
    screen.act(8, "Audited by somebody who does not believe the operator")
    return questions + Watchers(stage, setting, screen).ask(officer.revocation)


def _told(submission: Submission) -> str:
    rate = submission.count / submission.submitting
    return (
        f"{submission.count:,} statements in {submission.submitting:.2f} s, {rate:,.0f}/s, all durable and acknowledged"
        f" ({submission.acknowledged} signatures checked)"
    )


def _stream(submission: Submission) -> dict[str, Any]:
    return {
        "what": submission.label,
        "statements": submission.count,
        "seconds": round(submission.submitting, 3),
        "per_second": round(submission.count / submission.submitting),
        "signing_seconds": round(submission.signing, 3),
        "document_seconds": round(submission.documents, 3),
        "bytes_per_statement": round(submission.bytes / submission.count, 1),
        "acknowledgements": submission.acknowledged,
    }


def urls(setting: Setting, name: str) -> list[tuple[str, str]]:
    """Where to look, by name."""
    return [
        ("interface (OpenAPI)", f"{setting.url}/openapi.json"),
        ("an identifier", f"{setting.url}/v1/identifiers/{name}"),
        ("the log", f"{setting.url}/v1/log"),
        ("anchors", f"{setting.url}/v1/anchors"),
        ("newest checkpoint", f"{setting.url}/checkpoint"),
        ("metrics", f"{setting.url}/metrics"),
        ("chain, JSON-RPC", setting.chain_url),
    ]


def _tables(outcome: Outcome, screen: Screen) -> None:
    story, cost = outcome.play.story, outcome.cost()
    assert story.certifications is not None
    screen.act(9, "What was done, and what it cost")
    screen.table(
        "Statements, over HTTP, each signature checked, each durable before it is answered",
        ("stream", "statements", "seconds", "per second", "bytes each", "documents s", "signing s"),
        [
            (
                s["what"], f"{s['statements']:,}", f"{s['seconds']:.2f}", f"{s['per_second']:,}",
                f"{s['bytes_per_statement']:.0f}", f"{s['document_seconds']:.2f}", f"{s['signing_seconds']:.2f}",
            )
            for s in cost["streams"]
        ],
    )  # fmt: skip
    replay, gas = cost["replay"], cost["gas_per_anchor"]
    questions = [*outcome.questions, *outcome.strangers]
    screen.table(
        "All together",
        ("", ""),
        [
            ("entries in the log, of which manifests", f"{len(outcome.audit.entries):,}, {_manifests(outcome.audit)}"),
            ("bytes of entries, per statement", f"{cost['bytes']:,}, {cost['bytes_per_statement']}"),
            ("replayed by an auditor, every signature", f"{replay['entries_per_second']:,} entries/s"),
            ("anchors, each with its consistency proof checked by the contract", str(len(outcome.anchors))),
            ("gas of an anchor, least and most", f"{gas['least']:,} to {gas['most']:,}"),
            ("gas for each statement", f"{cost['gas_per_statement']}"),
            ("questions proven", f"{sum(q.proven for q in questions)} of {len(questions)}"),
            ("forgeries refused by the reason foreseen",
             f"{sum(a.as_expected for a in outcome.attempts)} of {len(outcome.attempts)} attempts"),
            ("time", f"{outcome.seconds:.1f} s"),
        ],
    )  # fmt: skip
    screen.line(cost["machine"])


def _manifests(found: Audit) -> int:
    return sum(entry.type == "manifest" for entry in found.entries)


def check_unexpected(questions: Sequence[Question], attempts: Sequence[Attempt], forged_entries: int) -> None:
    """Raise UnexpectedError with the first thing that was not as it must be."""
    for question in questions:
        failed = [check.text for check in question.checks if not check.passed]
        if failed or not question.checks:
            raise UnexpectedError(f"Not proven: {question.title} {'; '.join(failed)}")
    for attempt in attempts:
        if not attempt.as_expected:
            found = attempt.refused or "taken"
            raise UnexpectedError(f"{attempt.tried}: expected {attempt.expected}, found {found}. {attempt.detail}")
    if forged_entries:
        raise UnexpectedError(f"{forged_entries} entries stand in the log since the forgeries were tried")
