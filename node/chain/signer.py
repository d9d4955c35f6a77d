"""A chain account whose key is held by an external signer: another process, a vault, a hardware module behind it.

Speaks the part of Consensys Web3Signer's REST interface that its mode `eth1` has: the list of public keys, and
signatures over Keccak-256 of the data that is sent. The signer is trusted with the key and with nothing else: its
answers are bounded in size and time, and a signature is used only when the account's address is recovered from it.
Whatever else comes is a SignerUnavailableError, which the anchor worker shows and survives.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from eth_utils.address import to_checksum_address

from ledger.crypto import sec1, secp256k1
from ledger.crypto.keccak import keccak256
from ledger.errors import MalformedError, RefusedStartError
from node.chain.protocol import SignerUnavailableError
from node.chain.transport import FAILURES, Poster

KEYS_LIMIT = 1 << 20
"""Bytes of the list of public keys: some 7,000 keys."""
SIGNATURE_LIMIT = 1 << 12
_OK, _MISSING = 200, 404
_SIGNATURE = re.compile(r'\s*("?)0x([0-9a-fA-F]{130})\1\s*')
_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){20,65})")
_ADDRESS_SIZE = 20
_POINT_SIZE = 64
_TOKEN = re.compile(r"[\x21-\x7e]+")


class ExternalSigner:
    """One account of an external signer. For one thread at a time.

    Args:
        url: where the signer listens; the paths of its interface are put behind it. Plain http on loopback only.
        account: the account's address, or its public key as 64, 65 or 33 bytes; in hex.
        timeout: seconds that the signer has for one answer.
        token: what is sent as a bearer token; empty: none.
        authority: PEM file of the authority that the signer's certificate is from; None: the public ones.

    Raises MalformedError where one of them cannot be used.

    """

    def __init__(
        self, url: str, account: str, *, timeout: float = 10.0, token: str = "", authority: Path | None = None
    ) -> None:
        self.place = _checked_place(url)
        self.timeout = timeout
        self._url = url.rstrip("/")
        self._account = account
        self._headers = _authorization(token)
        self._trusted = None if authority is None else _trusted(authority)
        self._address = address_of(account)
        try:
            self._keys = self._open("/api/v1/eth1/publicKeys")
        except ValueError as error:
            raise MalformedError(f"this is no address of a signer: {error}", where=self.place) from error
        self._signing: Poster | None = None

    @property
    def address(self) -> str:
        """The account, 0x and 40 hex digits with the checksum of EIP-55."""
        return self._address

    def close(self) -> None:
        """Drop the connections."""
        self._keys.close()
        if self._signing is not None:
            self._signing.close()
            self._signing = None

    def check(self) -> None:
        """Ask whether the signer holds the account's key; RefusedStartError if not, SignerUnavailableError."""
        if self._identifier() is None:
            raise RefusedStartError(
                f"The external signer holds no key of the account {self.address}",
                where=self.place,
                remedy="Give the signer that key, or correct the account in the configuration",
            )

    def sign_keccak(self, payload: bytes) -> bytes:
        """Have Keccak-256 of the payload signed; see ChainSigner.sign_keccak."""
        if self._signing is None:
            identifier = self._identifier()
            if identifier is None:
                raise self._failure(f"holds no key of the account {self.address}")
            self._signing = self._open(f"/api/v1/eth1/sign/{identifier}")
        body = orjson.dumps({"data": "0x" + payload.hex()})
        status, content = self._answer(self._signing, body, SIGNATURE_LIMIT)
        if status == _MISSING:
            self.close()  # its keys may have been loaded anew: ask for them again
            raise self._failure(f"holds no key of the account {self.address}")
        self._require_ok(status)
        return self._checked(keccak256(payload), content)

    def _identifier(self) -> str | None:
        """Under which name the signer holds the key: as it lists it; the account as configured if it has no list."""
        status, content = self._answer(self._keys, None, KEYS_LIMIT)
        if status == _MISSING:
            return self._account
        self._require_ok(status)
        try:
            listed = orjson.loads(content)
        except ValueError:
            listed = None
        if not isinstance(listed, list):
            raise self._failure("gave no list of public keys")
        return next((one for one in listed if isinstance(one, str) and _is_of(one, self.address)), None)

    def _checked(self, digest: bytes, content: bytes) -> bytes:
        match = _SIGNATURE.fullmatch(content.decode("latin-1"))
        if match is None:
            raise self._failure("gave no signature of 65 bytes")
        raw = bytes.fromhex(match[2])
        # Hardware modules know nothing of Ethereum's lower s and of its v: both are put in their one form.
        low = secp256k1.CURVE.low_s(raw[: sec1.SIGNATURE_SIZE])
        parity = raw[-1] - 27 if raw[-1] >= 27 else raw[-1]
        if parity not in {0, 1}:
            raise self._failure(f"gave a signature with v {raw[-1]}")
        signature = low + bytes([27 + (parity if low == raw[: sec1.SIGNATURE_SIZE] else 1 - parity)])
        try:
            signed_by = secp256k1.address(secp256k1.recover(digest, signature))
        except MalformedError as error:
            raise self._failure("gave a signature that no key made") from error
        if signed_by != self.address:
            raise self._failure(f"gave a signature that is not of the account {self.address} over what was sent")
        return signature

    def _open(self, path: str) -> Poster:
        return Poster(self._url + path, headers=self._headers, trusted=self._trusted)

    def _answer(self, poster: Poster, body: bytes | None, limit: int) -> tuple[int, bytes]:
        try:
            if body is None:
                status, encoding, content = poster.get(seconds=self.timeout, limit=limit)
            else:
                status, encoding, content = poster.post(body, seconds=self.timeout, limit=limit)
        except FAILURES as error:
            raise self._failure(f"does not answer: {error or type(error).__name__}") from error
        if encoding != "identity":
            raise self._failure("gave a compressed answer")
        return status, content

    def _require_ok(self, status: int) -> None:
        if status != _OK:
            raise self._failure(f"answers with HTTP {status}")

    def _failure(self, what: str) -> SignerUnavailableError:
        return SignerUnavailableError(
            f"the external signer {what}", where=self.place, remedy="See to the signer; it is asked again by itself"
        )


