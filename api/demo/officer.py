"""A customs officer with a laptop and no network: files fetched beforehand, a policy, and the verifier.

The officer trusts what the policy names: the log's id, one plain and one replaying witness, and the chain's validators,
or one block of it that was looked up on a chain node of the officer's own. While the officer verifies, the node does
not run, and the verifier is cut off from every network where the system permits it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from api.client import Client
from api.demo.aside import Ran, can_cut_off, run
from api.demo.onchain import AnchorReader
from api.demo.play import Play, UnexpectedError
from api.demo.questions import Question
from api.demo.screen import Screen
from api.demo.stage import ORIGIN, Setting, Stage
from ledger.crypto.suites import SUITES
from ledger.evidence.bundle import Bundle
from ledger.evidence.chain import block_hashes
from ledger.evidence.policy import PLAIN, REPLAYING, LogTrust, Policy, Witnesses
from ledger.evidence.policy_text import dump_policy
from ledger.identifiers import subject

DAY: Final = 86_400
CERTIFICATE: Final = "certificate.evidence"
LATER: Final = "certificate-later.evidence"
NEVER: Final = "never-registered.evidence"
POLICY: Final = "policy.toml"
NOBODYS: Final = "vaa:88.118.8/SVD-1K5.NEVER-MADE-0001"
_PATIENCE: Final = 15.0
_DIALS: Final = "import socket,sys; sys.exit(bool(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2])))))"
BRIEFLY: Final = (7, 9, 13)
"""Steps of the Chinese report that are shown."""


class Officer:
    """The officer, with a folder of the officer's own."""

    def __init__(self, stage: Stage, setting: Setting, play: Play, screen: Screen) -> None:
        self.stage = stage
        self.setting = setting
        self.play = play
        self.screen = screen
        self.folder = stage.folder / "officer"
        self.chain = AnchorReader(setting.chain_url, setting.contract)
        self.story = play.story
        self.revocation = 0
        self.pinned: list[bytes] = []
        self.certificate = next(
            c for c in self.story.certificates if subject(c.request.identifier) == self.story.transferred
        )

    def ask(self) -> list[Question]:
        """Fetch, have the node stopped, verify; then the same after the certificate was revoked."""
        self.folder.mkdir(exist_ok=True)
        self._fetch()
        with self.screen.step("the node is stopped"):
            self.stage.stop_node()
        questions = [self._offline()]
        with self.screen.step("the node is started again, the certifier revokes the certificate") as more:
            self.stage.run_node()
            self._revoke()
            more.extend(self._get({LATER: self.certificate.credential}))
            self._write_policy(LATER)
        questions.append(self._revoked())
        return questions

    # -- before ---------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        files = {CERTIFICATE: self.certificate.credential, NEVER: NOBODYS}
        with self.screen.step("the officer fetches two evidence bundles, and says whom to trust") as more:
            more.extend(self._get(files))
            self._write_policy(CERTIFICATE)
            more.append(
                f"{POLICY}: the log's id, one plain and one replaying witness, {self.stage.chain.trusted},"
                f" nothing older than a day; not the operator"
            )

    def _get(self, files: dict[str, str]) -> list[str]:
        """Write a bundle to each file, as `tial evidence get` does; waits for chain evidence of its own size in it."""
        told = []
        with Client(self.setting.url) as client:
            for name, about in files.items():
                until = time.monotonic() + _PATIENCE
                while True:
                    raw = client.evidence(subject=about)
                    bundle = Bundle.decode(raw)
                    size = client.log().published
                    if bundle.chain is not None and bundle.chain.size == size:
                        break
                    if time.monotonic() > until:
                        raise UnexpectedError("The newest anchor has no chain evidence", where=about)
                    time.sleep(0.1)
                (self.folder / name).write_bytes(raw)
                told.append(f"tial evidence get {about} -o {name}")
                told.append(f"{len(raw):,} bytes, {len(bundle.entries)} statements")
        return told

    def _write_policy(self, pinned: str) -> None:
        """Write the policy; pin the block of this bundle's chain evidence, if the officer's own look finds it."""
        plain, replaying = (witness.vkey for witness in self.stage.witnesses)
        part = Bundle.decode((self.folder / pinned).read_bytes()).chain
        assert part is not None, "waited for"
        block = block_hashes(part.evidence)[0]
        if not self.chain.has_block(block):
            raise UnexpectedError("The chain evidence is under a block that is not on the chain", where=pinned)
        self.pinned.append(block)
        suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
        contract = bytes.fromhex(self.setting.contract.removeprefix("0x"))
        chain = self.stage.chain.policy(self.setting.chain_id, contract, self.chain.code_hash(), self.pinned)
        policy = Policy(
            logs=(LogTrust(bytes.fromhex(self.setting.log_id), ORIGIN, suites),),
            plain=Witnesses(PLAIN, (plain,), 1),
            replaying=Witnesses(REPLAYING, (replaying,), 1),
            chains=(chain,),
            max_age=DAY,
        )
        (self.folder / POLICY).write_text(dump_policy(policy), encoding="utf-8")

    def _revoke(self) -> None:
        """The certifier revokes; the batch is published and anchored."""
        desk = self.play.desk(self.play.cast.certifier)
        draft = desk.status(self.certificate.credential, "revoked", "test-report-withdrawn", role="issuer")
        self.revocation = self.play.submit(self.play.cast.certifier, draft).index
        self.play.operator.publish()
        self.play.operator.anchor_now()

    # -- at the border --------------------------------------------------------------------------------------------

    def _offline(self) -> Question:
        question = Question("Is the certificate valid, and was the other identifier never registered?")
        self._alone(question)
        first = self._verify(CERTIFICATE)
        self.screen.said(first.shown, steps_of(first.said))
        chinese = self._verify(CERTIFICATE, "--lang", "zh")
        self.screen.said(chinese.shown, steps_of(chinese.said, BRIEFLY))
        never = self._verify(NEVER)
        self.screen.said(never.shown, steps_of(never.said, (7, 13)))
        question.answer = "Yes, and yes: each by a file, a policy and a clock"
        valid = first.code == 0 and first.said.startswith("VALID")
        question.check(f"{CERTIFICATE} is valid", valid, rests_on(first.said))
        question.check("in Chinese the answer is the same", chinese.code == 0 and chinese.said.startswith("有效"))
        absent = never.code == 0 and never.said.startswith("VALID: absence")
        question.check(f"{NEVER} proves that {NOBODYS} does not exist", absent)
        self.screen.question(5, question)
        return question

    def _revoked(self) -> Question:
        question = Question("And after it was revoked?")
        later = self._verify(LATER)
        self.screen.said(later.shown, steps_of(later.said, (13,)))
        stale = self._verify(CERTIFICATE, "--now", str(int(time.time()) + 2 * DAY))
        self.screen.said(stale.shown, steps_of(stale.said, (13, 14)))
        question.answer = "The new file says so; the old one hides it for no longer than the policy's max_age"
        question.check("the new file is invalid at step 13: revoked", later.code == 1 and "revoked" in later.said)
        question.check("the old file, by a clock two days on, is too old: cannot tell", stale.code == 4)
        self.screen.question(6, question)
        return question

    def _alone(self, question: Question) -> None:
        """Show that nobody answers: neither the node nor, where that is possible, any network at all."""
        address = self.setting.chain_url.removeprefix("http://").rstrip("/").split(":")
        dialled = run(["-c", _DIALS, *address], self.folder, shown="a connection to the chain", cut_off=True)
        if can_cut_off():
            question.check("where the verifier runs there is no network: not even the chain answers", dialled.code == 1)
        else:
            self.screen.line("This system permits no namespace without a network (unshare -rn): verified with one.")

    def _verify(self, file: str, *more: str) -> Ran:
        words = [file, "--policy", POLICY, *more]
        shown = " ".join(["python -m api.offline", *words])
        return run(["-m", "api.offline", *words], self.folder, shown=shown, cut_off=True)


def steps_of(report: str, numbers: Collection[int] = range(1, 15)) -> str:
    """A report's first line and some of its steps, each with its reason; the rest is left out."""
    lines = report.splitlines()
    shown = lines[:1]
    for place, line in enumerate(lines):
        if line[:3].strip().isdecimal() and int(line[:3]) in numbers:
            shown += lines[place : place + 2]
    return "\n".join(shown)


def rests_on(report: str) -> str:
    """All that an English report says it rests on, each thing once."""
    mark = "rests on: "
    lines = [line.strip() for line in report.splitlines()]
    things = [thing for line in lines if line.startswith(mark) for thing in line.removeprefix(mark).split("; ")]
    return "; ".join(dict.fromkeys(things))
