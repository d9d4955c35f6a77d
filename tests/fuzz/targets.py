"""What is fuzzed: every decoder of bytes from outside, and what is asked of its result before a signature is known.

A target takes any bytes and raises nothing but `LedgerError`. Where a form has one spelling only, what was read is
written again and must be the same. This module needs the base install alone: it runs in the fuzzer's environment.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ledger.credentials.disclosure import reveal
from ledger.crypto import keyfile
from ledger.crypto.canonical import canonical_json, document_digest, parse_json
from ledger.crypto.cose_key import from_cose_key
from ledger.crypto.suites import SUITES
from ledger.evidence.audit_report import auditor_kid, open_audit_report
from ledger.evidence.bundle import Bundle
from ledger.evidence.chain import check_chain_evidence, rlp, trie
from ledger.evidence.chain.comet.commit import Link, verify_commit
from ledger.evidence.chain.comet.ics23 import Absence, iavl_root, proof_from_items, store_root
from ledger.evidence.chain.cometbft import STORE
from ledger.evidence.chain.header import Header
from ledger.evidence.container import pack, unpack
from ledger.evidence.policy import Policy, parse_policy
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.seal import Seal, Share
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.evidence.typed import read_record
from ledger.evidence.verifier import verify
from ledger.evidence.violation import Violation
from ledger.identifiers import registry
from ledger.identifiers.gs1_digital_link import parse_uri
from ledger.identifiers.gs1_elements import parse_bracketed, parse_scanned
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import ED25519, Note, Vkey, verify_note
from ledger.log.policy import TlogPolicy
from ledger.log.receipts import decode_receipt
from ledger.log.tiles import decode_entry_bundle, parse_path
from ledger.log.tlog_proof import TlogProof
from ledger.state.proofs import StateProof, root_from_state_proof
from ledger.state.records import KINDS, KeyRef
from ledger.statements import decode_consent, decode_statement, subjects
from ledger.statements.acknowledgement import open_acknowledgement, open_refusal, signed_by
from ledger.statements.cbor import decode, encode
from ledger.statements.transparent import attach, split_transparent, take_apart
from node.witness.request import AddCheckpoint, read_size

Target = Callable[[bytes], object]


class Trust:
    """Whom the verifiers among the targets trust: a policy file that lies beside the honest files."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        log = policy.logs[0]
        self.vkeys = log.note_keys
        cose = KeyRef(policy.auditors[-1].alg, policy.auditors[-1].key)  # a policy has no other place for it
        note = self.vkeys[0] if self.vkeys else Vkey(log.origin or "log", ED25519, cose.key)
        self.cose = cose
        self.identity = LogIdentity.of(log.log_id, note, cose, policy.chains[0])

    @classmethod
    def read(cls, path: Path) -> Trust:
        """Read it from a policy file."""
        return cls(parse_policy(path.read_text("utf-8")))


def targets(trust: Trust) -> Mapping[str, Target]:
    """All targets by name; the honest files of a target lie in a folder of its name."""
    return {**_of_statements(trust), **_of_log(trust), **_of_evidence(trust), **_of_chain(trust), **_of_text()}


def _same(written: bytes, read: bytes) -> None:
    if written != read:
        raise AssertionError(f"{read!r} was read and written as {written!r}")