def address_of(account: str) -> str:
    """Address of an account given as address or public key in hex; MalformedError for anything else."""
    match = _HEX.fullmatch(account)
    found = None if match is None else _address(bytes.fromhex(match[1]))
    if found is None:
        raise MalformedError(
            f"{account[:80]!r} is neither an address nor a public key on secp256k1",
            where="account",
            remedy="Give 0x and 40 hex digits, or the public key as the signer lists it",
        )
    return found


def _address(key: bytes) -> str | None:
    if len(key) == _ADDRESS_SIZE:
        return to_checksum_address(key)
    if len(key) == _POINT_SIZE + 1 and key[0] == 4:
        key = key[1:]
    if len(key) == _POINT_SIZE:
        key = bytes([2 + (key[-1] & 1)]) + key[: _POINT_SIZE // 2]
    try:
        return secp256k1.address(key)
    except MalformedError:
        return None


def _is_of(listed: str, address: str) -> bool:
    match = _HEX.fullmatch(listed)
    return match is not None and _address(bytes.fromhex(match[1])) == address


def _checked_place(url: str) -> str:
    """The address without its path; MalformedError for one that cannot be used."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not host or not url.isascii() or parts.query or parts.fragment:
        raise MalformedError(
            f"{url[:80]!r} is no address of a signer", where="signer", remedy="Write https://host:port"
        )
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if "@" in parts.netloc:
        raise MalformedError("A secret does not belong in the address", where=place, remedy="Use a bearer token's file")
    if parts.scheme == "http" and not _is_loopback(host):
        raise MalformedError(
            "Plain http to a signer on another machine: whoever stands between could have anything signed",
            where=place,
            remedy="Use https, or a tunnel that ends on this machine",
        )
    return place


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorization(token: str) -> dict[str, str]:
    if not token:
        return {}
    if _TOKEN.fullmatch(token) is None:
        raise MalformedError("The bearer token for the signer is not printable ASCII without spaces", where="token")
    return {"Authorization": f"Bearer {token}"}


def _trusted(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise MalformedError(f"No certificate of an authority in PEM: {error}", where=str(authority)) from error
