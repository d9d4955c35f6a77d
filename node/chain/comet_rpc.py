"""Questions to a CometBFT node's RPC: signed headers, validator sets, proven values of the application's state.

Owns the shape of the answers; every answer is parsed into the ledger's values within bounds, and anything else is a
ChainUnavailableError. Trusts nothing: no signature, no hash and no proof is checked here. Follows CometBFT's JSON-RPC:
heights and powers are decimal text, hashes upper-case hex, keys and signatures Base64, times RFC 3339.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

from ledger.errors import MalformedError
from ledger.evidence.chain.comet.commit import Commit, Signature
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.ics23 import Absence, Existence
from ledger.evidence.chain.comet.validators import MAX_VALIDATORS, Validator, ValidatorSet
from node.chain.comet_proofs import MAX_PROOF, decode_proof
from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import JsonRpc, RpcError, shown

T = TypeVar("T")

ANSWER_LIMIT: Final = 1 << 20
"""Bytes of one answer: a commit of 256 signatures, or a page of validators, needs a tenth of it."""
PAGE: Final = 100
"""Validators on a page, the most that CometBFT gives."""
_HEX: Final = re.compile(r"(?:[0-9A-F]{2}){0,64}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_STORE: Final = "evm"
_COMMITTED: Final = 2


class SignedHeader(NamedTuple):
    """A header, and the commit that comes with it; nothing says yet that they belong together."""

    header: Header
    commit: Commit


class StateProof(NamedTuple):
    """A key of the EVM's store with the proof of its value or absence, and the proof that leads to the app hash."""

    entry: Existence | Absence
    store: Existence


class CometRpc:
    """The RPC of one CometBFT node. Used by one thread at a time."""

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        self.url = url
        self.timeout = timeout
        self._rpc = JsonRpc(url, timeout=timeout, answer_limit=ANSWER_LIMIT)
        self.place = self._rpc.place

    def close(self) -> None:
        """Drop the connection."""
        self._rpc.close()

    @property
    def end(self) -> float:
        """A time on the monotonic clock that no call waits beyond: for whoever has several to make."""
        return self._rpc.end

    @end.setter
    def end(self, end: float) -> None:
        self._rpc.end = end

    def commit(self, height: int | None = None) -> SignedHeader:
        """Ask for the signed header at a height, else the newest."""

        def read(answer: Any) -> SignedHeader:
            found = answer["signed_header"]
            header, commit = _header(found["header"]), _commit(found["commit"])
            if _number(found["commit"]["height"]) != header.height or height not in (None, header.height):
                raise MalformedError("this is the header of another height")
            return SignedHeader(header, commit)

        return self._ask(read, "commit", None if height is None else str(height))

    def validators(self, height: int) -> ValidatorSet:
        """Ask for the validators that sign the header at a height."""
        found: list[Validator] = []

        def read(answer: Any) -> int:
            page = answer["validators"]
            total = _number(answer["total"])
            if _number(answer["block_height"]) != height or not 0 < total <= MAX_VALIDATORS:
                raise MalformedError(f"these are {total} validators of another height, or too many")
            if type(page) is not list or not 0 < len(page) <= min(PAGE, total - len(found)):
                raise MalformedError("a page of validators has none, or more than asked for")
            found.extend(map(_validator, page))
            return total

        page, total = 0, 1
        while len(found) < total:
            page += 1
            total = self._ask(read, "validators", str(height), str(page), str(PAGE))
        return _made(lambda: ValidatorSet(tuple(found)), self.place)

    def prove(self, key: bytes, height: int) -> StateProof:
        """Ask for the value under a key of the EVM's store after a block, with its proofs."""

        def read(answer: Any) -> StateProof:
            response = answer["response"]
            if response.get("code", 0) != 0:
                raise MalformedError(f"the state after block {height} is not there: {shown(response.get('log'), 200)}")
            if _number(response["height"]) != height:
                raise MalformedError("this is the state of another height")
            ops = response["proofOps"]["ops"]
            if type(ops) is not list or [op["type"] for op in ops] != ["ics23:iavl", "ics23:simple"]:
                raise MalformedError("a proof has two parts: in the store, and of the store")
            entry, store = (decode_proof(_base64(op["data"], MAX_PROOF)) for op in ops)
            if not isinstance(store, Existence):
                raise MalformedError("a proof that there is no store")
            return StateProof(entry, store)

        return self._ask(read, "abci_query", f"/store/{_STORE}/key", key.hex(), str(height), True)  # noqa: FBT003

    def _ask(self, read: Callable[[Any], T], method: str, *params: object) -> T:
        try:
            answer = self._rpc.call(method, *params)
        except RpcError as error:
            raise ChainUnavailableError(
                f"the chain's node does not answer {method}: {error.message}", where=self.place
            ) from error
        return _made(lambda: read(answer), f"{self.place} {method}")


