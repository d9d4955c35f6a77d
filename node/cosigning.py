"""Gathering cosignatures: asks the witnesses of the node's policies about a checkpoint, and tells when they suffice.

Owns the client's side of C2SP tlog-witness. Trusts the keys in the policy files and nothing that a witness says beyond
a cosignature that verifies: a size told by a 409 only chooses which proof to send. Two policies may be configured, of
plain and of replaying witnesses; a checkpoint suffices when it meets the quorum of each. Where the protocol's versions
differ (409 or 422 for another root of the same size) both are taken as final.

A witness that knows a larger tree than was ever signed here, or another root, means that this log's state was rolled
back or that somebody else signs with its key: `conflict` tells, and a node that starts refuses (DESIGN rule 6).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx

from ledger.errors import LedgerError, MalformedError, RefusedStartError, UnavailableError
from ledger.log.checkpoint import verify_cosignature
from ledger.log.notes import Note, NoteSignature, NoteSignatureError, Vkey
from ledger.log.policy import MAX_POLICY, TlogPolicy
from ledger.store.durable import read_bounded
from node.config import Config, ConfigError
from node.cookies import no_cookies
from node.follower import checked_url
from node.witness.request import MAX_ANSWER, read_size, write_request

log = logging.getLogger(__name__)

Proof = Callable[[int, int], list[bytes]]
"""Consistency proof from an older to a newer size of the log; called in a thread of its own, one call at a time."""

TRIES: Final = 3
"""Requests to one witness in one round: the first may go out with an old size that is not the witness's."""
GRACE: Final = 0.25
"""Seconds that the others still get when the quorum is there."""
WITHOUT_QUORUM: Final = "publishing without witness quorum"
_REASON: Final = 300


class QuorumError(UnavailableError):
    """Too few witnesses cosigned; the checkpoint is signed, waits, and is tried again."""

    code: ClassVar[str] = "witness-quorum"


@dataclass(slots=True)
class WitnessState:
    """What the node knows of one witness: `size` it cosigned last, as far as it told; `error`, "" after success."""

    name: str
    kind: str
    vkey: Vkey
    url: str
    size: int = 0
    cosigned_at: int = 0
    error: str = ""
    refused: bool = False
    conflict: str = ""


