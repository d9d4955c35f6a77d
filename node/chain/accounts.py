"""The chain accounts that a node signs with: each from an encrypted key file, or held by the external signer.

Owns the choice between the two, which the configuration makes for each account alone: an account that is named as the
signer's is the signer's, any other is in its key file. Follows decision 0017 for what the accounts may do.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ledger.crypto import keyfile, secp256k1
from ledger.crypto.secp256k1 import Secp256k1Signer
from ledger.errors import MalformedError, RefusedStartError
from node.chain.signer import ExternalSigner, address_of
from node.config import Config, ConfigError

if TYPE_CHECKING:
    from ledger.crypto.suites import Signer
    from node.chain.protocol import ChainSigner


class Role(Enum):
    """Which of the two accounts; see decision 0017."""

    SENDER = "sender"
    AUTHORISER = "authoriser"


def open_account(config: Config, role: Role, passphrase: str) -> ChainSigner:
    """The signer of an account. The external one is not asked for anything yet.

    Raises ConfigError, KeyFileError, RefusedStartError (a key of another suite).
    """
    account = _external(config, role)
    if not account:
        return as_chain_signer(keyfile.load(config.path(_file(config, role)), passphrase))
    chain = config.chain
    token = config.secret(chain.signer_token_file, "signer's token") if chain.signer_token_file else ""
    authority = config.path(chain.signer_authority_file) if chain.signer_authority_file else None
    try:
        return ExternalSigner(chain.signer, account, timeout=chain.timeout, token=token, authority=authority)
    except MalformedError as error:
        raise ConfigError(error.detail, where=f"chain.signer: {error.where}", remedy=error.remedy) from error


def account_address(config: Config, role: Role) -> str:
    """Address of an account, without any secret: from the configuration or from the key file's description.

    Raises ConfigError (also for a key of another suite), KeyFileError.
    """
    account = _external(config, role)
    if account:
        return address_of(account)
    path = config.path(_file(config, role))
    key = keyfile.describe(path)
    if key.suite != secp256k1.SUITE.name:
        raise ConfigError(f"A chain key is of suite secp256k1, not {key.suite}", where=str(path))
    return secp256k1.address(key.public_key)


def as_chain_signer(signer: Signer) -> Secp256k1Signer:
    """The key of a chain account; RefusedStartError for a key of another suite."""
    if not isinstance(signer, Secp256k1Signer):
        raise RefusedStartError(
            f"A chain account needs a secp256k1 key, this one is {signer.suite.name}",
            where="chain",
            remedy="Make one with `tial key new --suite secp256k1`",
        )
    return signer


def _external(config: Config, role: Role) -> str:
    """The account as the configuration names it to the external signer, checked; empty: it has a key file."""
    chain = config.chain
    named = {Role.SENDER: chain.sender_account, Role.AUTHORISER: chain.authoriser_account}
    if bool(chain.signer) != any(named.values()):
        raise ConfigError(
            "An external signer and the accounts that it holds belong together",
            where="chain.signer",
            remedy="Set chain.signer, and chain.sender_account, chain.authoriser_account or both",
        )
    if named[role]:
        try:
            address_of(named[role])
        except MalformedError as error:
            raise ConfigError(error.detail, where=f"chain.{role.value}_account", remedy=error.remedy) from error
    return named[role]


def _file(config: Config, role: Role) -> str:
    return config.chain.sender if role is Role.SENDER else config.chain.authoriser
