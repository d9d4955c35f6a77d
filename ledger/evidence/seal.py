"""The consortium's seal: one BLS12-381 signature of many members over one checkpoint (DESIGN section 6).

Owns the roster (who may seal, and how many must), a member's share, and the seal that shares add up to. What is signed
is the deterministic CBOR array ["tial-seal-v1", log id, size, root]: the same for every member, so that 96 bytes and a
bitmap speak for any number of them. A seal is a file of its own, never a line of a note.

Trusts the roster, which comes from the verifier's policy: members enrol in it with a proof of possession, and it is
refused whole where one is missing or wrong. That is found out when a seal is made or judged, not when a policy is read:
a proof takes a third of a second where py_ecc checks it. Which bits of the bitmap mean whom follows from the roster's
order; the seal names the roster by its digest, so that one made for another consortium is told apart from a false one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from ledger.crypto.bls12381 import KEY_SIZE, SIGNATURE_SIZE, SUITE, Bls12381Signer, add_up, possesses, verify_together
from ledger.crypto.digests import sha256
from ledger.errors import LedgerError, MalformedError
from ledger.log.checkpoint import Checkpoint
from ledger.statements.cbor import decode, encode

FORMAT: Final = "tial-seal-v1"
SHARE_FORMAT: Final = "tial-seal-share-v1"
MAX_MEMBERS: Final = 256
_HASH_SIZE: Final = 32


class FalseSealError(LedgerError):
    """The seal, or a share of one, is in its form but does not hold."""

    code = "false-seal"


class FewSealedError(FalseSealError):
    """Fewer members sealed than the roster's threshold: nothing is wrong with the seal, but it is not enough."""

    code = "few-sealed"

    def __init__(self, count: int, threshold: int) -> None:
        super().__init__(f"{count} members sealed, {threshold} must", where="seal.bitmap")
        self.count = count


class SealMember(NamedTuple):
    """A member of the consortium: DID, BLS12-381 key (48 bytes), proof of possession (96 bytes)."""

    did: str
    key: bytes
    proof: bytes


@dataclass(frozen=True)
class Roster:
    """Who may seal, in the order of the bitmap, and how many must."""

    members: tuple[SealMember, ...]
    threshold: int

    def __post_init__(self) -> None:
        """Refuse members twice, keys and proofs of other sizes, and a threshold that two halves could both reach."""
        count = len(self.members)
        if not 1 <= count <= MAX_MEMBERS:
            raise MalformedError(f"a roster has 1 to {MAX_MEMBERS} members, not {count}", where="seal.member")
        if not count < 2 * self.threshold <= 2 * count:
            raise MalformedError(
                f"{self.threshold} of {count} is no threshold", where="seal.threshold", remedy="Ask for more than half"
            )
        for name in ("did", "key"):
            if len({getattr(member, name) for member in self.members}) != count:
                raise MalformedError(f"a {name} stands twice in the roster", where="seal.member")
        for number, member in enumerate(self.members):
            for name, size in (("key", KEY_SIZE), ("proof", SIGNATURE_SIZE)):
                if len(getattr(member, name)) != size:
                    raise MalformedError(f"expected {size} bytes", where=f"seal.member[{number}].{name}")

    def require_possession(self) -> None:
        """MalformedError where a member has not proven possession of its key. Slow once; then remembered.

        UnavailableError where no library for BLS12-381 is installed.
        """
        for number, member in enumerate(self.members):
            if not possesses(member.key, member.proof):
                raise MalformedError(
                    f"{member.did} has not proven possession of its key",
                    where=f"seal.member[{number}].proof",
                    remedy="Ask the member for the line that `tial seal enrol` prints",
                )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the deterministic CBOR array of [DID, key], in order: the roster's name in a seal."""
        return sha256(encode([[member.did, member.key] for member in self.members]))


class Sealed(NamedTuple):
    """What a seal is over: log id (32 bytes), tree size, root (32 bytes)."""

    log_id: bytes
    size: int
    root: bytes

    @classmethod
    def of(cls, log_id: bytes, checkpoint: Checkpoint) -> Sealed:
        """What members sign for a log's checkpoint."""
        return cls(log_id, checkpoint.size, checkpoint.root)

    @property
    def message(self) -> bytes:
        """The bytes that each member signs."""
        return encode([FORMAT, *self])


