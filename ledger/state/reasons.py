"""The names of every rejection: stable words that programs may rely on, each with one sentence for people.

The transition function raises `Rejection(reason, detail)` with a name of this module and nothing else. What a person
can do about it stands beside the name. Names are never reused for another meaning; a new rules version may add names.
"""

from __future__ import annotations

from enum import StrEnum

from ledger.errors import Rejection


class Reason(StrEnum):
    """Why a statement was refused."""

    # the envelope
    GENESIS_MISPLACED = "genesis_misplaced"
    MANIFEST_FIRST = "manifest_first"
    WRONG_LOG = "wrong_log"
    LOG_SEALED = "log_sealed"
    UNKNOWN_SUITE = "unknown_suite"
    IAT_AHEAD = "iat_ahead"
    IAT_TOO_OLD = "iat_too_old"
    STALE_SEQUENCE = "stale_sequence"
    MALFORMED_SUBJECT = "malformed_subject"
    # who signed
    UNKNOWN_ACTOR = "unknown_actor"
    UNKNOWN_KEY = "unknown_key"
    KEY_NOT_VALID = "key_not_valid"
    KEY_COMPROMISED = "key_compromised"
    KEY_PURPOSE = "key_purpose"
    BAD_SIGNATURE = "bad_signature"
    WRONG_SIGNER = "wrong_signer"
    MISSING_ROLE = "missing_role"
    # consents
    CONSENT_ELSEWHERE = "consent_elsewhere"
    CONSENT_EXPIRED = "consent_expired"
    CONSENT_REPEATED = "consent_repeated"
    CONSENT_MISSING = "consent_missing"
    CONSENT_UNKNOWN_PARTY = "consent_unknown_party"
    THRESHOLD_NOT_MET = "threshold_not_met"
    # parties
    ACTOR_EXISTS = "actor_exists"
    DID_KEY_MISMATCH = "did_key_mismatch"
    KEY_EXISTS = "key_exists"
    KEY_TAKEN = "key_taken"
    NOTE_KEY_UNPROVEN = "note_key_unproven"
    NO_KEY_LEFT = "no_key_left"
    PRIVILEGED_ROLE = "privileged_role"
    ROTATION_PENDING = "rotation_pending"
    NOTHING_PENDING = "nothing_pending"
    BAD_PARAMETERS = "bad_parameters"
    # rights
    INVALID_PERIOD = "invalid_period"
    NOT_A_PREFIX = "not_a_prefix"
    NOT_COVERED = "not_covered"
    NOT_LONGEST_MATCH = "not_longest_match"
    DELEGATION_NOT_LIVE = "delegation_not_live"
    RIGHT_NOT_DELEGATED = "right_not_delegated"
    OUTSIDE_PARENT = "outside_parent"
    DELEGATION_EXISTS = "delegation_exists"
    RECLAIM_REQUIRED = "reclaim_required"
    NOTHING_TO_RECLAIM = "nothing_to_reclaim"
    TEMPLATE_EXISTS = "template_exists"
    TEMPLATE_NOT_APPROVED = "template_not_approved"
    ACCREDITATION_EXISTS = "accreditation_exists"
    NOT_ACCREDITED = "not_accredited"
    ACCREDITATION_NOT_ACTIVE = "accreditation_not_active"
    OUT_OF_SCOPE = "out_of_scope"
    # assets
    UNKNOWN_HOLDER = "unknown_holder"
    ALREADY_REGISTERED = "already_registered"
    NOT_REUSABLE = "not_reusable"
    WRONG_GENERATION = "wrong_generation"
    NOT_REGISTERED = "not_registered"
    IDENTIFIER_NOT_LIVE = "identifier_not_live"
    CREDENTIAL_EXISTS = "credential_exists"
    NO_CHANGE = "no_change"
    # status
    UNKNOWN_RECORD = "unknown_record"
    MOVE_NOT_ALLOWED = "move_not_allowed"
    ROLE_NOT_ALLOWED = "role_not_allowed"
    EFFECTIVE_IN_FUTURE = "effective_in_future"
    EFFECTIVE_TOO_EARLY = "effective_too_early"
    # batches
    BATCH_MISMATCH = "batch_mismatch"
    TIME_BACKWARDS = "time_backwards"


