"""State proofs as a client gets them, and the check that makes one worth something (DESIGN section 8, steps 6 to 8).

Trusts the log's keys as the caller has them, and nothing else that the node says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import verify_inclusion
from ledger.log.tree import leaf_hash
from ledger.state.places import place_of_subject
from ledger.state.proofs import StateProof, root_from_state_proof
from ledger.state.records import KIND_OF, ActorRecord, record_key
from ledger.statements import decode_statement, subjects

if TYPE_CHECKING:
    from api.answers import LogInfo


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """What the state held at the end of a batch: encoded records by their keys, None where absent, with their proof.

    `proof` leads to `root`, which the manifest at entry `manifest` names; `inclusion` leads from that entry to the
    `checkpoint` of `size`. Worth something once `check_state` took it.
    """

    batch: int
    manifest: int
    root: bytes
    claims: Mapping[bytes, bytes | None]
    proof: StateProof
    size: int
    inclusion: tuple[bytes, ...]
    checkpoint: bytes


def state_key(subject: str, kind: str = "") -> bytes:
    """Key of the record that a typed subject names; `kind` "identifier" takes a DID as an identifier, not as an actor.

    MalformedError where it is no typed subject.
    """
    parsed = subjects.parse(subject)
    place = (ActorRecord, subject) if parsed[0] == "actor" and not kind else place_of_subject(parsed, subject)
    return record_key(KIND_OF[place[0]], *place[1:])


def check_state(info: LogInfo, manifest: bytes, answer: StateAnswer, keys: Collection[bytes]) -> Checkpoint:
    """Check that a state proof speaks of exactly these keys, and leads through the manifest to a signed checkpoint.

    Returns the checkpoint. It commits to this state as the current one where its size is the manifest's index + 1.
    That the manifest tells the truth about the state is the operator's word, until a replaying witness says so too.
    MalformedError where anything does not fit.
    """
    checkpoint = open_checkpoint(answer.checkpoint, Vkey.parse(info.vkey_for(answer.size)))
    if checkpoint.size != answer.size:
        raise MalformedError("The proof is for another tree than the checkpoint's", where="checkpoint")
    leaf = leaf_hash(manifest)
    if not verify_inclusion(leaf, answer.manifest, answer.size, answer.inclusion, checkpoint.root):
        raise MalformedError("The proof does not lead from the manifest to the root", where=f"entry {answer.manifest}")
    st = decode_statement(manifest)
    if st.type != "manifest" or st.subject != ("batch", answer.batch) or st.body["state"] != answer.root:
        raise MalformedError("The entry is no manifest that names this root", where=f"entry {answer.manifest}")
    alg, key = info.acknowledging(st.kid, answer.manifest)
    if st.alg != alg or not suite_by_alg(alg).verify(key, st.signed, st.signature):
        raise MalformedError("The log's key did not sign the manifest", where=f"entry {answer.manifest}")
    if set(answer.claims) != set(keys):
        raise MalformedError("The proof speaks of other records than those asked for", where="claims")
    if root_from_state_proof(answer.claims, answer.proof) != answer.root:
        raise MalformedError("The proof does not lead from the records to the state's root", where="proof")
    return checkpoint
