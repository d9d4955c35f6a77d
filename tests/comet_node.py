"""A CometBFT node on loopback over a made-up chain: JSON-RPC as CometBFT answers it, made by other code than is tested.

The chain has a validator set for each height and grows when it is told to; `words` of the contract are what they are
now, whatever the height that is asked about.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from ledger.evidence.chain.comet.commit import Commit
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.ics23 import Absence, Existence
from ledger.evidence.chain.comet.validators import ValidatorSet
from node.chain.artifact import load_artifact
from node.chain.comet_rpc import SignedHeader
from node.chain.protocol import ChainUnavailableError
from tests.comet_world import (
    FOUR,
    Comet,
    Member,
    Members,
    commit,
    digest,
    header,
    header_hash,
    proto,
    set_of,
)
from tests.evidence.chain_builder import CONTRACT, LOG, slot, word

BEGAN = 1_800_000_000


class MadeChain:
    """Signed headers up to `height`: `sets` by the height from which each is in force. A source of headers, too."""

    place = "a chain in memory"

    def __init__(self, height: int, sets: dict[int, Members] | None = None, *, fork: bytes = b"") -> None:
        self.height = height
        self.sets = sets or {1: FOUR}
        self.fork = fork
        self.began = BEGAN
        self.app_hash = digest(b"state")
        self.asked: list[int | None] = []
        self._made: dict[tuple[int, bytes], SignedHeader] = {}

    def members(self, height: int) -> Members:
        return self.sets[max(first for first in self.sets if first <= height)]

    def signed(self, height: int) -> SignedHeader:
        key = height, self.app_hash
        if key not in self._made:
            mine, following = self.members(height), self.members(height + 1)
            over = header(
                height, self.began + height, mine, following, last_block_hash=digest(b"%d" % height, self.fork),
                app_hash=self.app_hash,
            )  # fmt: skip
            self._made[key] = SignedHeader(over, commit(over, mine))
        return self._made[key]

    def commit(self, height: int | None = None) -> SignedHeader:
        self.asked.append(height)
        if height is not None and not 0 < height <= self.height:
            raise ChainUnavailableError(f"no block {height}")
        return self.signed(height or self.height)

    def validators(self, height: int) -> ValidatorSet:
        return set_of(self.members(height))


# --- as JSON ----------------------------------------------------------------------------------------------------------


def json_time(seconds: int, nanos: int) -> str:
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    part = f"{nanos:09}".rstrip("0")
    return f"{whole}.{part}Z" if part else f"{whole}Z"


def json_header(made: Header) -> dict[str, Any]:
    names = (
        "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash",
        "last_results_hash", "evidence_hash",
    )  # fmt: skip
    return {
        "version": {"block": str(made.block_version)},
        "chain_id": made.chain_id,
        "height": str(made.height),
        "time": json_time(made.seconds, made.nanos),
        "last_block_id": {
            "hash": made.last_block_hash.hex().upper(),
            "parts": {"total": made.last_parts_total, "hash": made.last_parts_hash.hex().upper()},
        },
        **{name: getattr(made, name).hex().upper() for name in names},
        "proposer_address": made.proposer.hex().upper(),
    }


def json_commit(over: Header, made: Commit) -> dict[str, Any]:
    absent = {"block_id_flag": 1, "validator_address": "", "timestamp": "0001-01-01T00:00:00Z", "signature": None}
    return {
        "height": str(over.height),
        "round": made.round,
        "block_id": {
            "hash": header_hash(over).hex().upper(),
            "parts": {"total": made.parts_total, "hash": made.parts_hash.hex().upper()},
        },
        "signatures": [
            absent
            if one is None
            else {
                "block_id_flag": 2,
                "validator_address": "00" * 20,
                "timestamp": json_time(one.seconds, one.nanos),
                "signature": base64.b64encode(one.signature).decode(),
            }
            for one in made.signatures
        ],
    }


def existence(proof: Existence) -> bytes:
    leaf = proto((1, 1), (3, 1), (4, 1), (5, proof.leaf_prefix))
    steps = tuple((4, proto((1, 1), (2, before), (3, after))) for before, after in proof.path)
    return proto((1, proof.key), (2, proof.value), (3, leaf), *steps)


def commitment(proof: Existence | Absence) -> bytes:
    if isinstance(proof, Existence):
        return proto((1, existence(proof)))
    sides = ((2, proof.left), (3, proof.right))
    return proto((2, proto((1, proof.key), *((at, existence(side)) for at, side in sides if side is not None))))


# --- over HTTP --------------------------------------------------------------------------------------------------------


class CometNode:
    """A node that answers for a chain. `rewrites`: by method, from the honest result to the one that is given."""

    def __init__(self, chain: MadeChain, state: Comet | None = None) -> None:
        self.chain = chain
        self.state = state or Comet()
        self.rewrites: dict[str, Callable[[Any], Any]] = {}
        self.asked: list[str] = []
        self.page = 100
        self.touch()

    def touch(self) -> None:
        """Take up what was changed in `state`."""
        self.chain.app_hash, self._store = self.state.stores()
        self._tree = self.state.evm()

    def __enter__(self) -> Self:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps({"jsonrpc": "2.0", "id": asked["id"]} | node.answer(asked)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked["params"]
        self.asked.append(method)
        try:
            result = getattr(self, "_" + re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", method))(*params)
        except ChainUnavailableError as error:
            return {"error": {"code": -32603, "message": "Internal error", "data": str(error)}}
        return {"result": self.rewrites.get(method, lambda honest: honest)(result)}

    def _commit(self, height: str | None) -> dict[str, Any]:
        over, votes = self.chain.commit(None if height is None else int(height))
        return {"signed_header": {"header": json_header(over), "commit": json_commit(over, votes)}, "canonical": True}

    def _validators(self, height: str, page: str, per_page: str) -> dict[str, Any]:
        members = self.chain.validators(int(height)).members
        size = min(self.page, int(per_page))
        shown = members[(int(page) - 1) * size : int(page) * size]
        return {
            "block_height": height,
            "validators": [
                {
                    "address": one.address.hex().upper(),
                    "pub_key": {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(one.key).decode()},
                    "voting_power": str(one.power),
                    "proposer_priority": "0",
                }
                for one in shown
            ],
            "count": str(len(shown)),
            "total": str(len(members)),
        }

    def _abci_query(self, path: str, data: str, height: str, prove: bool) -> dict[str, Any]:
        assert (path, prove) == ("/store/evm/key", True)
        key = bytes.fromhex(data)
        proof = self._tree.prove(key)
        ops = [("ics23:iavl", key, commitment(proof)), ("ics23:simple", b"evm", commitment(self._store))]
        return {
            "response": {
                "code": 0, "log": "", "info": "", "index": "0", "key": base64.b64encode(key).decode(),
                "value": base64.b64encode(proof.value).decode() if isinstance(proof, Existence) else None,
                "proofOps": {
                    "ops": [
                        {"type": kind, "key": base64.b64encode(of).decode(), "data": base64.b64encode(raw).decode()}
                        for kind, of, raw in ops
                    ]
                },
                "height": height, "codespace": "",
            }
        }  # fmt: skip

    # --- the Ethereum JSON-RPC of the same node ---

    def _eth_chain_id(self) -> str:
        return hex(7)

    def _eth_block_number(self) -> str:
        return hex(self.chain.height)

    def _eth_get_block_by_number(self, number: str, _: bool) -> dict[str, Any] | None:
        height = int(number, 16)
        if height > self.chain.height:
            return None
        return {"number": number, "hash": "0x" + header_hash(self.chain.signed(height).header).hex()}

    def _eth_get_storage_at(self, _: str, slot_text: str, __: str) -> str:
        return "0x" + self.state.words.get(bytes.fromhex(slot_text[2:]), bytes(32)).hex()

    def _eth_get_code(self, _: str, __: str) -> str:
        return "0x" if self.state.code_hash is None else "0x60"

    def _eth_get_logs(self, _: object) -> list[dict[str, Any]]:
        """The event of the anchor at size 9, as tests.evidence.chain_builder has it."""
        meta_word = self.state.words[slot(1, LOG, word(9))]
        block = int.from_bytes(meta_word, "big") & (1 << 56) - 1
        return [
            {
                "address": "0x" + CONTRACT.hex(),
                "topics": ["0x" + load_artifact().topics["Anchored"].hex(), "0x" + LOG.hex(), "0x" + word(9).hex()],
                "data": "0x" + self.state.words[slot(0, LOG, word(9))].hex() + bytes(12).hex() + meta_word[:20].hex(),
                "blockNumber": hex(block),
                "blockHash": "0x" + self.chain.signed(block + 1).header.last_block_hash.hex(),
                "blockTimestamp": hex(1_900),
                "transactionHash": "0x" + "cc" * 32,
            }
        ]

    def _eth_get_transaction_by_hash(self, tx: str) -> dict[str, Any]:
        return {"hash": tx, "blockNumber": hex(40)}

    def _eth_get_transaction_receipt(self, tx: str) -> dict[str, Any]:
        return {
            "transactionHash": tx, "blockNumber": hex(40), "status": "0x1", "gasUsed": "0x5208",
            "effectiveGasPrice": "0x2",
        }  # fmt: skip


@cache
def many(count: int, power: int = 10) -> Members:
    """So many validators."""

    return tuple(Member(f"validator {number}", power) for number in range(count))
