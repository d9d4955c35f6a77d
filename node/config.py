"""The node's configuration: one TOML file, environment variables over it, and nothing unknown accepted.

Paths are relative to the file. `TIAL_<SECTION>_<KEY>` overrides a key of a section, `TIAL_<KEY>` one at the top.
Secrets never stand in the file: it names key files, and where their passphrase comes from.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from ledger.errors import LedgerError


class ConfigError(LedgerError):
    """The configuration is not usable; says which key and what is wrong."""

    code = "config"


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where the API listens, and what it takes from one client."""

    host: str = "127.0.0.1"
    port: int = 8080
    max_body: int = 64 << 20
    rate: float = 200.0
    """Requests a second and client address, averaged; 0 switches the limit off."""
    burst: int = 400
    streams: int = 16
    """Bulk streams at once, of all clients together."""
    streams_per_client: int = 4
    """Bulk streams of one client address; behind a proxy all clients share one, so give both the same number."""
    operator_token_file: str = ""
    """File with the bearer token for operator routes and private documents; without it these are closed."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Batching and publication."""

    interval: float = 1.0
    publish_within: int = 60
    """Seconds after log time by which an acknowledged entry must be under a published checkpoint."""
    verifiers: int = 0
    """Verify processes; 0 takes one less than the machine has cores, and at least one."""
    reserve: int = 1 << 30
    """Bytes of the disk that documents leave free for the log: anybody may send documents."""


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """Key files of the log, and the file that holds their passphrase (or TIAL_KEYS_PASSPHRASE)."""

    cose: str = "keys/cose.key"
    note: str = "keys/note.key"
    next_cose: str = ""
    """Key file of the cose key that is to follow; the node accepts a change of keys only to ones that it holds."""
    next_note: str = ""
    """The same for the note key."""
    passphrase_file: str = "keys/passphrase"  # noqa: S105 - the name of a file
    passphrase: str = field(default="", repr=False)
    """From the environment only; refused in the file."""


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """The chain that anchors go to; `url` empty: none."""

    kind: str = "ethereum"
    """`ethereum`, or `cometbft` for a BFT network whose headers the node verifies itself."""
    url: str = ""
    """Address of the chain's node, or of several that stand in for each other, separated by spaces."""
    comet: str = ""
    """CometBFT RPC addresses of the same nodes, in the same order; for kind `cometbft`."""
    trust: str = "chain-trust.json"
    """File with a height and its validators, which the node trusts from the start; for kind `cometbft`."""
    still: float = 60.0
    """Seconds without a new block after which the chain counts as standing still; for kind `cometbft`."""
    chain_id: int = 0
    contract: str = ""
    consortium: str = ""
    """Address of the contract that says who may send transactions; empty: none, everybody may."""
    gas_price: int = -1
    """What is offered for a unit of gas, in wei; -1 follows what the chain asks, 0 is for chains that ask nothing."""
    max_gas_price: int = 0
    """Most that is ever offered for a unit of gas, in wei: above it anchoring waits; 0 sets no limit."""
    finality: str = "included"
    """`included`, `depth:N` or `finalized`."""
    sender: str = "keys/anchor-sender.key"
    authoriser: str = "keys/anchor-authoriser.key"
    signer: str = ""
    """Address of an external signer (Web3Signer's interface), which holds the accounts named next; empty: none."""
    sender_account: str = ""
    """The sender's address or public key, where the external signer holds its key; empty: it is in the key file."""
    authoriser_account: str = ""
    """The same for the authoriser."""
    signer_token_file: str = ""
    """File with a bearer token for the external signer; empty: none is sent."""
    signer_authority_file: str = ""
    """PEM file of the authority that the external signer's certificate is from; empty: the public ones."""
    admin: str = ""
    """Key file of the contract's admin: only to deploy again (`redeploy`)."""
    interval: float = 10.0
    timeout: float = 10.0
    first_block: int = 0
    """Where a search for anchors begins when the outbox was lost: the block of the deployment."""
    redeploy: bool = False
    """Deploy and register again when the chain has lost the contract; without it that is only reported."""

    @property
    def fixed_gas_price(self) -> int | None:
        """The configured price, None where the chain's is followed."""
        return None if self.gas_price < 0 else self.gas_price


@dataclass(frozen=True, slots=True)
class WitnessesConfig:
    """Who must cosign a checkpoint before it is published: C2SP tlog-policy files; both empty: nobody."""

    policy: str = ""
    """Policy file of the plain witnesses."""
    replaying: str = ""
    """Policy file of the replaying witnesses: other keys, a quorum of their own."""
    required: bool = True
    """Without a quorum nothing is published; `false` publishes all the same, and health, metrics and logs say so."""
    timeout: float = 10.0
    """Seconds that one witness has for one checkpoint."""
    refresh: float = 60.0
    """Seconds after which an idle log has its checkpoint cosigned again."""


