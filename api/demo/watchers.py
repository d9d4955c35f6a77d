"""Those who do not believe the operator: an auditor with a copy of the log, and a monitor that catches it at two logs.

The auditor knows the log's id and verifier key beforehand. The second log is made here with the log's own key, as an
operator would make it who wants somebody not to see a revocation: nothing but such a comparison can show that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from api.demo.aside import Ran, run
from api.demo.questions import Question
from api.demo.screen import Screen
from api.demo.stage import Setting, Stage
from ledger.crypto import keyfile
from ledger.crypto.suites import suite_by_name
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.tiles import bundles_between, decode_entry_bundle
from ledger.log.tree import leaf_hash, root_of
from ledger.store.durable import replace_file

MIRROR: Final = "mirror"
POLICY: Final = "log.policy"
REPORT: Final = "audit-report.cose"
FORKED: Final = "shown-to-somebody-else.checkpoint"


class Watchers:
    """The auditor and the monitor, in a folder of their own."""

    def __init__(self, stage: Stage, setting: Setting, screen: Screen) -> None:
        self.stage = stage
        self.setting = setting
        self.screen = screen
        self.folder = stage.folder / "auditor"

    def ask(self, revocation: int) -> list[Question]:
        """Copy and audit the log; then find the log from which entry `revocation` was left out."""
        self.folder.mkdir(exist_ok=True)
        return [self._audit(), self._split_view(revocation)]

    def _audit(self) -> Question:
        question = Question("Did the node break a rule in any entry?")
        signer = suite_by_name("ed25519").generate()
        passphrase = self._passphrase.read_text(encoding="utf-8").strip()
        keyfile.save(self.folder / "auditor.key", signer, passphrase)
        self._write_policy()
        chain = ("--chain", self.setting.chain_url, "--chain-id", str(self.setting.chain_id))
        anchored = (*chain, "--contract", self.setting.contract)
        mirrored = self._tial("mirror", self.setting.url, MIRROR, "--policy", POLICY, *anchored)
        self._show(mirrored, mirrored.json, ("origin", "size", "root", "cosignatures", "quorum", "anchors"))
        words = (MIRROR, "--log", self.setting.log_id, "--policy", POLICY)
        audited = self._tial("audit", *words, "--key", "auditor.key", "-o", REPORT)
        told = audited.json
        self._show(audited, told, ("clean", "size", "checked", "checks", "not_checked", "state", "file"))
        opened = self._tial("audit-report", REPORT, "--auditor", signer.public_key.hex())
        question.answer = "No: every signature, right, time and state root was computed anew, here"
        question.check("the copy is the tree of the signed checkpoint", mirrored.code == 0)
        question.check("the replay found nothing", audited.code == 0 and told.get("clean") is True)
        question.check(
            "the report is signed, and anybody with the auditor's public key can check it",
            opened.code == 0 and opened.json.get("root") == told.get("root"),
        )
        self.screen.question(7, question)
        return question

    def _write_policy(self) -> None:
        """The log's key and both witnesses, as a C2SP tlog-policy."""
        lines = [f"log {self.setting.vkey}"]
        lines += [f"witness {one.kind} {one.vkey.format()}" for one in self.stage.witnesses]
        names = " ".join(one.kind for one in self.stage.witnesses)
        lines += [f"group both 2 {names}", "quorum both"]
        replace_file(self.folder / POLICY, "\n".join(lines).encode() + b"\n")

    def _split_view(self, revocation: int) -> Question:
        question = Question("What if the operator shows somebody a log without the revocation?")
        with self.screen.step("with the log's own key, a checkpoint of another tree is signed for somebody else"):
            self._fork(revocation)
        watched = self._tial(
            "monitor", self.setting.url, "--note", FORKED, "--vkey", self.setting.vkey, "--once", "-o", "monitor"
        )  # fmt: skip
        found = watched.json.get("contradictions", [])
        self._show(watched, {"contradictions": [one["detail"] for one in found]}, ("contradictions",))
        proof = found[0]["proof"] if found else "no-proof"
        checked = self._tial("split-view", proof, "--vkey", self.setting.vkey)
        self._show(checked, checked.json, ("kind", "detail"))
        question.answer = "Whoever compares the two has the proof in one file, signed by the log itself"
        question.check("the monitor sees the contradiction", watched.code == 1 and len(found) == 1)
        question.check("the proof convinces anybody who has the log's verifier key, offline", checked.code == 0)
        self.screen.question(8, question)
        return question

    def _fork(self, left_out: int) -> None:
        """Sign a checkpoint of the newest size in which a copy of the entry before stands instead of one entry."""
        served = self.folder / MIRROR
        checkpoint = Checkpoint.parse((served / "checkpoint").read_bytes().partition(b"\n\n")[0] + b"\n")
        raws: list[bytes] = []
        for ref in bundles_between(0, checkpoint.size):
            raws += decode_entry_bundle((served / ref.path).read_bytes(), ref.width)
        leaves = [leaf_hash(raw) for raw in raws]
        leaves[left_out] = leaves[left_out - 1]
        key = self.stage.folder / "keys/note.key"
        signer = keyfile.load(key, self._passphrase.read_text(encoding="utf-8").strip())
        forked = Checkpoint(checkpoint.origin, checkpoint.size, root_of(leaves))
        replace_file(self.folder / FORKED, sign_checkpoint(signer, forked))

    @property
    def _passphrase(self) -> Path:
        return self.stage.folder / "keys/passphrase"

    def _tial(self, *words: str) -> Ran:
        shown = " ".join(["tial", *(_short(word) for word in words)])
        more = {"TIAL_PASSPHRASE": self._passphrase.read_text(encoding="utf-8").strip()}
        return run(["-m", "api.cli.main", *words, "--json"], self.folder, shown=shown, more=more)

    def _show(self, ran: Ran, told: dict[str, Any], names: tuple[str, ...]) -> None:
        """The command and some of its answer; all of its complaint where it gave none."""
        lines = [f"{name.replace('_', ' ')}: {_line(told[name])}" for name in names if name in told]
        self.screen.said(ran.shown, "\n".join(lines) or ran.said + ran.complaint)


def _line(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _short(word: str) -> str:
    """A key or an id as it fits a line."""
    return word if len(word) <= 40 or word.startswith(("http", "monitor/", "0x")) else f"{word[:20]}…"