def _text(raw: bytes) -> str:
    """Text as the command line gives it: bytes that are not UTF-8 arrive as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def _of_statements(trust: Trust) -> dict[str, Target]:
    def cbor(raw: bytes) -> None:
        _same(encode(decode(raw)), raw)

    def transparent(raw: bytes) -> None:
        take_apart(raw)
        statement, receipts = split_transparent(raw)
        _same(attach(statement, receipts), raw)

    def record(raw: bytes) -> None:
        kinds = sorted(KINDS)
        read_record(kinds[raw[0] % len(kinds)] if raw else kinds[0], raw[1:])

    return {
        "cbor": cbor,
        "statement": decode_statement,
        "consent": decode_consent,
        "transparent": transparent,
        "acknowledgement": lambda raw: (signed_by(raw), open_acknowledgement(raw, *trust.cose)),
        "refusal": lambda raw: open_refusal(raw, *trust.cose),
        "cose-key": lambda raw: from_cose_key(decode(raw)),
        "record": record,
        "subject": lambda raw: subjects.parse(_text(raw)),
    }


def _of_log(trust: Trust) -> dict[str, Target]:
    witnesses = [*trust.policy.plain.vkeys, *trust.policy.replaying.vkeys]

    def note(raw: bytes) -> None:
        found = Note.parse(raw)
        _same(found.serialise(), raw)
        verify_note(found, witnesses)

    def checkpoint(raw: bytes) -> None:
        _same(Checkpoint.parse(raw).text(), raw)

    def vkey(raw: bytes) -> None:
        text = _text(raw)
        _same(Vkey.parse(text).format().encode(), text.encode("utf-8", "surrogateescape"))

    def tlog_policy(raw: bytes) -> None:
        found = TlogPolicy.parse(raw)
        found.satisfied(found.vkeys)
        found.quorum_time(dict.fromkeys(found.vkeys, 1))
        str(found.splittable)

    return {
        "note": note,
        "checkpoint": checkpoint,
        "vkey": vkey,
        "tlog-policy": tlog_policy,
        "entry-bundle": lambda raw: decode_entry_bundle(raw[1:], raw[0] + 1 if raw else 1),
        "tile-path": lambda raw: parse_path(_text(raw)),
        "receipt": decode_receipt,
        "tlog-proof": lambda raw: _same(TlogProof.parse(raw).serialise(), raw),
        "witness-request": AddCheckpoint.parse,
        "witness-answer": read_size,
    }


def _of_evidence(trust: Trust) -> dict[str, Target]:
    def bundle(raw: bytes) -> None:
        done = verify(pack(raw), trust.policy, 1_750_000_100)
        done.report.as_text("zh")
        done.report.as_json()
        _same(Bundle.read(raw).content(), raw)

    def state_proof(raw: bytes) -> None:
        value = decode(raw)
        if type(value) is list and len(value) == 2 and type(value[0]) is dict:
            found = StateProof.from_cbor_object(value[1])
            _same(encode(found.to_cbor_object()), encode(value[1]))
            if all(type(name) is bytes and type(item) in (bytes, type(None)) for name, item in value[0].items()):
                root_from_state_proof(value[0], found)

    def audit_report(raw: bytes) -> None:
        auditor_kid(raw)
        open_audit_report(raw, [(one.alg, one.key) for one in trust.policy.auditors])

    def policy(raw: bytes) -> None:
        found = parse_policy(_text(raw))
        if parse_policy(dump_policy(found)) != found:
            raise AssertionError("a policy was written as another")

    def violation(raw: bytes) -> None:
        found = Violation.decode(raw)
        _same(found.encode(), raw)
        found.check(trust.vkeys)

    return {
        "bundle": bundle,
        "state-proof": state_proof,
        "container": unpack,
        "seal": lambda raw: _same(Seal.decode(raw).encode(), raw),
        "seal-share": lambda raw: _same(Share.decode(raw).encode(), raw),
        "audit-report": audit_report,
        "split-view": lambda raw: verify_split_view(raw, trust.identity),
        "violation": violation,
        "policy": policy,
    }


def _of_chain(trust: Trust) -> dict[str, Target]:
    log, (chain, comet) = trust.policy.logs[0].log_id, trust.policy.chains

    def nodes(raw: bytes) -> None:
        """The first node is the root; its hash is computed, so that the walk goes on."""
        items = rlp.decode_list(raw)
        pile = trie.Nodes([item for item in items if isinstance(item, bytes)])
        first = next((item for item in items if isinstance(item, bytes)), b"")
        trie.lookup(trie.keccak256(first), bytes(32), pile)
        pile.finish()

    def header(raw: bytes) -> None:
        found = Header.decode(raw)
        if found.sealed is not None:
            found.sealed.signers()

    def ics23(raw: bytes) -> None:
        found = proof_from_items(decode(raw))
        _same(encode(found.to_items()), raw)
        if isinstance(found, Absence):
            iavl_root(found)
        else:
            (store_root if found.key == STORE else iavl_root)(found)

    def comet_header(raw: bytes) -> None:
        found = Link.from_items(decode(raw))
        _same(encode(found.to_items()), raw)
        verify_commit(*found)

    return {
        "comet-evidence": lambda raw: check_chain_evidence(raw, comet, log),
        "comet-header": comet_header,
        "ics23": ics23,
        "rlp": lambda raw: _same(rlp.encode(rlp.decode(raw)), raw),
        "trie": nodes,
        "header": header,
        "chain-evidence": lambda raw: check_chain_evidence(raw, chain, log),
    }


def _of_text() -> dict[str, Target]:
    def json(raw: bytes) -> None:
        found = parse_json(raw)
        written = canonical_json(found)
        _same(canonical_json(parse_json(written)), written)
        document_digest(found)

    def disclosures(raw: bytes) -> None:
        document, *texts = raw.split(b"\n")
        found = parse_json(document)
        if isinstance(found, dict):
            reveal(found, [_text(text) for text in texts])

    def identifier(raw: bytes) -> None:
        text = _text(raw)
        for found in registry.identify(text):
            if registry.parse_subject(registry.subject(found)) != found:
                raise AssertionError(f"{text!r} is read as another identifier than its subject")
        registry.parse_subject(text)

    def gs1(raw: bytes) -> None:
        read = (parse_uri, parse_bracketed, parse_scanned)[raw[0] % 3 if raw else 0]
        read(_text(raw[1:]))

    def signature(raw: bytes) -> None:
        suites = [suite for suite in SUITES.values() if suite.alg is not None]
        suite = suites[raw[0] % len(suites) if raw else 0]
        suite.verify(raw[1 : 1 + 33], b"message", raw[34:])

    return {
        "json": json,
        "disclosures": disclosures,
        "identifier": identifier,
        "gs1": gs1,
        "key-file": _key_file(),
        "signature": signature,
    }


def _key_file() -> Target:
    path = Path(tempfile.mkdtemp(prefix="tial-fuzz-")) / "one.key"

    def described(raw: bytes) -> Any:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, raw)
        finally:
            os.close(handle)
        return keyfile.describe(path)

    return described