@dataclass(slots=True)
class Cosigner:
    """Asks the witnesses of the policies by kind ("plain", "replaying"). Belongs to the event loop."""

    policies: dict[str, TlogPolicy]
    proof: Proof
    timeout: float = 10.0
    witnesses: tuple[WitnessState, ...] = ()
    _client: httpx.AsyncClient = field(init=False)
    _proving: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.witnesses = tuple(
            WitnessState(witness.name.encode("utf-8", "replace").decode(), kind, witness.vkey, checked_url(witness.url))
            for kind, policy in self.policies.items()
            for witness in policy.witnesses
            if witness.url
        )
        self._client = httpx.AsyncClient(
            timeout=self.timeout, follow_redirects=False, trust_env=False, cookies=no_cookies()
        )
        # Not one of the threads that answer readers' questions: publication must not wait for strangers.
        self._proving = ThreadPoolExecutor(1, "witness-proofs")

    def suffices(self, vkeys: Iterable[Vkey]) -> bool:
        """Whether cosignatures by these keys, verified by the caller, meet the quorum of every policy."""
        held = tuple(vkeys)
        return all(policy.satisfied(held) for policy in self.policies.values())

    def verified(self, note: Note) -> dict[Vkey, NoteSignature]:
        """The cosignatures of known witnesses that a note carries already; those that do not verify are left out."""
        known = {(one.vkey.name, one.vkey.key_id): one.vkey for one in self.witnesses}
        found: dict[Vkey, NoteSignature] = {}
        for line in note.signatures:
            vkey = known.get((line.name, line.key_id))
            try:
                if vkey is not None:
                    verify_cosignature(vkey, note.text, line)
                    found[vkey] = line
            except NoteSignatureError as error:
                log.warning("a kept cosignature does not verify", extra={"error": error.explain()})
        return found

    async def gather(self, note: bytes, size: int) -> dict[Vkey, NoteSignature]:
        """Ask every witness to cosign a signed checkpoint; returns the verified cosignatures, enough or not.

        Returns soon after the quorum is met, else when every witness answered or ran out of time.
        """
        text = Note.parse(note).text
        found: dict[Vkey, NoteSignature] = {}
        rounds = {asyncio.create_task(self._ask(one, note, text, size)): one for one in self.witnesses}
        pending: set[asyncio.Task[NoteSignature | None]] = set(rounds)
        patience: float | None = None
        try:
            while pending:
                done, pending = await asyncio.wait(
                    pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )  # fmt: skip
                for task in done:
                    line = task.result()
                    if line is not None:
                        found[rounds[task].vkey] = line
                if not done:
                    break
                if self.suffices(found):
                    patience = GRACE
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return found

    def missing(self, vkeys: Iterable[Vkey]) -> str:
        """Why these cosignatures do not suffice, for a person."""
        held = tuple(vkeys)
        kinds = [kind for kind, policy in self.policies.items() if not policy.satisfied(held)]
        silent = [f"{one.name}: {one.error}" for one in self.witnesses if one.kind in kinds and one.vkey not in held]
        return f"no quorum of {' and '.join(kinds)} witnesses ({'; '.join(silent) or 'none is configured with a URL'})"

    async def close(self) -> None:
        """Close the connections, and let go of the thread."""
        await self._client.aclose()
        self._proving.shutdown(wait=True, cancel_futures=True)

    # -- one witness --------------------------------------------------------------------------------------------------

    async def _ask(self, witness: WitnessState, note: bytes, text: bytes, size: int) -> NoteSignature | None:
        """One witness's verified line, or None with the reason in its state. Never raises for what it does."""
        witness.refused = False
        try:
            async with asyncio.timeout(self.timeout):
                line, at = await self._rounds(witness, note, text, size)
        except TimeoutError:
            witness.error = f"no answer within {self.timeout:g} s"
        except httpx.HTTPError as error:
            witness.error = f"no answer: {type(error).__name__}"
        except LedgerError as error:
            witness.error = error.explain()[:_REASON]
        else:
            if witness.error:
                log.info("the witness cosigns again", extra={"witness": witness.name})
            witness.size, witness.cosigned_at, witness.error, witness.conflict = size, at, "", ""
            return line
        log.warning("no cosignature", extra={"witness": witness.name, "size": size, "error": witness.error})
        return None

    async def _rounds(self, witness: WitnessState, note: bytes, text: bytes, size: int) -> tuple[NoteSignature, int]:
        old = min(witness.size, size)
        for _ in range(TRIES):
            proof = await asyncio.get_running_loop().run_in_executor(self._proving, self.proof, old, size)
            status, body = await self._post(f"{witness.url}/add-checkpoint", write_request(old, proof, note))
            if status == 200:
                return _own_line(witness.vkey, text, body)
            told = read_size(body) if status == 409 else None
            if told is None or told == old or told > size:
                raise _refusal(witness, status, body, old, size, told)
            old = witness.size = told
        raise UnavailableError("its size changes while it is asked: does somebody else sign with this log's key?")

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        async with self._client.stream("POST", url, content=body, headers={"Accept-Encoding": "identity"}) as answer:
            taken = bytearray()
            async for part in answer.aiter_raw():
                taken += part
                if len(taken) > MAX_ANSWER:
                    raise UnavailableError(f"its answer is longer than {MAX_ANSWER} bytes")
            return answer.status_code, bytes(taken)