EXPLANATIONS: dict[Reason, str] = {
    Reason.GENESIS_MISPLACED: "A log has exactly one genesis, as entry 0, and nothing before it.",
    Reason.MANIFEST_FIRST: "Entry 1 is the first manifest; no other statement comes before it.",
    Reason.WRONG_LOG: "The statement names another log as its audience.",
    Reason.LOG_SEALED: "The log is sealed.",
    Reason.UNKNOWN_SUITE: "The log does not admit this signature suite, or the key is of another.",
    Reason.IAT_AHEAD: "The statement's iat lies further ahead of log time than the skew.",
    Reason.IAT_TOO_OLD: "The statement's iat is older than the log's maximum age.",
    Reason.STALE_SEQUENCE: "The record changed since the statement was made, or seq is missing.",
    Reason.MALFORMED_SUBJECT: "The subject is not the normal form of an identifier of a known scheme.",
    Reason.UNKNOWN_ACTOR: "No such actor is enrolled in this log.",
    Reason.UNKNOWN_KEY: "The key is not one of the actor's.",
    Reason.KEY_NOT_VALID: "The key is not valid at log time: not yet, expired, removed or switched off.",
    Reason.KEY_COMPROMISED: "The key was reported as compromised.",
    Reason.KEY_PURPOSE: "The key may not be used for this purpose.",
    Reason.BAD_SIGNATURE: "The signature does not verify.",
    Reason.WRONG_SIGNER: "The signer is not the party that this act belongs to.",
    Reason.MISSING_ROLE: "The signer does not hold the role that this act needs.",
    Reason.CONSENT_ELSEWHERE: "A consent was given to another statement or another log.",
    Reason.CONSENT_EXPIRED: "A consent has expired.",
    Reason.CONSENT_REPEATED: "Two consents come from one actor or one key; each counts once.",
    Reason.CONSENT_MISSING: "A party that must agree has not consented.",
    Reason.CONSENT_UNKNOWN_PARTY: "A consent comes from a party that has no say in this act.",
    Reason.THRESHOLD_NOT_MET: "Fewer root authorities agreed than the threshold asks for.",
    Reason.ACTOR_EXISTS: "The DID is enrolled already.",
    Reason.DID_KEY_MISMATCH: "A did:key must be enrolled with the key that it encodes.",
    Reason.KEY_EXISTS: "A key appears twice, or is the actor's already.",
    Reason.KEY_TAKEN: "The key belongs to another party of this log, or serves another purpose; no key serves two.",
    Reason.NOTE_KEY_UNPROVEN: "The new note key did not sign that it serves this log beside this cose key.",
    Reason.NO_KEY_LEFT: "The actor would be left without a key in force that can sign statements.",
    Reason.PRIVILEGED_ROLE: "This role can be granted only by the root threshold.",
    Reason.ROTATION_PENDING: "A rotation is pending.",
    Reason.NOTHING_PENDING: "There is no pending rotation with this entry index.",
    Reason.BAD_PARAMETERS: "The parameters contradict each other.",
    Reason.INVALID_PERIOD: "The validity period is empty or over.",
    Reason.NOT_A_PREFIX: "The text is not a prefix that can be delegated in its scheme.",
    Reason.NOT_COVERED: "The delegation named does not cover the subject at a component boundary of its scheme.",
    Reason.NOT_LONGEST_MATCH: "A longer delegation covers the subject; only its holder may act.",
    Reason.DELEGATION_NOT_LIVE: "The delegation, or one above it, is revoked, not yet valid, expired or given anew.",
    Reason.RIGHT_NOT_DELEGATED: "The delegation, or one above it, does not grant this right.",
    Reason.OUTSIDE_PARENT: "Rights or dates exceed those of the parent delegation.",
    Reason.DELEGATION_EXISTS: "The prefix is delegated and that delegation is in force.",
    Reason.RECLAIM_REQUIRED: "The prefix was delegated before; it can be given again only by an explicit reclaim.",
    Reason.NOTHING_TO_RECLAIM: "The prefix has no ended delegation to reclaim.",
    Reason.TEMPLATE_EXISTS: "This template version exists.",
    Reason.TEMPLATE_NOT_APPROVED: "The template version is unknown or withdrawn.",
    Reason.ACCREDITATION_EXISTS: "This accreditation number exists for the certifier.",
    Reason.NOT_ACCREDITED: "The certifier has no accreditation with this number.",
    Reason.ACCREDITATION_NOT_ACTIVE: "The accreditation is suspended, revoked, not yet valid or expired.",
    Reason.OUT_OF_SCOPE: "The accreditation does not cover this template, standard, class or site.",
    Reason.UNKNOWN_HOLDER: "The holder is not an enrolled actor.",
    Reason.ALREADY_REGISTERED: "The identifier is registered already.",
    Reason.NOT_REUSABLE: "Identifiers of this scheme are never registered again.",
    Reason.WRONG_GENERATION: "The generation is not the one in force (when registering again: the next).",
    Reason.NOT_REGISTERED: "The identifier is not registered.",
    Reason.IDENTIFIER_NOT_LIVE: "The identifier is blocked or retired.",
    Reason.CREDENTIAL_EXISTS: "A certification with this credential id exists already.",
    Reason.NO_CHANGE: "The statement would change nothing.",
    Reason.UNKNOWN_RECORD: "There is no record of this subject whose status could change.",
    Reason.MOVE_NOT_ALLOWED: "The status does not allow this move.",
    Reason.ROLE_NOT_ALLOWED: "This role may not make this move.",
    Reason.EFFECTIVE_IN_FUTURE: "A change of status cannot take effect later than log time.",
    Reason.EFFECTIVE_TOO_EARLY: "The change would take effect before the record existed, or may not be retroactive.",
    Reason.BATCH_MISMATCH: "The manifest does not describe the open batch.",
    Reason.TIME_BACKWARDS: "The manifest's time lies before log time.",
}

