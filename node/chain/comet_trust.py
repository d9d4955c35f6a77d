"""The node's own trust in a CometBFT chain: from the validators that its operator pinned, along every change of them.

Owns two files: the operator's pin, which is only read, and what was verified since, which is kept durably: the newest
signed header, and the links, signed headers at which the validators announced others. Trusts the pin alone. A header
counts when more than two thirds of the validators' power signed it; it never goes back to an older one, so a node that
is fed old blocks hears nothing rather than something wrong. What is kept is verified again when it is read. Follows the
CometBFT specification, "Light client", sequential verification with `next_validators_hash`.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import orjson

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError, CometTrust
from ledger.evidence.chain.comet.commit import MAX_LINKS, Link, genuine, verify_commit, verify_links
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.validators import Validator, ValidatorSet
from ledger.evidence.chain.comet.values import items_of
from ledger.statements import cbor
from ledger.store.durable import read_bounded, replace_file
from node.chain.comet_rpc import SignedHeader
from node.chain.protocol import ChainMismatchError, ChainUnavailableError, NodeBehindError

log = logging.getLogger("node.chain")

FORMAT: Final = "tial-chain-trust-v1"
KEPT: Final = "tial-chain-followed-v1"
FILE_LIMIT: Final = 1 << 20
QUESTIONS: Final = 256
"""Headers asked for in one look: some ten changes among a million blocks. The next look goes on from there."""


class ChainUnprovenError(ChainUnavailableError):
    """What the chain's node says contradicts signatures of the validators, or leads to no validators known here."""

    code = "chain-unproven"


class Headers(Protocol):
    """Where headers and validators are asked for; each answer may be anything."""

    @property
    def place(self) -> str:
        """Whose answers these are, for people."""

    def commit(self, height: int | None = None) -> SignedHeader:
        """The signed header at a height."""

    def validators(self, height: int) -> ValidatorSet:
        """The validators in force at a height."""


