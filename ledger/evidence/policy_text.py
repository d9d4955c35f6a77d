"""Writing a policy file: TOML with a comment at each line that says what trusting it means.

Owns the words of the file that people edit. `parse_policy(dump_policy(p)) == p` for every policy whose chains are of
known kinds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ledger.crypto.suites import suite_by_alg
from ledger.evidence.policy import FORMAT, Auditor, LogTrust, Policy, Witnesses
from ledger.evidence.seal import Roster, SealMember

if TYPE_CHECKING:
    from ledger.evidence.chain import ChainPolicy, CometTrust

_HEAD = """\
# Whom this verifier trusts, and for what. docs/verification.md says which step asks for which line.
# Every line here is a decision of yours: nothing in a bundle can add to it.
format = {format}

[verifier]
# Seconds by which clocks may differ.
skew = {skew}
# How far the log time of the state may lie behind the time at which the witnesses vouched for it (step 6).
max_lag = {max_lag}
{max_age}
# How long after the time of its header chain evidence is believed (step 10).
trusting_period = {trusting_period}
# true: take the operator's word for the current state (step 7). Every report says so.
trust_operator_state = {trust}
"""


def dump_policy(policy: Policy) -> str:
    """Write a policy as a commented TOML file."""
    age = "max_age = 86400" if policy.max_age is None else f"max_age = {policy.max_age}"
    said = "# How old evidence may be (step 14). Left out, age is told and not judged."
    head = _HEAD.format(
        format=_quoted(FORMAT), skew=policy.skew, max_lag=policy.max_lag,
        max_age=f"{said}\n{'# ' if policy.max_age is None else ''}{age}",
        trusting_period=policy.trusting_period, trust=_flag(policy.trust_operator_state),
    )  # fmt: skip
    parts = [head, *map(_log, policy.logs), _witnesses(policy.plain, policy.replaying)]
    parts += [*map(_auditor, policy.auditors), *map(_chain, policy.chains)]
    parts += [] if policy.roster is None else [_roster(policy.roster)]
    return "\n".join(parts)


def _log(log: LogTrust) -> str:
    lines = ["[[log]]", "# The SHA-256 leaf hash of the log's first entry: it binds the log's keys, now and later."]
    lines.append(f"id = {_quoted(log.log_id.hex())}")
    if log.origin is not None:
        lines.append(f"origin = {_quoted(log.origin)}")
    lines.append("# Signature suites that you take (step 2).")
    lines.append(f"suites = {_list(sorted(suite_by_alg(alg).name for alg in log.suites))}")
    if log.note_keys:
        lines.append("# Checkpoint keys that you pin (step 8); left out, those that the log names.")
        lines.append(f"note_keys = {_list(vkey.format() for vkey in log.note_keys)}")
    return "\n".join(lines) + "\n"


def _witnesses(plain: Witnesses, replaying: Witnesses) -> str:
    return f"""\
[witnesses]
# Plain witnesses saw that the log only grew. A quorum of them keeps the log from showing others another history
# (step 9), and tells how fresh the evidence is (step 14). A quorum of half or less is refused.
plain = {_list(vkey.format() for vkey in plain.vkeys)}
plain_quorum = {plain.quorum}
# Replaying witnesses ran every entry through the rules. A quorum of them vouches for the current state (step 7).
replaying = {_list(vkey.format() for vkey in replaying.vkeys)}
replaying_quorum = {replaying.quorum}
"""


def _auditor(auditor: Auditor) -> str:
    return f"""\
[[auditor]]
# An auditor whose signed report vouches for the state as replaying witnesses do (step 7): alone.
name = {_quoted(auditor.name)}
suite = {_quoted(suite_by_alg(auditor.alg).name)}
key = {_quoted(auditor.key.hex())}
"""


def _chain(chain: ChainPolicy) -> str:
    from ledger.evidence.chain.facts import COMETBFT  # noqa: PLC0415 - loaded already by whoever names a chain

    lines = [
        "[[chain]]",
        "# A chain whose anchors count (step 10): the contract, its code, and through what a header is trusted.",
        f"kind = {_quoted(chain.kind)}",
        f"chain_id = {chain.chain_id}",
        f"contract = {_quoted(chain.contract.hex())}",
        f"code_hash = {_quoted(chain.code_hash.hex())}",
        f"headers = {_list(header.hex() for header in chain.headers)}",
    ]
    if chain.comet is not None:
        lines += _comet(chain.comet)
    elif chain.kind != COMETBFT:
        lines.append(f"validators = {_list(validator.hex() for validator in chain.validators)}")
    if chain.quorum is not None:
        lines.append(f"quorum = {chain.quorum}")
    return "\n".join(lines) + "\n"


def _comet(trust: CometTrust) -> list[str]:
    lines = [
        "# The validators below are trusted as those in force at this height; their successors, whom they announced.",
        f"chain_name = {_quoted(trust.chain_name)}",
        f"height = {trust.height}",
    ]
    if trust.time:
        lines += [
            "# Time of that height's header, Unix seconds: the trusting period counts from here. Pin anew in time.",
            f"time = {trust.time}",
        ]
    for validator in trust.validators.members:
        lines += [
            "",
            "[[chain.validator]]",
            f"key = {_quoted(validator.key.hex())}",
            f"power = {validator.power}",
        ]
    return lines


def _roster(roster: Roster) -> str:
    parts = [
        f"""\
[seal]
# The consortium's seal: so many of these members together must have sealed the checkpoint (step 9). Their order is
# part of the roster.
threshold = {roster.threshold}
""",
        *map(member_text, roster.members),
    ]
    return "\n".join(parts)


def member_text(member: SealMember) -> str:
    """One member of a roster, as `tial seal enrol` prints it and a policy has it."""
    return f"""\
[[seal.member]]
did = {_quoted(member.did)}
key = {_quoted(member.key.hex())}
# Shows that the member holds the key.
proof = {_quoted(member.proof.hex())}
"""


def _list(values: Iterable[str]) -> str:
    found = [f"    {_quoted(value)},\n" for value in values]
    return "[\n" + "".join(found) + "]" if found else "[]"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but TOML escapes DEL too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _flag(value: bool) -> str:
    return "true" if value else "false"
