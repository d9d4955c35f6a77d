"""Makes the worked examples of docs/formats.md with the real code, from fixed keys and times.

`docs/make_examples.py` writes them into the document, `test_formats.py` holds the document to them.
A block of the document is what stands between `<!-- example: name -->` and `<!-- /example -->`. Nothing here is random:
the keys are those of tests/world.py, times are fixed, and where the code draws a salt or an inode a fixed one is given.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import textwrap
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from api.http.answers import encode_outcomes, encode_run
from ledger.audit.sample import draw
from ledger.credentials.disclosure import conceal
from ledger.crypto import bls12381, keyfile
from ledger.crypto.bls12381 import Bls12381Signer
from ledger.crypto.canonical import canonical_json, document_digest, parse_json
from ledger.crypto.keccak import keccak256
from ledger.errors import Rejection
from ledger.evidence.audit_report import FULL, REPLAYED, Anchored, AuditReport, sign_audit_report
from ledger.evidence.build import build
from ledger.evidence.chain import ChainPolicy, check_chain_evidence, storage
from ledger.evidence.chain.comet.commit import signed_bytes
from ledger.evidence.chain.ethereum import make_evidence
from ledger.evidence.container import FORMAT, MAX_CONTENT, unpack
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import Verdict
from ledger.evidence.seal import Roster, Sealed, SealMember, check_seal, join, sign_share
from ledger.evidence.split_view import LogIdentity, prefix_of, split_checkpoints, verify_split_view
from ledger.evidence.verifier import verify
from ledger.evidence.violation import LoggedEntry, Violation
from ledger.log.checkpoint import Checkpoint, make_cosignature, sign_checkpoint
from ledger.log.group import GroupTree
from ledger.log.notes import COSIGNATURE, ED25519, Note, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.receipts import InclusionPath, make_inclusion_receipt
from ledger.log.tiles import encode_entry_bundle, entries_path, tile_path
from ledger.log.tlog_proof import TlogProof
from ledger.log.tree import CompactRange, leaf_hash, root_of
from ledger.state.proofs import root_from_state_proof
from ledger.state.records import (
    KIND_OF,
    ZERO_HEAD,
    IdentifierRecord,
    KeyRef,
    encode_record,
    next_head,
    record_key,
)
from ledger.statements import Statement, consent_digest, decode, decode_statement, encode, sign
from ledger.statements.acknowledgement import Acknowledgement, Refusal, sign_acknowledgement, sign_refusal
from ledger.statements.cose import split
from ledger.statements.transparent import attach
from ledger.store import lock
from ledger.store.index import Index
from ledger.store.journal import Journal
from ledger.store.replay import replay
from node.anchor.records import AnchorRecord, AnchorState, Attempt
from node.submission import Admitted, Refused, Run
from tests.comet_world import FOUR, Comet
from tests.evidence.bundles import LogSource, signed_note
from tests.evidence.chain_builder import CODE_HASH, CONTRACT, Still, head, meta
from tests.world import START, Party, World, key, key_entry

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
BLOCK = re.compile(r"(<!-- example: ([a-z-]+) -->\n)(.*?)(<!-- /example -->)", re.DOTALL)
IDENTIFIER = "vaa:88.118.8/JXDY2106023"
ABSENT = "vaa:88.118.8/NEVER"
PRODUCT = {
    "id": IDENTIFIER,
    "name": "电源适配器",
    "serial": "A/17",
    "weight_g": 310,
    "tested": True,
    "parts": [{"b": 2, "a": 1}, None],
}


# -- showing bytes ----------------------------------------------------------------------------------------------------


def diagnostic(value: Any, indent: int = 0) -> str:
    """CBOR diagnostic notation (RFC 8949 section 8), a member a line where it is long."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    if isinstance(value, (list, tuple)):
        return _joined("[", "]", [diagnostic(item, indent + 2) for item in value], indent)
    if isinstance(value, dict):
        pairs = [f"{diagnostic(k)}: {diagnostic(v, indent + 2)}" for k, v in value.items()]
        return _joined("{", "}", pairs, indent)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _joined(opening: str, closing: str, items: Sequence[str], indent: int) -> str:
    line = f"{opening}{', '.join(items)}{closing}"
    if len(line) + indent <= 110 and "\n" not in line:
        return line
    pad = " " * (indent + 2)
    return f"{opening}\n" + ",\n".join(pad + item for item in items) + f"\n{' ' * indent}{closing}"