class Witnessing:
    """The publisher's view of the witnesses: makes a note fit to be served, or says why it is not."""

    def __init__(self, cosigner: Cosigner, *, required: bool, refresh: float) -> None:
        """`required`: refuse without the quorum. `refresh`: seconds after which a checkpoint is cosigned again."""
        self.cosigner = cosigner
        self.required = required
        self._refresh = refresh
        self._asked = float("-inf")
        self.missing = "nothing was cosigned yet"
        """Why the newest round had no quorum, "" where it had."""

    async def cosign(self, signed: bytes, size: int, served: bytes = b"") -> bytes:
        """Return the signed checkpoint with its cosignatures, newest of each witness.

        `served`: the note of the same checkpoint that is published already, whose cosignatures stay where a witness
        does not answer now.

        Raises:
            QuorumError: this round had no quorum, and one is required.

        """
        note = Note.parse(signed)
        held = self.cosigner.verified(Note.parse(served)) if served else {}
        fresh = await self.cosigner.gather(signed, size)
        self._asked = time.monotonic()
        self.missing = "" if self.cosigner.suffices(fresh) else self.cosigner.missing(fresh)
        if self.missing:
            if self.required:
                raise QuorumError(f"size {size} waits for its witnesses: {self.missing}", where="witnesses")
            log.warning(WITHOUT_QUORUM, extra={"size": size, "missing": self.missing})
        return note.with_signatures((held | fresh).values()).serialise()

    def stale(self) -> bool:
        """Whether it is time to have the published checkpoint cosigned again."""
        return time.monotonic() - self._asked >= self._refresh

    def refused(self) -> bool:
        """Whether a witness looked at the newest checkpoint and would not cosign it."""
        return any(one.refused for one in self.cosigner.witnesses)

    def require_no_conflict(self) -> None:
        """RefusedStartError where a witness cosigned a larger or another tree than this log's."""
        for one in self.cosigner.witnesses:
            if one.conflict:
                raise RefusedStartError(
                    f"The witness {one.name} speaks against this log's state: {one.conflict}",
                    where="witnesses",
                    remedy="The data and its lock were rolled back together, or somebody else signs with the log's "
                    "key: restore the newest copy or a mirror. A witness that errs is taken out of the policy file",
                )

    def health(self) -> dict[str, Any]:
        """For people and monitors: one sentence, and what each witness said last."""
        state = "cosigned"
        if self.missing:
            state = "waiting for the witnesses' quorum" if self.required else WITHOUT_QUORUM
        return {
            "state": state,
            "missing": self.missing,
            "witnesses": [
                {
                    "name": one.name, "kind": one.kind, "size": one.size, "cosigned_at": one.cosigned_at,
                    "error": one.error, "conflict": one.conflict,
                }
                for one in self.cosigner.witnesses
            ],
        }  # fmt: skip


def read_policies(config: Config) -> dict[str, TlogPolicy]:
    """Read the configured policy files by kind; empty where none is configured.

    Raises:
        ConfigError: a file is absent or not in form, its quorum is none, half or less, its witnesses with URLs cannot
            make the quorum, or a key is in both files.

    """
    found: dict[str, TlogPolicy] = {}
    for kind, name in (("plain", config.witnesses.policy), ("replaying", config.witnesses.replaying)):
        if name:
            found[kind] = _read_policy(config.path(name))
    keys = [vkey.key for policy in found.values() for vkey in policy.vkeys]
    if len(set(keys)) < len(keys):
        raise ConfigError(
            "A witness is listed as plain and as replaying with one key",
            where="witnesses",
            remedy="A replaying witness has a key of its own",
        )
    return found


def _read_policy(path: Path) -> TlogPolicy:
    data = read_bounded(path, MAX_POLICY)
    if data is None:
        raise ConfigError("There is no such policy file", where=str(path))
    try:
        policy = TlogPolicy.parse(data)
        policy.require_strong()
        reachable = [witness.vkey for witness in policy.witnesses if witness.url and checked_url(witness.url)]
    except MalformedError as error:
        raise ConfigError(error.detail, where=f"{path}, {error.where}", remedy=error.remedy) from error
    if not policy.satisfied(reachable):
        raise ConfigError(
            "The witnesses that have a URL cannot make the quorum", where=str(path), remedy="Write each one's URL"
        )
    return policy


def _refusal(
    witness: WitnessState, status: int, body: bytes, old: int, size: int, told: int | None
) -> UnavailableError:
    """The error for an answer that another proof would not change; notes what it says about this log's state.

    A replaying witness's 422 may mean the rules or its clock; a plain one's, and any for the size it holds, the tree.
    """
    reason = body[:_REASON].decode("utf-8", "replace").strip()
    witness.refused = status in {409, 422}
    if told is not None and told > size:
        witness.conflict = f"it cosigned size {told}, the newest signed here is {size}"
    elif told == size or (status == 422 and (witness.kind == "plain" or old == size)):
        witness.conflict = f"it cosigned another tree up to size {old} ({reason})"
    return UnavailableError(witness.conflict or f"status {status} {reason}".strip())


def _own_line(vkey: Vkey, text: bytes, body: bytes) -> tuple[NoteSignature, int]:
    """The newest line by this key among those returned, verified; lines of other keys are passed over."""
    lines = [line for line in Note.parse(text + b"\n" + body).signatures if (line.name, line.key_id) == _id(vkey)]
    if not lines:
        raise NoteSignatureError("it answered without a cosignature by its key", where=vkey.name)
    times = [(verify_cosignature(vkey, text, line), line) for line in lines]
    at, line = max(times, key=lambda item: item[0])
    if at == 0:
        raise NoteSignatureError("its cosignature has no time", where=vkey.name)
    return line, at


def _id(vkey: Vkey) -> tuple[str, bytes]:
    return vkey.name, vkey.key_id
