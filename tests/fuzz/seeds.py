"""Honest files for the fuzzer to begin with, and the policy that its verifiers trust.

`python -m tests.fuzz.seeds FOLDER` writes them.

They are those of the mutation tests' honest world, and texts from the documentation's examples. Each target has a
folder of its name; a target without one begins with nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ledger.crypto import keyfile
from ledger.crypto.cose_key import to_cose_key
from ledger.evidence.chain import rlp
from ledger.evidence.container import pack
from ledger.evidence.policy import Auditor, Policy
from ledger.evidence.policy_text import dump_policy
from ledger.log.notes import ED25519, Note, Vkey
from ledger.log.tiles import encode_entry_bundle, entries_path, tile_path
from ledger.state.records import KIND_OF, KINDS, encode_record
from ledger.statements.cbor import encode
from node.witness.request import write_request, write_size
from tests.evidence.bundles import ORIGIN, PLAIN_WITNESSES, RAW_DOCUMENT, witness
from tests.mutations.honest import Honest
from tests.mutations.run import all_kinds
from tests.world import key

KINDS_OF: Mapping[str, Sequence[str]] = {
    "bundle": ("bundle", "bundle, audited"),
    "statement": ("statement",),
    "transparent": ("transparent statement",),
    "acknowledgement": ("acknowledgement",),
    "refusal": ("refusal",),
    "note": ("note",),
    "receipt": ("receipt", "receipt of growth"),
    "tlog-proof": ("tlog-proof",),
    "seal": ("seal",),
    "seal-share": ("seal share",),
    "audit-report": ("audit report",),
    "split-view": ("split view", "split view, innocent"),
    "violation": ("violation",),
    "chain-evidence": ("chain evidence, pinned",),
    "comet-evidence": ("chain evidence, cometbft",),
    "cbor": ("seal", "split view", "state proof"),
}
TEXTS: Mapping[str, Sequence[str]] = {
    "identifier": (
        "vaa:88.118.8/A1", "gs1:01/09506000134352/21/A1", "https://id.gs1.org/01/09506000134352/21/A1?17=261231",
        "(01)09506000134352(21)A1", "did:web:example.org", "did:bid:efJgt44mNDewKK1VEN454R17cjso3mSG", "10.1000/182",
        "hdl:10.1000/182", "lei:5493001KJTIIGC8Y1R12", "vin:1M8GDM9AXKP042788", "1.2.156.1000", "91350211M000100Y43",
    ),
    "gs1": (
        "0https://id.gs1.org/01/09506000134352/21/A1?17=261231", "1(01)09506000134352(17)261231(21)A%2F1",
        "2]C1010950600013435217261231\x1d21A1",
    ),
    "subject": ("vaa:88.118.8/A1", "log:" + "ab" * 32, "batch:7", "delegation:vaa/88.118.8", "template:x/1"),
    "disclosures": ('{"_sd":["x"],"_sd_alg":"sha-256"}\nWyJhIiwiYiIsMV0',),
    "json": ('{"a":[1,2,{"b":null}],"c":"\u00e9","d":9007199254740991}', "[]", '"x"'),
}  # fmt: skip


def seeds() -> dict[str, list[bytes]]:
    """Honest files by target."""
    honest = Honest()
    town, source = honest.town, honest.town.late
    kinds = {kind.name: [sample.raw for sample in kind.samples] for kind in all_kinds()}
    found = {target: [raw for name in names for raw in kinds[name]] for target, names in KINDS_OF.items()}
    found |= {target: [text.encode() for text in texts] for target, texts in TEXTS.items()}
    found["container"] = [pack(raw) for raw in found["bundle"]]
    found["json"].append(RAW_DOCUMENT)
    note = Note.parse(source.note)
    places = sorted(KINDS)
    vkeys = [Vkey(ORIGIN, ED25519, town.world.note.public_key), witness(PLAIN_WITNESSES[0])]
    lines = [f"witness w{n} {witness(name).format()}" for n, name in enumerate(PLAIN_WITNESSES)]
    header = honest.still.header()
    accounts, _ = honest.still.tries()
    tree = honest.comet.evm()
    found |= {
        "checkpoint": [note.text],
        "vkey": [vkey.format().encode() for vkey in vkeys],
        "policy": [dump_policy(trusted(honest)).encode()],
        "tlog-policy": [
            "\n".join([f"log {vkeys[0].format()}", *lines, "group all 2 w0 w1 w2", "quorum all", ""]).encode(),
            b"quorum none\n",
        ],
        "entry-bundle": [bytes([6]) + encode_entry_bundle(source.entries[:7])],
        "tile-path": [tile_path(1, 1234067, 5).encode(), entries_path(7).encode()],
        "witness-request": [write_request(1, [bytes(32)], source.note)],
        "witness-answer": [write_size(42)],
        "consent": [consent.raw for one in source.statements for consent in one.consents][:6],
        "cose-key": [
            encode(to_cose_key(-8, key("x").public_key)),
            encode(to_cose_key(-7, key("x", "es256").public_key)),
        ],
        "record": [
            bytes([places.index(KIND_OF[place[0]])]) + encode_record(record)
            for place, record in list(source.state.records.items())[:40]
        ],
        "state-proof": [
            encode([dict.fromkeys(names), source.prove(names).to_cbor_object()])
            for names in ([bytes(32)], [bytes(32), b"\x80" * 32])
        ],
        "header": [header],
        "ics23": [encode(tree.prove(name).to_items()) for name in (*tree.keys()[:3], b"\2", b"\0", b"\xff")],
        "comet-header": [encode(link.to_items()) for link in honest.comet.links()],
        "rlp": [header, rlp.encode([b"a", [b"", b"bc" * 40]])],
        "trie": [rlp.encode(accounts.nodes[:4]), rlp.encode(accounts.nodes[-1:])],
        "signature": [bytes([n]) + key("x").public_key + b"\0" + key("x").sign(b"message") for n in range(3)],
        "key-file": [_key_file()],
    }
    return found


def trusted(honest: Honest) -> Policy:
    """The policy of the honest world, with the log's keys written out, and the other chain's validators."""
    policy = honest.policy()
    vkey = Vkey(ORIGIN, ED25519, key("note").public_key)
    auditors = tuple(Auditor(name, -8, key(name).public_key) for name in ("auditor", "cose"))
    chains = (*policy.chains, honest.comet.policy())
    logs = tuple(replace(log, note_keys=(vkey,)) for log in policy.logs)
    return replace(policy, logs=logs, auditors=auditors, chains=chains)


def _key_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.key"
        keyfile.save(path, key("x"), "a passphrase that is long enough")
        return path.read_bytes()


def main() -> None:
    """Write policy.toml, and a folder for each target."""
    folder = Path(sys.argv[1])
    for target, raws in seeds().items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, raw in enumerate(raws):
            (folder / target / f"honest-{number}").write_bytes(raw)
    (folder / "policy.toml").write_text(dump_policy(trusted(Honest())), encoding="utf-8")


if __name__ == "__main__":
    main()