def _shortened(value: Any) -> Any:
    """The value with long byte strings cut and their length told."""
    if isinstance(value, bytes) and len(value) > 40:
        return _Cut(f"h'{value[:16].hex()}…' ({len(value)} bytes)")
    return [_shortened(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class _Cut:
    """A text that `diagnostic` shows as it is."""

    text: str

    def __str__(self) -> str:
        return self.text


def cose_diagnostic(raw: bytes) -> str:
    """A COSE_Sign1 with what its byte strings hold."""
    parts = split(raw)
    payload = f"<< {diagnostic(decode(parts.payload), 2)} >>" if len(parts.payload) != 32 else diagnostic(parts.payload)
    return "\n".join([
        "18([",
        f"  << {diagnostic(decode(parts.protected), 2)} >>,",
        "  {},",
        f"  {payload},",
        f"  {diagnostic(parts.signature)}",
        "])",
    ])  # fmt: skip


def annotate(data: bytes, notes: dict[str, str]) -> str:
    """Hex with one line for each CBOR item: its offset, its head, its content, and a note for its path."""
    lines: list[str] = []

    def walk(at: int, depth: int, path: str) -> int:
        head, low = data[at] >> 5, data[at] & 0x1F
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
        number = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else low
        after = at + 1 + width
        meaning = {
            0: f"{number}",
            1: f"{-1 - number}",
            4: f"array of {number}",
            5: f"map of {number}",
            6: f"tag {number}",
        }
        text, content = meaning.get(head, ""), b""
        if head in {2, 3}:
            content = data[after : after + number]
            text = f"{number} bytes" if head == 2 else diagnostic(content.decode())
        shown = data[at:after].hex() + (f" {content.hex()}" if 0 < len(content) <= 8 else " …" if content else "")
        note = notes.get(path, "")
        lines.append(
            f"{at:4}  {'  ' * depth}{shown:<{max(30 - 2 * depth, 1)}} {text}{'  # ' + note if note else ''}".rstrip()
        )
        if head in {2, 3}:
            return after + number
        if head in {4, 5}:
            for place in range(number):
                if head == 4:
                    after = walk(after, depth + 1, f"{path}/{place}")
                else:
                    name = decode(data[after : _end(data, after)])
                    after = walk(after, depth + 1, f"{path}/{name}:")
                    after = walk(after, depth + 1, f"{path}/{name}")
        elif head == 6:
            after = walk(after, depth, f"{path}")
        return after

    walk(0, 0, "")
    return "\n".join(lines)


def _end(data: bytes, at: int) -> int:
    low = data[at] & 0x1F
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    number = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else low
    return at + 1 + width + (number if data[at] >> 5 in {2, 3} else 0)


def rows(data: bytes, width: int = 32) -> str:
    """Plain hex, some bytes a line."""
    return "\n".join(data[at : at + width].hex(" ", 4) for at in range(0, len(data), width))


# -- the world of the examples ----------------------------------------------------------------------------------------


class Examples:
    """A small log with one of everything, and the text of each example."""

    def __init__(self) -> None:
        w = self.world = World()
        self.enroller, self.accreditor, self.authority = Party("enroller"), Party("accreditor"), Party("authority")
        self.node, self.plant, self.buyer, self.lab = Party("node"), Party("plant"), Party("buyer"), Party("lab")
        w.enrol(self.enroller, "enroller")
        w.enrol(self.accreditor, "accreditor")
        w.enrol(self.authority, "template-authority")
        for party, role in (
            (self.node, "registrar"),
            (self.plant, "owner"),
            (self.buyer, "owner"),
            (self.lab, "certifier"),
        ):
            w.enrol(party, role, by=self.enroller)
        w.delegate(self.node, "vaa/88.118")
        w.delegate(self.plant, "vaa/88.118.8", by=self.node, parent="vaa/88.118", rights=["register"])
        w.approve_template(self.authority)
        w.accredit(self.accreditor, self.lab)
        w.later(60)
        digest = document_digest(PRODUCT)
        self.registration = self._put(w.registration(self.plant, IDENTIFIER, "vaa/88.118.8", digest=digest))
        self.certification = self._put(w.certification(self.lab, IDENTIFIER))
        draft = w.draft("transfer", self.plant.did, IDENTIFIER, {"holder": self.buyer.did, "seq": 2})
        self.transfer_digest = draft.consent_digest(self.plant.signer)
        self.transfer = self._put(sign(draft, self.plant.signer, [self.buyer.consent(self.transfer_digest)]))
        spare = key("node, spare")
        rotation = w.draft(
            "rotation", self.node.did, self.node.did, {"seq": 1}, {"add": [key_entry(spare, ["statement"])]}
        )
        consent = self.node.consent(rotation.consent_digest(self.node.signer), signer=spare)
        self._put(sign(rotation, self.node.signer, [consent]))
        bad = w.draft(
            "compromise", self.enroller.did, self.plant.did, {"seq": 1},
            {
                "bad": [{"kid": self.plant.signer.kid, "from": w.now}], "confirmed": [],
                "reconfirmed": [self.registration[1].leaf],
            },
        )  # fmt: skip
        self._put(sign(bad, self.enroller.signer))
        w.later(1)
        self.tree = CompactRange()
        self.tree.extend([leaf_hash(entry) for entry in w.entries])

    def _put(self, raw: bytes) -> tuple[int, Statement]:
        return len(self.world.entries), self.world.put(raw)

    def all(self) -> dict[str, str]:
        """Text of every example by its name."""
        made: dict[str, Callable[[], str]] = {
            name.removeprefix("make_").replace("_", "-"): getattr(self, name)
            for name in dir(self)
            if name.startswith("make_")
        }
        return {name: make() for name, make in made.items()}

    # -- statements -----------------------------------------------------------------------------------------------

    def make_registration_hex(self) -> str:
        _, st = self.registration
        outer = annotate(
            st.raw,
            {"/0": "protected header, see below", "/1": "unprotected header: always empty",
             "/2": "payload: SHA-256 of the document", "/3": "Ed25519 signature"},
        )  # fmt: skip
        header = annotate(
            st.protected,
            {
                "/1": "alg: EdDSA with Ed25519", "/4": "kid", "/15": "claims", "/15/1": "iss", "/15/2": "sub",
                "/15/3": "aud: log id", "/15/6": "iat", "/16": "typ", "/258": "payload is a SHA-256", "/259": "of JSON",
            },
        )  # fmt: skip
        return _code(
            f"statement, {len(st.raw)} bytes\n{outer}\n\nprotected header, {len(st.protected)} bytes\n{header}"
        )

    def make_registration(self) -> str:
        index, st = self.registration
        return _code(
            f"{cose_diagnostic(st.raw)}\n\n"
            f"index                    {index}\n"
            f"Sig_structure            {len(st.signed)} bytes, begins {st.signed[:16].hex()}\n"
            f"act  = SHA-256(Sig_str.) {st.act.hex()}\n"
            f"leaf = SHA-256(00 || b)  {st.leaf.hex()}"
        )

    def make_genesis(self) -> str:
        raw = self.world.entries[0]
        return _code(f"{cose_diagnostic(raw)}\n\n{len(raw)} bytes; log id = leaf hash = {self.world.log_id.hex()}")

    def make_manifest(self) -> str:
        return _code(cose_diagnostic(self.world.entries[-1]))

    def make_consent(self) -> str:
        _, st = self.transfer
        body = encode({})
        assert consent_digest(self.world.log_id, st.protected, body) == self.transfer_digest
        preimage = encode(["tial-consent-v1", self.world.log_id, st.protected, body])
        return _code(
            f"digest = SHA-256 of these {len(preimage)} bytes:\n"
            f"[\"tial-consent-v1\", h'{self.world.log_id.hex()}', h'{st.protected[:6].hex()}…' "
            f"({len(st.protected)} bytes), h'{body.hex()}']\n"
            f"       = {self.transfer_digest.hex()}\n\n{cose_diagnostic(st.consents[0].raw)}"
        )

    def make_acknowledgement(self) -> str:
        leaves = [leaf_hash(entry) for entry in self.world.entries[14:18]]
        group = GroupTree(leaves)
        ack = Acknowledgement(self.world.log_id, 14, group.size, group.root, START + 60, START + 120)
        proof = ", ".join(f"h'{part.hex()}'" for part in group.range_proof(1, 2))
        return _code(
            f"{cose_diagnostic(sign_acknowledgement(self.world.cose, ack))}\n\n"
            f"range proof for entries 15 and 16 in that group of 4 entries from 14 on:\n[{proof}]"
        )

    def make_refusal(self) -> str:
        refusal = Refusal(self.world.log_id, self.registration[1].act, "already_registered", 19, START + 61)
        return _code(cose_diagnostic(sign_refusal(self.world.cose, refusal)))

    # -- state ----------------------------------------------------------------------------------------------------

    def make_record_key(self) -> str:
        preimage = encode(["identifier", IDENTIFIER])
        return _code(
            f'["identifier", "{IDENTIFIER}"]\n{preimage.hex()}\nSHA-256 = {record_key("identifier", IDENTIFIER).hex()}'
        )

    def make_head_chain(self) -> str:
        lines = [f"before       {ZERO_HEAD.hex()}"]
        head = ZERO_HEAD
        for index, st in (self.registration, self.certification, self.transfer):
            head = next_head(head, index, st.leaf)
            lines.append(f"entry {index:<6} {head.hex()}  {st.type}")
        record = self.world.state.read(IdentifierRecord, IDENTIFIER)
        assert record is not None
        assert record.head == head
        return _code("\n".join(lines))

    def make_records(self) -> str:
        newest: dict[str, tuple[tuple[Any, ...], Any]] = {}
        for place, record in self.world.state.records.items():
            kind = KIND_OF[place[0]]
            if kind != "actor" or place[1] == self.node.did:
                newest[kind] = (place[1:], record)
        parts = []
        for kind, (names, record) in newest.items():
            raw = encode_record(record)
            parts.append(f"{diagnostic([kind, *names])}, {len(raw)} bytes\n{diagnostic(decode(raw))}")
        return _code("\n\n".join(parts))

    # -- log ------------------------------------------------------------------------------------------------------

    def make_checkpoint(self) -> str:
        origin = self.world.log.origin
        note = sign_checkpoint(self.world.note, Checkpoint(origin, self.tree.size, self.tree.root()))
        return _code(note.decode().rstrip("\n"))

    def make_vkey(self) -> str:
        vkey = Vkey(self.world.log.origin, ED25519, self.world.note.public_key)
        return _code(vkey.format())

    def make_cosignature(self) -> str:
        witness = key("witness")
        text = Checkpoint(self.world.log.origin, self.tree.size, self.tree.root()).text()
        line = make_cosignature(witness, "witness.example/1", text, START + 70)
        vkey = Vkey("witness.example/1", COSIGNATURE, witness.public_key)
        return _code(f"{vkey.format()}\n{line.line().decode().rstrip()}")

    def make_tile_paths(self) -> str:
        size = 70_000
        lines = [
            f"entry 0, bundle           {entries_path(0)}",
            f"entry 69999, bundle       {entries_path(69_999 // 256, size % 256)}",
            f"leaf hash 0               {tile_path(0, 0)}",
            f"leaf hash 69999           {tile_path(0, 69_999 // 256, size % 256)}",
            f"nodes of level 8          {tile_path(1, 0)} and {tile_path(1, 1, (size >> 8) % 256)}",
            f"nodes of level 16         {tile_path(2, 0, size >> 16)}",
            f"tile 1234067 of level 0   {tile_path(0, 1_234_067)}",
        ]
        return _code("\n".join(lines))

    def make_bundle(self) -> str:
        bundle = encode_entry_bundle(self.world.entries)
        first = len(self.world.entries[0])
        second = 2 + first
        return _code(
            f"path    {entries_path(0, len(self.world.entries))}, {len(bundle)} bytes\n"
            f"{0:6}  {bundle[:2].hex()}  length of entry 0: {first}\n"
            f"{2:6}  {bundle[2:10].hex()}…  entry 0\n"
            f"{second:6}  {bundle[second : second + 2].hex()}  length of entry 1: {len(self.world.entries[1])}\n"
            f"{second + 2:6}  {bundle[second + 2 : second + 10].hex()}…  entry 1"
        )

    # -- receipts -------------------------------------------------------------------------------------------------

    def _path(self, index: int) -> tuple[bytes, ...]:
        leaves = [leaf_hash(entry) for entry in self.world.entries]
        size = len(leaves)
        return tuple(inclusion_proof(index, size, lambda level, i: root_of(leaves[i << level : (i + 1) << level])))

    def _receipt(self) -> bytes:
        index, st = self.registration
        proof = InclusionPath(self.tree.size, index, self._path(index))
        return make_inclusion_receipt(self.world.cose, self.world.log.origin, st.sub, st.leaf, proof)

    def make_receipt(self) -> str:
        raw = self._receipt()
        protected, unprotected, _, signature = decode(raw, tag=18)
        (proof,) = unprotected[396][-1]
        signed = encode(["Signature1", protected, b"", self.tree.root()])
        return _code(
            "\n".join([
                "18([",
                f"  << {diagnostic(decode(protected), 2)} >>,",
                f"  {{396: {{-1: [<< {diagnostic(decode(proof), 2)} >>]}}}},",
                "  null,",
                f"  {diagnostic(signature)}",
                "])",
                "",
                f"{len(raw)} bytes; about the registration, leaf {self.registration[1].leaf.hex()}",
                f"the proof leads to root        {self.tree.root().hex()}",
                f"Sig_structure, {len(signed)} bytes, ends  {signed[-34:].hex()}",
            ])
        )  # fmt: skip

    def make_transparent(self) -> str:
        _, st = self.registration
        receipt = self._receipt()
        raw = attach(st.raw, [receipt])
        notes = {
            "/0": "protected header of the statement", "/1": "unprotected header", "/1/394": "receipts",
            "/1/394/0": "the receipt above", "/2": "payload", "/3": "signature of the statement",
        }  # fmt: skip
        return _code(f"transparent statement, {len(raw)} bytes\n{annotate(raw, notes)}")

    def make_proof_file(self) -> str:
        index, _ = self.registration
        checkpoint = Checkpoint(self.world.log.origin, self.tree.size, self.tree.root())
        note = Note.parse(sign_checkpoint(self.world.note, checkpoint))
        line = make_cosignature(key("witness"), "witness.example/1", note.text, START + 70)
        cosigned = note.with_signatures([line]).serialise()
        return _code(TlogProof(index, self._path(index), cosigned).serialise().decode().rstrip("\n"))

    # -- stores ---------------------------------------------------------------------------------------------------

    def make_journal(self) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            with Journal.open(Path(scratch), start=7) as journal:
                journal.append([b"entry seven", b"eight"])
            (path,) = Path(scratch).iterdir()
            return _code(f"{path.name}\n{rows(path.read_bytes())}")

    def make_state_proof(self) -> str:
        keys = sorted(record_key("identifier", name) for name in (IDENTIFIER, ABSENT))
        with tempfile.TemporaryDirectory() as scratch, Index.open(Path(scratch)) as index:
            replay(index, self.world.entries)
            proof, root = index.tree.prove(keys)
            claims = {key: index.record(key) for key in keys}
        assert root == root_from_state_proof(claims, proof) == decode_statement(self.world.entries[-1]).body["state"]
        lines = [f"key {key.hex()}  {'absent' if claims[key] is None else 'present'}" for key in keys]
        return _code("\n".join([*lines, f"root {root.hex()}", diagnostic(proof.to_cbor_object())]))

    def make_index(self) -> str:
        with tempfile.TemporaryDirectory() as scratch, Index.open(Path(scratch)) as index:
            replay(index, self.world.entries)
            dump = list(index.dump())
        wanted = {record_key("identifier", IDENTIFIER): "identifier", record_key("batch"): "batch"}
        lines = []
        for name, value in dump:
            if name[:1] in b"rh" and name[1:33] not in wanted:
                continue
            shown = name[:1].hex() + " " + (name[1:].decode() if name[:1] == b"\0" else _split_key(name[1:]))
            note = f"  # {wanted[name[1:33]]}" if name[1:33] in wanted else ""
            lines.append(f"{shown}\n    {value[:24].hex()}{f'… ({len(value)} bytes)' if len(value) > 24 else ''}{note}")
        return _code("\n".join(lines))

    def make_lock(self) -> str:
        note = sign_checkpoint(self.world.note, Checkpoint(self.world.log.origin, self.tree.size, self.tree.root()))
        state = lock.LockState(self.world.log_id, bytes(range(16)), self.tree.size, self.tree.root(), note)
        data = lock._encode(state, 1_048_577, hashlib.sha256(b"the lock before").digest())
        identity = lock._Identity(1_048_577, START * 10**9, hashlib.sha256(data).digest())
        guard = lock._encode_guard(identity).decode()
        return _code(f"checkpoint.lock\n{data.decode()}\ncheckpoint.lock.guard\n{guard}".rstrip())

    def make_key_file(self) -> str:
        drawn = keyfile.random
        keyfile.random = lambda size: bytes(range(size))  # a salt and a nonce that stay the same
        try:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "cose.key"
                keyfile.save(path, self.world.cose, "correct horse battery staple")
                assert keyfile.load(path, "correct horse battery staple").kid == self.world.cose.kid
                return _code(path.read_text().rstrip(), "json")
        finally:
            keyfile.random = drawn

    def make_outbox(self) -> str:
        attempt = Attempt(bytes.fromhex("02f8"), bytes(range(32)), 3, 2_000_000_014, START + 62)
        record = AnchorRecord(
            log=self.world.log_id, size=self.tree.size, root=self.tree.root(),
            checkpoint=sign_checkpoint(
                self.world.note, Checkpoint(self.world.log.origin, self.tree.size, self.tree.root())
            ),
            previous=14, chain_id=31_990, contract="0x5FbDB2315678afecb367f032d93F642f64180aa3",
            state=AnchorState.DONE, created=START + 62, attempts=(attempt,), tx=bytes(range(32)), block=9,
            time=START + 63, sender="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", gas=101_234, fee=101_234 * 10**9,
            finished=START + 64,
        )  # fmt: skip
        assert AnchorRecord.from_json(record.to_json()) == record
        return _code(orjson.dumps(record.to_json(), option=orjson.OPT_INDENT_2).decode(), "json")

    def make_chain_evidence(self) -> str:
        log_id, size, root, time = self.world.log_id, self.tree.size, self.tree.root(), START + 63
        still = Still(number=12, time=START + 70)
        words = {
            "root": (storage.root_slot(log_id, size), root),
            "meta": (storage.meta_slot(log_id, size), meta(9, time)),
            "head": (storage.head_slot(log_id), head(size, time)),
        }
        still.words |= dict(words.values())
        accounts, stored = still.tries()
        header = still.header()
        evidence = make_evidence(
            chain_id=31_990, contract=CONTRACT, log_id=log_id, size=size, header=header,
            nodes=[*accounts.nodes, *stored.nodes],
        )  # fmt: skip
        block_hash = keccak256(header)
        policy = ChainPolicy("ethereum", 31_990, CONTRACT, CODE_HASH, headers=(block_hash,))
        facts = check_chain_evidence(evidence, policy, log_id)
        assert (facts.root, facts.anchored_block, facts.newest) == (root, 9, True)
        kind, chain_id, contract, log, _, _, requested, nodes = decode(evidence)
        shown = [f"[\"{kind}\", {chain_id}, h'{contract.hex()}',", f" h'{log.hex()}', {size},"]
        shown.append(f" h'{header[:24].hex()}…' ({len(header)} bytes), {requested},")
        shown.append(" [" + ",\n  ".join(f"h'{node[:24].hex()}…' ({len(node)} bytes)" for node in nodes) + "]]")
        shown += ["", f"{len(evidence)} bytes", f"block hash    {block_hash.hex()}"]
        shown.append(f"state root    {accounts.root.hex()}")
        shown.append(f"account       at {keccak256(contract).hex()}, storage root {stored.root.hex()}")
        for name, (slot, word) in words.items():
            shown += [f"{name} slot     {slot.hex()}, at {keccak256(slot).hex()}", f"{name} word     {word.hex()}"]
        return _code("\n".join(shown))

    def make_comet_evidence(self) -> str:
        log_id, size, root, time = self.world.log_id, self.tree.size, self.tree.root(), START + 63
        words = {
            storage.root_slot(log_id, size): root,
            storage.meta_slot(log_id, size): meta(9, time),
            storage.head_slot(log_id): head(size, time),
        }
        comet = Comet(words=words, height=12, time=START + 70, signers=FOUR[:3], noise={b"\3": b"parameters"})
        waits = leaf_hash(b"a statement that waits")
        evidence = comet.evidence(size=size, log=log_id, requested=(waits,), chain_id=31_991)
        facts = check_chain_evidence(evidence, comet.policy(chain_id=31_991), log_id)
        assert (facts.root, facts.anchored_block, facts.newest) == (root, 9, True)
        parts = comet.parts()
        over, commit = parts["header"], parts["commit"]
        vote = next(one for one in commit.signatures if one is not None)
        items = decode(evidence)
        shown = [diagnostic(_shortened(item), 0) for item in items]
        proof = items[-1][1]
        said = signed_bytes(over, over.hash(), commit, vote)
        return _code(
            "[" + ",\n ".join(shown) + "]\n\n"
            f"{len(evidence)} bytes\n"
            f"block hash       {over.hash().hex()}\n"
            f"validators hash  {parts['validators'].hash().hex()}\n"
            f"first vote over  {said.hex()}\n"
            f"root slot        {storage.root_slot(log_id, size).hex()}\n"
            f"its key          {proof[0].hex()}\n"
            f"its leaf         {proof[2].hex()}, length and key, 20, SHA-256 of {proof[1].hex()}\n"
            f"store root       {parts['store'].value.hex()}\n"
            f"app hash         {over.app_hash.hex()}"
        )

    def make_evidence_bundle(self) -> str:
        source = LogSource(self.world.entries)
        source.note = signed_note(source, self.world.note)
        raw = build(source, ABSENT, None).encode()
        content = unpack(raw)
        members = decode(content, max_size=MAX_CONTENT)
        shown = {key: diagnostic(_shortened(value), 2) for key, value in members.items()}
        inside = ",\n".join(f'  "{key}": {value}' for key, value in shown.items())
        policy = Policy((LogTrust(source.log_id, None, frozenset({-8})),), trust_operator_state=True)
        report = verify(raw, policy, self.world.now).report
        assert report.overall is Verdict.VALID
        frame = f'["{FORMAT}", {len(content)}, content in the zlib format], {len(raw)} bytes'
        return _code(f"{frame}; the content:\n{{\n{inside}\n}}")

    def make_document(self) -> str:
        raw = canonical_json(PRODUCT)
        assert canonical_json(parse_json(raw)) == raw
        return _code(f"{raw.decode()}\n\n{len(raw)} bytes, SHA-256 = {document_digest(PRODUCT).hex()}")

    def make_disclosure(self) -> str:
        concealed, disclosures = conceal(
            {"id": IDENTIFIER, "buyer": "plant 7", "lot": 12}, ["/buyer"], lambda size: bytes(range(size))
        )
        shown = [f"{text}\n  = {b64decode(text + '=' * (-len(text) % 4), b'-_').decode()}" for text in disclosures]
        return _code(f"{canonical_json(concealed).decode()}\n\n" + "\n".join(shown))

    # -- seals ----------------------------------------------------------------------------------------------------

    def _members(self) -> tuple[list[Bls12381Signer], Roster, Checkpoint]:
        signers = [bls12381.SUITE.from_secret((number + 5).to_bytes(32, "big")) for number in range(3)]
        members = (
            SealMember(f"did:example:member-{number}", signer.public_key, bls12381.prove_possession(signer))
            for number, signer in enumerate(signers)
        )
        return signers, Roster(tuple(members), 2), Checkpoint("example.org/log", self.tree.size, self.tree.root())

    def make_seal_share(self) -> str:
        (signer, *_), _, checkpoint = self._members()
        share = sign_share(signer, self.world.log_id, checkpoint)
        signed = "\n".join(textwrap.wrap(share.sealed.message.hex(), 96))
        return _code(f"signed:\n{signed}\n\n{diagnostic(decode(share.encode()))}\n\n{len(share.encode())} bytes")

    def make_seal(self) -> str:
        signers, roster, checkpoint = self._members()
        seal = join([sign_share(signers[n], self.world.log_id, checkpoint) for n in (0, 2)], roster)
        named = check_seal(seal, roster, Sealed.of(self.world.log_id, checkpoint))
        entry = "\n".join(textwrap.wrap(encode([[m.did, m.key] for m in roster.members]).hex(), 96))
        return _code(
            f"hashed for the roster:\n{entry}\n\n{diagnostic(decode(seal.encode()))}\n\n{len(seal.encode())} bytes, by"
            f" {' and '.join(named)}"
        )

    # -- auditors -------------------------------------------------------------------------------------------------

    def make_audit_report(self) -> str:
        auditor = key("auditor")
        counts = Counter(decode_statement(raw).type for raw in self.world.entries)
        report = AuditReport(
            log_id=self.world.log_id, size=self.tree.size, root=self.tree.root(),
            state=decode_statement(self.world.entries[-1]).body["state"], mode=FULL, checked=self.tree.size,
            counts=counts, checks=REPLAYED | {"anchors"}, time=START + 7200, software="tial 0.1.0",
            anchors=Anchored(2, self.tree.size, self.tree.root()),
        )  # fmt: skip
        raw = sign_audit_report(auditor, report)
        return _code(
            f"{cose_diagnostic(raw)}\n\n{len(raw)} bytes; public key of the auditor: {auditor.public_key.hex()}"
        )

    def make_sample(self) -> str:
        seed = hashlib.sha256(b"a block").digest()
        first = hashlib.sha256(seed + bytes(8)).hexdigest()
        return _code(
            f"seed                     {seed.hex()}\nSHA-256(seed || 00..00)  {first}\n"
            f"modulo {self.tree.size}                {int(first, 16) % self.tree.size}\n"
            f"5 draws, in order        {draw(seed, 5, self.tree.size)}"
        )

    def make_split_view(self) -> str:
        leaves = [leaf_hash(raw) for raw in self.world.entries]
        other = [*leaves[:5], leaf_hash(b"another entry"), *leaves[6:12]]
        prefix = prefix_of(12, len(leaves), lambda level, index: root_of(leaves[index << level : (index + 1) << level]))
        notes = [
            sign_checkpoint(self.world.note, Checkpoint("example.org/log", len(tree), root_of(tree)))
            for tree in (other, leaves)
        ]
        raw = split_checkpoints(notes[0], notes[1], prefix)
        cose_key = KeyRef(self.world.cose.suite.alg or 0, self.world.cose.public_key)
        vkey = Vkey("example.org/log", ED25519, self.world.note.public_key)
        found = verify_split_view(raw, LogIdentity.of(self.world.log_id, vkey, cose_key))
        sentence = "\n".join(textwrap.wrap(found.detail, 110))
        return _code(f"{diagnostic(decode(raw))}\n\n{len(raw)} bytes, which prove:\n{sentence}")

    def make_violation(self) -> str:
        shown = [LoggedEntry(at, self.world.entries[at], self._path(at)) for at in (self.tree.size - 1, 17)]
        note = sign_checkpoint(self.world.note, Checkpoint("example.org/log", self.tree.size, self.tree.root()))
        found = Violation("the log holds an entry that its rules refuse: …", START + 120, note, *shown)
        assert found.check([Vkey("example.org/log", ED25519, self.world.note.public_key)]).size == self.tree.size
        value = decode(found.encode())
        cut = [value[3], value[4][1], value[5][1]]
        text = diagnostic(value)
        for raw in cut:
            text = text.replace(f"h'{raw.hex()}'", f"h'{raw[:24].hex()}…' ({len(raw)} bytes)")
        return _code(f"{text}\n\n{len(found.encode())} bytes")

    # -- the bulk stream ------------------------------------------------------------------------------------------

    def make_bulk(self) -> str:
        _, st = self.registration
        _, second = self.certification
        group = GroupTree([st.leaf])
        index = self.registration[0]
        ack = Acknowledgement(self.world.log_id, index, group.size, group.root, START + 60, START + 120)
        refused = Refused(Rejection("out_of_scope", "class 'toys' is not in ['power-supply'].", where="claims.class"))
        run = Run(index, 1, sign_acknowledgement(self.world.cose, ack), group.range_proof(0, 1))
        answers = [encode_outcomes([Admitted(index, st.leaf)]), encode_outcomes([refused]), encode_run(run)]
        sent = f"request:   {st.raw[:8].hex()}… ({len(st.raw)} bytes) {second.raw[:8].hex()}… ({len(second.raw)} bytes)"
        shown = []
        for raw in answers:
            value = {k: v if not isinstance(v, bytes) or len(v) <= 32 else v[:8] for k, v in decode(raw).items()}
            shown.append(f"{raw[:8].hex()}… ({len(raw)} bytes)  {diagnostic(value)}")
        return _code(sent + "\nanswer:\n" + "\n".join(shown))


def _split_key(rest: bytes) -> str:
    return rest.hex() if len(rest) in {8, 32} else f"{rest[:32].hex()} {rest[32:].hex()}"


def _code(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```\n"


# -- the document -----------------------------------------------------------------------------------------------------


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Name and content of every example block of a document."""
    for match in BLOCK.finditer(text):
        yield match[2], match[3]


def renew(text: str, examples: dict[str, str]) -> str:
    """The document with every block made anew; KeyError for a block that no example fills."""
    return BLOCK.sub(lambda match: match[1] + examples[match[2]] + match[4], text)