_AGAIN = "Read the record again, and make the statement anew from it"
REMEDIES: dict[Reason, str] = {
    Reason.MANIFEST_FIRST: "Close the first batch, then submit again",
    Reason.WRONG_LOG: "Sign it again for this log",
    Reason.LOG_SEALED: "Submit to its successor",
    Reason.UNKNOWN_SUITE: "Sign with a key of a suite that the log's parameters name",
    Reason.IAT_AHEAD: "Set the signer's clock right, and sign again",
    Reason.IAT_TOO_OLD: "Sign it again now; check that the signer's clock is right",
    Reason.STALE_SEQUENCE: _AGAIN,
    Reason.MALFORMED_SUBJECT: "Write the identifier in its scheme's normal form; the check of an identifier shows it",
    Reason.UNKNOWN_ACTOR: "Enrol the party first, or check its DID",
    Reason.UNKNOWN_KEY: "Use a key that stands in the actor's record; a new one comes in by a rotation",
    Reason.KEY_NOT_VALID: "Sign with a key in force; where none is left, the enroller and the root give a new one",
    Reason.KEY_COMPROMISED: "Sign with another key; where none is left, the enroller and the root give a new one",
    Reason.KEY_PURPOSE: "Use a key of this purpose, or add one by a rotation",
    Reason.BAD_SIGNATURE: "Sign the very bytes that are sent, with the key that kid names",
    Reason.WRONG_SIGNER: "Have the party sign whose act it is",
    Reason.MISSING_ROLE: "Have a party with the role sign, or ask the root for the role",
    Reason.CONSENT_ELSEWHERE: "Ask for a consent to this very statement; any change of it needs new ones",
    Reason.CONSENT_EXPIRED: "Ask the party to consent again",
    Reason.CONSENT_REPEATED: "Leave out all but one",
    Reason.CONSENT_MISSING: "Ask the party, or have the new key sign, before the statement is signed",
    Reason.CONSENT_UNKNOWN_PARTY: "Leave it out, or enrol the party first",
    Reason.THRESHOLD_NOT_MET: "Gather the consents of more root authorities",
    Reason.ACTOR_EXISTS: "Change its keys by a rotation",
    Reason.DID_KEY_MISMATCH: "Put that key among the keys enrolled",
    Reason.KEY_EXISTS: "Name each key once, and add only new ones",
    Reason.KEY_TAKEN: "Make a new key for this party and this purpose",
    Reason.NOTE_KEY_UNPROVEN: "Sign the proof with the new note key, for this log and the cose key beside it",
    Reason.NO_KEY_LEFT: "Keep a key, or add one for statements that is valid when the rotation takes effect",
    Reason.PRIVILEGED_ROLE: "Leave the role out, or gather the consents of the root threshold",
    Reason.ROTATION_PENDING: "Wait until it takes effect, or cancel it",
    Reason.NOTHING_PENDING: "Name the entry that the actor's record shows as pending",
    Reason.BAD_PARAMETERS: "Mend what the place names, and sign again",
    Reason.INVALID_PERIOD: "Choose dates that end later than they begin, and later than log time",
    Reason.NOT_A_PREFIX: "Name a whole component of the scheme, such as vaa/88.118",
    Reason.NOT_COVERED: "Name the delegation that covers the subject, or ask for one",
    Reason.NOT_LONGEST_MATCH: "Name the longest delegation, or have its holder sign",
    Reason.DELEGATION_NOT_LIVE: "Ask the holder above, or the root, to give the prefix again by a reclaim",
    Reason.RIGHT_NOT_DELEGATED: "Ask for a delegation that grants it",
    Reason.OUTSIDE_PARENT: "Stay within the parent's rights and dates",
    Reason.DELEGATION_EXISTS: "Revoke it first, or choose another prefix",
    Reason.RECLAIM_REQUIRED: "Say reclaim in the delegation",
    Reason.NOTHING_TO_RECLAIM: "Leave reclaim out",
    Reason.TEMPLATE_EXISTS: "Publish a new version",
    Reason.TEMPLATE_NOT_APPROVED: "Name an approved version",
    Reason.ACCREDITATION_EXISTS: "Use a new number",
    Reason.NOT_ACCREDITED: "Name an accreditation of this certifier, or ask an accreditor for one",
    Reason.ACCREDITATION_NOT_ACTIVE: "Rely on an accreditation in force, or ask the accreditor for a new one",
    Reason.OUT_OF_SCOPE: "Ask the accreditor for an accreditation that covers it",
    Reason.UNKNOWN_HOLDER: "Enrol the holder first, or check its DID",
    Reason.ALREADY_REGISTERED: "Check the identifier; its holder may transfer it",
    Reason.NOT_REUSABLE: "Use a new identifier",
    Reason.WRONG_GENERATION: "Name the generation that the identifier's record asks for",
    Reason.NOT_REGISTERED: "Register it first",
    Reason.IDENTIFIER_NOT_LIVE: "Have it unblocked by the role that blocked it; what is retired stays retired",
    Reason.CREDENTIAL_EXISTS: "Draw a new credential id",
    Reason.NO_CHANGE: "Leave it: the state is already so",
    Reason.UNKNOWN_RECORD: "Check the subject",
    Reason.MOVE_NOT_ALLOWED: "Look at the record's state; revoked and retired are final",
    Reason.ROLE_NOT_ALLOWED: "Have a party sign that holds a role which may make the move",
    Reason.EFFECTIVE_IN_FUTURE: "Name a time not later than log time",
    Reason.EFFECTIVE_TOO_EARLY: "Name a time not earlier than the one given",
}
"""What a person can do about a refusal. Reasons without one are faults of a log's operator alone."""


def refuse(reason: Reason, detail: str = "", *, where: str = "") -> Rejection:
    """Build the rejection for `reason`; `detail` adds the particular to the general sentence."""
    text = EXPLANATIONS[reason]
    whole = f"{text} {detail}" if detail else text
    return Rejection(reason.value, whole, where=where, remedy=REMEDIES.get(reason, ""))