def read_pin(path: Path) -> CometTrust:
    """Read the operator's file; MalformedError where there is none, or none in its form."""
    try:
        with path.open("rb") as stream:
            document = orjson.loads(stream.read(FILE_LIMIT))
        if document["format"] != FORMAT:
            raise MalformedError(f"its format is not {FORMAT}")
        found = [Validator(bytes.fromhex(entry["key"]), entry["power"]) for entry in document["validators"]]
        return CometTrust(document["chain_name"], document["height"], document.get("time", 0), ValidatorSet.of(found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MalformedError) as error:
        raise MalformedError(
            f"the chain's validators cannot be read: {error}",
            where=str(path),
            remedy="Write the chain's name, a height and the validators at it, as its operators published them",
        ) from error


def pin_document(pin: CometTrust) -> dict[str, Any]:
    """A pin as its file has it."""
    return {
        "format": FORMAT,
        "chain_name": pin.chain_name,
        "height": pin.height,
        "time": pin.time,
        "validators": [{"key": key.hex(), "power": power} for key, power in pin.validators.members],
    }


class _State(NamedTuple):
    """`base`: the trust before the first link. `newest` is verified; its validators are those after the last link."""

    base: CometTrust
    links: tuple[Link, ...]
    current: ValidatorSet
    since: int
    newest: Link | None

    @property
    def height(self) -> int:
        """Of the newest verified header; before the first, that of the pin."""
        return self.since if self.newest is None else max(self.since, self.newest.header.height)


class ChainTrust:
    """What is trusted of one chain, beginning at `pin`; `path` keeps it over restarts. For any thread."""

    def __init__(self, pin: CometTrust, path: Path | None = None) -> None:
        self.pin = pin
        self._path = path
        self._lock = threading.RLock()
        self._state = _State(pin, (), pin.validators, pin.height, None)
        self._digest = [pin.chain_name, pin.height, pin.time, pin.validators.to_items()]
        if path is not None:
            self._load(path)

    @property
    def newest(self) -> Link | None:
        """The newest verified header, with its commit and the validators who signed it; None before the first."""
        return self._state.newest

    @property
    def base(self) -> CometTrust:
        """Where the links that are kept begin: the pin, until there were more than `MAX_LINKS` changes since."""
        return self._state.base

    @property
    def links(self) -> tuple[Link, ...]:
        """Changes of the validators since `base`, in order, at most `MAX_LINKS`."""
        return self._state.links

    def links_before(self, height: int) -> tuple[Link, ...]:
        """The changes that lead from `base` to the validators of a height."""
        return tuple(link for link in self._state.links if link.header.height < height)

    def advance(self, source: Headers, signed: SignedHeader) -> Link:
        """Verify a header that is said to be the newest, following the validators to it; it becomes the newest.

        Raises:
            ChainMismatchError: it is another chain's.
            NodeBehindError: a newer one is known.
            ChainUnprovenError: it contradicts what the validators signed, or cannot be reached from them.
            ChainUnavailableError: the source does not answer what is needed to follow, or that takes several looks.

        """
        with self._lock:
            header = signed.header
            self._same_chain(header, source)
            state = self._state
            if state.newest is not None and header.height == state.newest.header.height:
                return self._again(state.newest, signed, source)
            if header.height < state.height:
                raise NodeBehindError(
                    f"the node's newest block is {header.height}; block {state.height} is known", where=source.place
                )
            self._follow(source, header)
            link = self._verified(signed, self._state.current, source)
            newest = self._state.newest
            if newest is not None and header.time <= newest.header.time:
                raise ChainUnprovenError(f"block {header.height} is older than one before it", where=source.place)
            self._keep(self._state._replace(newest=link))
            return link

    def verify(self, source: Headers, signed: SignedHeader) -> Link:
        """Verify the header of a height up to the newest; errors as `advance`."""
        with self._lock:
            header, state = signed.header, self._state
            self._same_chain(header, source)
            if state.newest is not None and header.height == state.newest.header.height:
                return self._again(state.newest, signed, source)
            if not state.base.height <= header.height <= state.height:
                raise ChainUnavailableError(
                    f"block {header.height} is not among those followed, {state.base.height} to {state.height}",
                    where=source.place,
                )
            after = [link for link in state.links if link.header.height >= header.height]
            validators = after[0].validators if after else state.current
            if header.validators_hash != validators.hash():
                # A lie, or validators who came and went between two looks: nothing is known of those.
                raise ChainUnavailableError(f"block {header.height} names other validators", where=source.place)
            return self._verified(signed, validators, source)

    def _same_chain(self, header: Header, source: Headers) -> None:
        if header.chain_id != self.pin.chain_name:
            raise ChainMismatchError(
                f"the node serves the chain {header.chain_id!r}, not {self.pin.chain_name!r}",
                where=source.place,
                remedy="Correct the addresses in chain.comet, or the pinned validators",
            )

    def _again(self, known: Link, signed: SignedHeader, source: Headers) -> Link:
        """A header of the height that is known already: the same one, or two blocks were signed."""
        if signed.header.hash() == known.header.hash():
            return known
        self._verified(signed, known.validators, source)
        log.critical(
            "the chain's validators signed two blocks at one height",
            extra={"height": known.header.height, "one": known.header.hash().hex(), "two": signed.header.hash().hex()},
        )
        raise ChainUnprovenError(
            f"the validators signed two blocks at height {known.header.height}: "
            f"{known.header.hash().hex()} and {signed.header.hash().hex()}",
            where=source.place,
            remedy="More than a third of them lie: settle with the chain's operators which chain counts",
        )

    def _verified(self, signed: SignedHeader, validators: ValidatorSet, source: Headers) -> Link:
        # CometBFT takes some votes that nobody here would: one validator's must not spoil the others'.
        link = Link(signed.header, genuine(*signed, validators), validators)
        try:
            verify_commit(*link)
        except ChainInvalidError as error:
            raise ChainUnprovenError(f"the node's header is not the chain's: {error}", where=source.place) from error
        return link

    def _follow(self, source: Headers, target: Header) -> None:
        """Take in change after change, each kept, until the validators are those of `target`."""
        left = QUESTIONS
        while target.validators_hash != self._state.current.hash():
            left = self._step(source, target, left)

    def _step(self, source: Headers, target: Header, left: int) -> int:
        """Take in the next change; how many questions are left.

        What is told while the place of the change is sought is not verified, the header found there is: a lie leads
        to a header that these validators did not sign, or that announces nobody.
        """
        state = self._state
        mine, low, high = state.current.hash(), state.height, target.height
        found: SignedHeader | None = None
        while high - low > 1 or found is None:
            left -= 1
            if left < 0:
                raise ChainUnavailableError(
                    f"following the chain's validators to block {target.height} takes more than one look",
                    where=source.place,
                )
            middle = low if high - low <= 1 else (low + high) // 2
            signed = source.commit(middle)
            if signed.header.validators_hash == mine:
                low, found = middle, signed
            elif middle == low:
                raise ChainUnprovenError(
                    f"block {middle} names other validators than those trusted at it", where=source.place
                )
            else:
                high = middle
        self._same_chain(found.header, source)
        link = self._verified(found, state.current, source)
        if state.newest is not None and state.newest.header.height == link.header.height:
            link = self._again(state.newest, found, source)
        following = source.validators(found.header.height + 1)
        if following.hash() != found.header.next_validators_hash:
            raise ChainUnprovenError(
                f"these are not the validators that block {found.header.height} announced", where=source.place
            )
        if following == state.current:
            raise ChainUnprovenError(f"block {found.header.height} announces no others", where=source.place)
        log.info("the chain's validators changed", extra={"height": found.header.height + 1})
        self._take(state, link, following)
        return left - 1

    def _take(self, state: _State, link: Link, following: ValidatorSet) -> None:
        links, base = (*state.links, link), state.base
        while len(links) > MAX_LINKS:
            dropped, links = links[0].header, links[1:]
            base = CometTrust(base.chain_name, dropped.height + 1, dropped.seconds, links[0].validators)
        self._keep(_State(base, links, following, link.header.height + 1, link))

    def _keep(self, state: _State) -> None:
        if self._path is not None:
            replace_file(self._path, cbor.encode(self._items(state)))
        self._state = state

    def _items(self, state: _State) -> list[Any]:
        base, newest = state.base, state.newest
        return [
            KEPT, self._digest, base.height, base.time, base.validators.to_items(),
            [link.to_items() for link in state.links], state.current.to_items(),
            None if newest is None else newest.to_items(),
        ]  # fmt: skip

    def _load(self, path: Path) -> None:
        """Take up what was kept; what is damaged, altered or of another pin is put aside."""
        raw = read_bounded(path, FILE_LIMIT)
        if raw is None:
            return
        try:
            found = self._read(raw)
        except (MalformedError, ChainInvalidError) as error:
            log.warning("followed validators are put aside", extra={"path": str(path), "error": str(error)})
            with suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
            return
        if found is not None:
            self._state = found

    def _read(self, raw: bytes) -> _State | None:
        kind, digest, height, time, validators, links, current, newest = items_of(
            "followed", cbor.decode(raw, max_size=FILE_LIMIT), 8, 8
        )
        if kind != KEPT:
            raise MalformedError("another format", where="followed")
        if digest != self._digest:
            return None  # the operator pinned anew: that counts
        base = CometTrust(self.pin.chain_name, height, time, ValidatorSet.from_items(validators))
        chain = tuple(Link.from_items(link) for link in items_of("links", links, MAX_LINKS))
        last = None if newest is None else Link.from_items(newest)
        state = _State(
            base, chain, ValidatorSet.from_items(current), chain[-1].header.height + 1 if chain else base.height, last
        )
        self._judge(state)
        return state

    def _judge(self, state: _State) -> None:
        """Refuse a state that does not follow from the pin, or whose signatures do not hold."""
        base, links, newest = state.base, state.links, state.newest
        if len(links) < MAX_LINKS and base != self.pin:
            raise MalformedError("it does not begin at the pin", where="followed")
        first = links[0].validators if links else state.current
        told = links[-1].header.next_validators_hash if links else base.validators.hash()
        if first != base.validators or state.current.hash() != told:
            raise MalformedError("its validators do not follow from each other", where="followed")
        if any(link.header.chain_id != self.pin.chain_name for link in links):
            raise MalformedError("it is of another chain", where="followed")
        if newest is None:
            return
        beyond = not links or newest.header.height > links[-1].header.height
        verify_links((*links, newest) if beyond else links)
        if newest.header.chain_id != self.pin.chain_name or newest.header.height < base.height:
            raise MalformedError("it is of another chain, or older than the pin", where="followed")
        if not beyond and newest != links[-1]:
            raise MalformedError("its newest header is none of the links", where="followed")