def _made(read: Callable[[], T], where: str) -> T:
    """What `read` makes of an answer; ChainUnavailableError where it has another form."""
    try:
        return read()
    except MalformedError as error:
        raise ChainUnavailableError(f"the chain's node gave no usable answer: {error}", where=where) from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        raise ChainUnavailableError(f"the chain's node gave no usable answer: {error!r}", where=where) from error


def _header(found: Any) -> Header:
    seconds, nanos = _time(found["time"])
    last = found["last_block_id"]
    return Header(
        block_version=_number(found["version"].get("block", "0")),
        app_version=_number(found["version"].get("app", "0")),
        chain_id=_text(found["chain_id"], 50),
        height=_number(found["height"]),
        seconds=seconds,
        nanos=nanos,
        last_block_hash=_hex(last["hash"]),
        last_parts_total=_small(last["parts"]["total"]),
        last_parts_hash=_hex(last["parts"]["hash"]),
        last_commit_hash=_hex(found["last_commit_hash"]),
        data_hash=_hex(found["data_hash"]),
        validators_hash=_hex(found["validators_hash"]),
        next_validators_hash=_hex(found["next_validators_hash"]),
        consensus_hash=_hex(found["consensus_hash"]),
        app_hash=_hex(found["app_hash"]),
        last_results_hash=_hex(found["last_results_hash"]),
        evidence_hash=_hex(found["evidence_hash"]),
        proposer=_hex(found["proposer_address"]),
    )


def _commit(found: Any) -> Commit:
    parts = found["block_id"]["parts"]
    signatures = found["signatures"]
    if type(signatures) is not list or len(signatures) > MAX_VALIDATORS:
        raise MalformedError(f"a list of at most {MAX_VALIDATORS} signatures belongs here")
    return Commit(
        round=_small(found["round"]),
        parts_total=_small(parts["total"]),
        parts_hash=_hex(parts["hash"]),
        signatures=tuple(map(_signature, signatures)),
    )


def _signature(found: Any) -> Signature | None:
    """The signature of one validator; None where it was absent or voted for no block, or at a time before 1970.

    CometBFT takes any time: a single validator that lies must not make the votes of the others unreadable.
    """
    if found["block_id_flag"] != _COMMITTED:
        return None
    seconds, nanos = _time(found["timestamp"])
    return Signature(seconds, nanos, _base64(found["signature"], 64)) if seconds > 0 else None


def _validator(found: Any) -> Validator:
    if found["pub_key"]["type"] != "tendermint/PubKeyEd25519":
        raise MalformedError("only validators with Ed25519 keys are taken")
    return Validator(_base64(found["pub_key"]["value"], 32), _number(found["voting_power"]))


def _number(value: object) -> int:
    if type(value) is str and _DECIMAL.fullmatch(value) and int(value) < 1 << 63:
        return int(value)
    raise MalformedError(f"{shown(value, 40)!r} is no number in decimal text")


def _small(value: object) -> int:
    if type(value) is int and 0 <= value < 1 << 31:
        return value
    raise MalformedError(f"{shown(value, 40)!r} is no number below 2**31")


def _hex(value: object) -> bytes:
    if type(value) is str and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    raise MalformedError(f"{shown(value, 40)!r} is no upper-case hex")


def _base64(value: object, most: int) -> bytes:
    if type(value) is str and len(value) <= (most + 2) // 3 * 4:
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            found = None
        if found is not None and len(found) <= most:
            return found
    raise MalformedError(f"{shown(value, 40)!r} is no Base64 of at most {most} bytes")


def _text(value: object, most: int) -> str:
    if type(value) is str and 0 < len(value) <= most and value.isascii():
        return value
    raise MalformedError(f"{shown(value, 40)!r} is no ASCII text of 1 to {most} characters")


def _time(value: object) -> tuple[int, int]:
    """Unix seconds and nanoseconds of a time of RFC 3339 in UTC."""
    match = _TIME.fullmatch(value) if type(value) is str and value.isascii() else None
    if match is None:
        raise MalformedError(f"{shown(value, 40)!r} is no time")
    whole = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(whole.timestamp()), int((match[2] or "").ljust(9, "0"))