class Share(NamedTuple):
    """One member's part: its key and its signature over what is sealed."""

    sealed: Sealed
    key: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The share as a file: CBOR [format, log id, size, root, key, signature]."""
        return encode([SHARE_FORMAT, *self.sealed, self.key, self.signature])

    @classmethod
    def decode(cls, raw: bytes) -> Share:
        """Read a share; MalformedError for anything else. Checks no signature."""
        sealed, (key, signature) = _decode(raw, SHARE_FORMAT, (KEY_SIZE, SIGNATURE_SIZE))
        return cls(sealed, key, signature)


class Seal(NamedTuple):
    """The sum of shares. Bit n of `bitmap`, the lowest of the first byte being 0, stands for the roster's member n."""

    sealed: Sealed
    roster: bytes
    bitmap: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The seal as a file: CBOR [format, log id, size, root, roster digest, bitmap, signature]."""
        return encode([FORMAT, *self.sealed, self.roster, self.bitmap, self.signature])

    @classmethod
    def decode(cls, raw: bytes) -> Seal:
        """Read a seal; MalformedError for anything else. Checks no signature."""
        sealed, (roster, bitmap, signature) = _decode(raw, FORMAT, (_HASH_SIZE, None, SIGNATURE_SIZE))
        return cls(sealed, roster, bitmap, signature)


def sign_share(signer: Bls12381Signer, log_id: bytes, checkpoint: Checkpoint) -> Share:
    """One member's share over a checkpoint that it has checked."""
    sealed = Sealed.of(log_id, checkpoint)
    return Share(sealed, signer.public_key, signer.sign(sealed.message))


def join(shares: Iterable[Share], roster: Roster) -> Seal:
    """Add shares up to a seal.

    Raises:
        FalseSealError: fewer than the threshold, or a share of a stranger, over something else, or not verifying.
        MalformedError: a member of the roster has not proven possession of its key.

    """
    roster.require_possession()
    by_key = {share.key: share for share in shares}
    members = [member for member in roster.members if member.key in by_key]
    if len(members) < max(len(by_key), roster.threshold):
        strangers = len(by_key) - len(members)
        detail = f"{strangers} shares are of no member" if strangers else f"{len(members)} of {roster.threshold} shares"
        raise FalseSealError(detail, where="shares", remedy="Collect shares of the roster's members")
    sealed = by_key[members[0].key].sealed
    for member in members:
        share = by_key[member.key]
        if share.sealed != sealed:
            raise FalseSealError("the shares are over different checkpoints", where=member.did)
        if not SUITE.verify(share.key, sealed.message, share.signature):
            raise FalseSealError("the share does not verify", where=member.did, remedy="Ask the member for another")
    signature = add_up([by_key[member.key].signature for member in members])
    return Seal(sealed, roster.digest, _bitmap(roster, {member.key for member in members}), signature)


def check_seal(seal: Seal, roster: Roster, expected: Sealed) -> tuple[str, ...]:
    """Return the DIDs of the members that sealed `expected`.

    Raises:
        MalformedError: the seal is of another roster, its bitmap has not one bit a member, or a member of the roster
            has not proven possession of its key.
        FewSealedError: fewer members than the threshold sealed.
        FalseSealError: it is over something else, or does not verify.
        UnavailableError: no library for BLS12-381 is installed.

    """
    if seal.roster != roster.digest:
        raise MalformedError("the seal is of another roster", where="seal.roster", remedy="Use that roster's policy")
    if seal.sealed != expected:
        raise FalseSealError(
            f"it is over size {seal.sealed.size} of log {seal.sealed.log_id.hex()}, root {seal.sealed.root.hex()}",
            where="seal",
        )
    bits = int.from_bytes(seal.bitmap, "little")
    if len(seal.bitmap) != _bitmap_size(roster) or bits >> len(roster.members):
        raise MalformedError("the bitmap has not one bit for each member", where="seal.bitmap")
    members = [member for number, member in enumerate(roster.members) if bits >> number & 1]
    if len(members) < roster.threshold:
        raise FewSealedError(len(members), roster.threshold)
    roster.require_possession()
    if not verify_together([member.key for member in members], seal.sealed.message, seal.signature):
        raise FalseSealError("the signature is not that of these members", where="seal.signature")
    return tuple(member.did for member in members)


def _bitmap_size(roster: Roster) -> int:
    return (len(roster.members) + 7) // 8


def _bitmap(roster: Roster, keys: set[bytes]) -> bytes:
    bits = sum(1 << number for number, member in enumerate(roster.members) if member.key in keys)
    return bits.to_bytes(_bitmap_size(roster), "little")


def _decode(raw: bytes, name: str, sizes: Sequence[int | None]) -> tuple[Sealed, list[bytes]]:
    """The array [name, log id, size, root, ...] with byte strings of `sizes` behind (None: up to a full bitmap)."""
    items: Any = decode(raw)
    if not isinstance(items, list) or len(items) != 4 + len(sizes) or items[0] != name:
        raise MalformedError(f"this is no {name}", where="seal")
    _, log_id, size, root, *rest = items
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise MalformedError("the size is no positive number", where="seal.size")
    for value, wanted in zip((log_id, root, *rest), (_HASH_SIZE, _HASH_SIZE, *sizes), strict=True):
        if not isinstance(value, bytes) or (len(value) != wanted if wanted else len(value) > MAX_MEMBERS // 8):
            raise MalformedError(f"a byte string of {wanted or 'at most 32'} bytes was expected", where="seal")
    return Sealed(log_id, size, root), rest