@dataclass(frozen=True, slots=True)
class StateConfig:
    """How long the state as of a closed batch can be proven."""

    retain: int = 2_048
    """Closed batches kept; those of the newest anchors are kept beyond."""
    retain_bytes: int = 4 << 30
    """Bytes that superseded pages of the state tree may fill: where they would fill more, fewer batches are kept."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. `base` is the folder that relative paths start from."""

    base: Path
    data: str = "data"
    lock: str = "lock/checkpoint.lock"
    http: HttpConfig = field(default_factory=HttpConfig)
    log: LogConfig = field(default_factory=LogConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    chain: ChainConfig = field(default_factory=ChainConfig)
    witnesses: WitnessesConfig = field(default_factory=WitnessesConfig)
    state: StateConfig = field(default_factory=StateConfig)

    def path(self, name: str) -> Path:
        """A configured path, absolute."""
        return (self.base / name).absolute()

    @property
    def data_path(self) -> Path:
        """The data directory."""
        return self.path(self.data)

    def passphrase(self) -> str:
        """The passphrase of the key files."""
        if self.keys.passphrase:
            return self.keys.passphrase
        remedy = "Set TIAL_KEYS_PASSPHRASE, or keys.passphrase_file to a file of mode 0600"
        return self.secret(self.keys.passphrase_file, "passphrase of the key files", remedy)

    def secret(self, name: str, what: str, remedy: str = "Make a file of mode 0600") -> str:
        """The text of a file that its owner alone may read; ConfigError for any other."""
        path = self.path(name)
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"The {what} can be read by others", where=str(path), remedy=f"chmod 600 {path}")
            return path.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"The {what} cannot be read: {reason}", where=str(path), remedy=remedy) from error


ETHEREUM, COMETBFT = CHAIN_KINDS = ("ethereum", "cometbft")

SECTIONS: dict[str, type[Any]] = {
    "http": HttpConfig,
    "log": LogConfig,
    "keys": KeysConfig,
    "chain": ChainConfig,
    "witnesses": WitnessesConfig,
    "state": StateConfig,
}


BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "http": {
        "port": (0, 65_535),
        "max_body": (65_536, 1 << 34),
        "rate": (0, 1e9),
        "burst": (1, 1_000_000_000),
        "streams": (1, 16),
        "streams_per_client": (1, 16),
    },
    "log": {"interval": (0.01, 3600), "publish_within": (2, 86_400), "verifiers": (0, 256), "reserve": (0, 1 << 50)},
    "witnesses": {"timeout": (0.1, 30), "refresh": (0.2, 3600)},
    "state": {"retain": (16, 10_000_000), "retain_bytes": (1 << 20, 1 << 50)},
    "chain": {
        "chain_id": (0, 2**63),
        "gas_price": (-1, 2**63),
        "max_gas_price": (0, 2**63),
        "interval": (0.05, 86_400),
        "timeout": (0.1, 30),
        "still": (1, 86_400),
        "first_block": (0, 2**63),
    },
}


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read `path` and the environment; ConfigError names the key that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"No configuration: {error.strerror}", where=str(path), remedy="Run `tial init` to make one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"Not TOML: {error}", where=str(path)) from error
    env = os.environ if environment is None else environment
    top: dict[str, Any] = {}
    for name in ("data", "lock"):
        if f"TIAL_{name.upper()}" in env:
            top[name] = env[f"TIAL_{name.upper()}"]
        elif name in table:
            top[name] = _typed(table.pop(name), str, name)
        table.pop(name, None)
    for name, section in SECTIONS.items():
        top[name] = _section(section, name, table.pop(name, {}), env)
    if table:
        unknown = min(table)
        raise ConfigError("Unknown key", where=unknown, remedy=f"Known are data, lock and {', '.join(SECTIONS)}")
    _check_chain(top["chain"])
    return Config(base=path.parent.absolute(), **top)


def _check_chain(chain: ChainConfig) -> None:
    """Refuse keys of a chain that do not fit each other."""
    if chain.kind not in CHAIN_KINDS:
        raise ConfigError(f"Must be one of {', '.join(CHAIN_KINDS)}, not {chain.kind!r}", where="chain.kind")
    if chain.kind != COMETBFT:
        if chain.comet:
            raise ConfigError("Only a chain of kind cometbft has these addresses", where="chain.comet")
        return
    if len(chain.comet.split()) != len(chain.url.split()):
        raise ConfigError(
            "Each address in chain.url needs the CometBFT address of the same node, in the same order",
            where="chain.comet",
        )
    if chain.finality != "included":
        raise ConfigError("On a CometBFT chain each block is final: leave it out", where="chain.finality")


def _section(section: type[Any], name: str, given: object, env: Mapping[str, str]) -> Any:
    if not isinstance(given, dict):
        raise ConfigError("Must be a table", where=name)
    if "passphrase" in given:
        raise ConfigError(
            "A secret does not belong in this file",
            where=f"{name}.passphrase",
            remedy="Use keys.passphrase_file, or TIAL_KEYS_PASSPHRASE",
        )
    hints = get_type_hints(section)
    values: dict[str, Any] = {}
    for item in fields(section):
        variable = f"TIAL_{name.upper()}_{item.name.upper()}"
        if variable in env:
            values[item.name] = _parsed(env[variable], hints[item.name], variable)
            given.pop(item.name, None)
        elif item.name in given:
            values[item.name] = _typed(given.pop(item.name), hints[item.name], f"{name}.{item.name}")
    if given:
        unknown = min(given)
        raise ConfigError("Unknown key", where=f"{name}.{unknown}", remedy=f"Known are {', '.join(hints)}")
    made = section(**values)
    for bounded, (least, most) in BOUNDS.get(name, {}).items():
        value = getattr(made, bounded)
        if not least <= value <= most:  # also false for NaN
            raise ConfigError(f"Must lie between {least} and {most}, not {value}", where=f"{name}.{bounded}")
    return made


def _typed(value: object, kind: type[Any], where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"Must be a {kind.__name__}, not {value!r}", where=where)
    return value


def _parsed(text: str, kind: type[Any], where: str) -> Any:
    if kind is bool:
        if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        raise ConfigError(f"Must be true or false, not {text!r}", where=where)
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"Must be a {kind.__name__}, not {text!r}", where=where) from error
