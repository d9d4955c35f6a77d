"""Ways to alter a file: its bytes, its lines, or one node of what is encoded in it, down into what is nested.

Everything is drawn from the `random.Random` that is handed in, so that a mutation can be had again from its seed. A
mutation may give back what it was given, or what another honest file holds: who judges it compares.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from ledger.errors import MalformedError
from ledger.evidence.chain import rlp
from ledger.statements.cbor import decode, encode

JUNK: Sequence[Any] = (
    None, False, True, 0, 1, 23, 24, 255, 256, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**64), b"", b"\0", bytes(32),
    b"\xff" * 32, bytes(64), bytes(1000), "", "a", "\u00e9", "vaa:88.118.8/A1", "did:key:z", [], [[]],
    [[[[[[[[]]]]]]]], {}, {0: 0}, {"": ""},
)  # fmt: skip
ES256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
BIG = 1 << 22
Path = tuple[Any, ...]


# -- bytes -------------------------------------------------------------------------------------------------------------


def alter_bytes(raw: bytes, draw: Random, donor: bytes) -> bytes:
    """Flip, replace, insert, delete, double, truncate, or splice with another file: one to three times."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        raw = draw.choice(_BYTE_WAYS)(raw, draw, donor)
    return raw


def _flip(raw: bytes, draw: Random, _: bytes) -> bytes:
    if not raw:
        return b"\0"
    at = draw.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]


def _put(raw: bytes, draw: Random, _: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + draw.randbytes(1) + raw[at + 1 :]


def _insert(raw: bytes, draw: Random, _: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + draw.choice((draw.randbytes(1), draw.randbytes(draw.randrange(40)), b"\n", b"\xa0")) + raw[at:]


def _delete(raw: bytes, draw: Random, _: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + raw[at + draw.choice((1, 1, 2, 32, 33, draw.randrange(200))) :]


def _double(raw: bytes, draw: Random, _: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    end = at + draw.choice((1, 32, 33, draw.randrange(200)))
    return raw[:end] + raw[at:]


def _cut(raw: bytes, draw: Random, _: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] if draw.random() < 0.7 else raw[at:]


def _splice(raw: bytes, draw: Random, donor: bytes) -> bytes:
    here = draw.randrange(len(raw) + 1)
    there = here if draw.random() < 0.5 else draw.randrange(len(donor) + 1)
    return raw[:here] + donor[there:]


def _graft(raw: bytes, draw: Random, donor: bytes) -> bytes:
    """Put a piece of the donor over the same place."""
    at = draw.randrange(len(raw) + 1)
    size = draw.choice((1, 4, 32, 64, draw.randrange(300)))
    return raw[:at] + donor[at : at + size] + raw[at + size :]


_BYTE_WAYS: Sequence[Callable[[bytes, Random, bytes], bytes]] = (
    _flip, _flip, _flip, _put, _insert, _delete, _double, _cut, _splice, _graft,
)  # fmt: skip


# -- trees of CBOR -----------------------------------------------------------------------------------------------------


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every node of a tree of lists and maps, as the keys that lead to it."""
    yield path
    inside: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in inside:
        yield from places(value[name], (*path, name))


def found_at(value: Any, path: Path) -> Any:
    """The node at a path, None where there is none."""
    try:
        for name in path:
            value = value[name]
    except (LookupError, TypeError):
        return None
    return value


def with_node(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy of the tree in which the node at `path` is `change` of it; what is not on the path is shared."""
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = with_node(value[path[0]], path[1:], change)
    return copy


class Tree:
    """A tree that is altered again and again: the places of its nodes are found once."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.paths = list(places(value))

    def altered(self, draw: Random, donor: Any) -> Any:
        """The tree with one to three nodes altered; `donor` is another tree of the kind."""
        value = self.value
        for _ in range(draw.choice((1, 1, 1, 1, 2, 3))):
            path = draw.choice(self.paths)
            if draw.random() < 0.3:  # the upper levels hold few nodes and much meaning
                path = path[: draw.randrange(4)]
            try:
                value = self._alter_one(value, path, draw, donor)
            except (LookupError, TypeError, AttributeError):
                continue  # an earlier change took the place away
        return value

    def _alter_one(self, value: Any, path: Path, draw: Random, donor: Any) -> Any:
        way = draw.random()
        if way < 0.12 and path:  # the donor's node of the same place
            return with_node(value, path, lambda _: found_at(donor, path))
        if way < 0.2:  # any other node of this tree, or of the donor
            other = found_at(draw.choice((value, donor)), draw.choice(self.paths))
            return with_node(value, path, lambda _: other)
        if way < 0.26:
            return with_node(value, path, lambda _: draw.choice(JUNK))
        if way < 0.34 and path:  # the node and one beside it change places
            return with_node(value, path[:-1], lambda parent: _exchanged(parent, path[-1], draw))
        if way < 0.42 and path:
            return with_node(value, path[:-1], lambda parent: _without(parent, path[-1]))
        return with_node(value, path, lambda node: alter_node(node, draw, found_at(donor, path)))


def exchanged(value: Any, donor: Any, draw: Random, at: Path) -> Any:
    """Some members of the map at `at` as the donor has them: whole fields of two honest files."""
    ours, theirs = found_at(value, at), found_at(donor, at)
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return value
    common = [name for name in ours if name in theirs]
    taken = draw.sample(common, draw.randrange(1, len(common) + 1)) if common else []
    return with_node(value, at, lambda _: ours | {name: theirs[name] for name in taken})


def alter_node(node: Any, draw: Random, donor: Any = None) -> Any:
    """Alter one node in a way that fits its type."""
    match node:
        case bool() | None:
            return draw.choice(JUNK)
        case int():
            near = (node + 1, node - 1, node + 2, node * 2, node // 2, 0, -node, node ^ 1 << draw.randrange(40))
            return draw.choice(near)
        case str():
            return _alter_text(node, draw)
        case bytes():
            return alter_nested(node, draw, donor if isinstance(donor, bytes) else node)
        case list():
            return _alter_list(node, draw, donor)
        case dict():
            return _alter_map(node, draw)
    return node


def _alter_text(node: str, draw: Random) -> str:
    at = draw.randrange(len(node) + 1)
    return draw.choice(
        (
            node[:at] + chr(draw.choice((0x41, 0x61, 0x30, 0x7F, 0xE9, 0x4E2D, 0x1F600))) + node[at:],
            node[:at] + node[at + 1 :], node[:at], node[::-1], node.upper(), node.lower(), node + " ",
            node + "\n", node * 2,
        )
    )  # fmt: skip


def _alter_list(node: list[Any], draw: Random, donor: Any) -> list[Any]:
    more = list(node)
    if not more:
        return [draw.choice(JUNK)]
    here, there = draw.randrange(len(more)), draw.randrange(len(more))
    match draw.randrange(8):
        case 0:
            del more[here]
        case 1:
            more.insert(there, more[here])
        case 2:
            more[here], more[there] = more[there], more[here]
        case 3:
            more.reverse()
        case 4:
            more = more[1:] + more[:1]
        case 5:
            more = more[:here]
        case 6:
            more.insert(here, draw.choice(JUNK))
        case _ if isinstance(donor, list) and donor:
            more[here] = draw.choice(donor)
        case _:
            more *= 2
    return more


def _alter_map(node: dict[Any, Any], draw: Random) -> dict[Any, Any]:
    more = dict(node)
    if not more or draw.random() < 0.3:
        more[draw.choice((0, 1, 4, 396, "more", "log", b"k"))] = draw.choice(JUNK)
        return more
    name, other = draw.choice(list(more)), draw.choice(list(more))
    match draw.randrange(3):
        case 0:
            del more[name]
        case 1:
            more[name], more[other] = more[other], more[name]
        case _:
            more[alter_node(name, draw) if not isinstance(name, bytes) else b"k"] = more.pop(name)
    return more


def _exchanged(parent: Any, name: Any, draw: Random) -> Any:
    other = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    copy = parent.copy()
    copy[name], copy[other] = parent[other], parent[name]
    return copy


def _without(parent: Any, name: Any) -> Any:
    copy = parent.copy()
    del copy[name]
    return copy


# -- what is nested in byte strings ------------------------------------------------------------------------------------


def alter_nested(raw: bytes, draw: Random, donor: bytes) -> bytes:
    """Alter a byte string: as a signature, as the CBOR, RLP, note or text that it holds, or byte by byte."""
    if len(raw) in (64, 65) and draw.random() < 0.3:
        return malleated(raw, draw)
    if draw.random() < 0.6:
        for read in (_as_cose, _as_cbor, _as_lines, _as_rlp):
            found = read(raw, draw, donor)
            if found is not None:
                return found
    return alter_bytes(raw, draw, donor)


def malleated(raw: bytes, draw: Random) -> bytes:
    """Another number that stands for the same signature, where a careless verifier takes it: s + L, n - s."""
    first, second, rest = raw[:32], raw[32:64], raw[64:]
    match draw.randrange(5):
        case 0:
            more = int.from_bytes(second, "little") + ED25519_ORDER
            return first + (more % 2**256).to_bytes(32, "little") + rest
        case 1:
            return first + ((ES256_ORDER - int.from_bytes(second, "big")) % 2**256).to_bytes(32, "big") + rest
        case 2:
            turned = (SECP256K1_ORDER - int.from_bytes(second, "big")) % 2**256
            return first + turned.to_bytes(32, "big") + bytes([rest[0] ^ 1] if rest else [])
        case 3:
            return first[:31] + bytes([first[31] ^ 0x80]) + second + rest
        case _:
            return second + first + rest


def _as_cose(raw: bytes, draw: Random, donor: bytes) -> bytes | None:
    return _reencoded(raw, draw, donor, 18) if raw.startswith(b"\xd2\x84") else None


def _as_cbor(raw: bytes, draw: Random, donor: bytes) -> bytes | None:
    if len(raw) < 3 or not 0x80 <= raw[0] < 0xC0:
        return None
    return _reencoded(raw, draw, donor, None)


def _reencoded(raw: bytes, draw: Random, donor: bytes, tag: int | None) -> bytes | None:
    try:
        value = decode(raw, tag=tag, max_size=BIG)
    except MalformedError:
        return None
    try:
        other = decode(donor, tag=tag, max_size=BIG)
    except MalformedError:
        other = value
    try:
        return encode(Tree(value).altered(draw, other), tag=tag)
    except MalformedError:
        return raw  # no such bytes can be written


def _as_rlp(raw: bytes, draw: Random, donor: bytes) -> bytes | None:
    if len(raw) < 40 or raw[0] < 0xC0:
        return None
    try:
        value = rlp.decode(raw)
        return rlp.encode(Tree(value).altered(draw, rlp.decode(donor) if donor[:1] >= b"\xc0" else value))
    except (MalformedError, TypeError, AttributeError):
        return None


def _as_lines(raw: bytes, draw: Random, donor: bytes) -> bytes | None:
    return alter_lines(raw, draw, donor) if b"\n\n" in raw and raw.endswith(b"\n") else None


# -- lines of text -----------------------------------------------------------------------------------------------------


def alter_lines(raw: bytes, draw: Random, donor: bytes) -> bytes:
    """Alter a file of lines: drop, double, exchange, take over, or alter one; keep the last newline mostly."""
    lines, theirs = raw.split(b"\n"), donor.split(b"\n")
    for _ in range(draw.choice((1, 1, 1, 2))):
        here, there = draw.randrange(len(lines)), draw.randrange(len(lines))
        match draw.randrange(8):
            case 0:
                lines = lines[:here] + lines[here + 1 :] or [b""]
            case 1:
                lines.insert(there, lines[here])
            case 2:
                lines[here], lines[there] = lines[there], lines[here]
            case 3:
                lines[here] = draw.choice(theirs)
            case 4:
                lines.insert(here, draw.choice(theirs))
            case 5:
                lines[here : here + 1] = [lines[here], b""]
            case _:
                lines[here] = _alter_line(lines[here], draw)
    return b"\n".join(lines)


def _alter_line(line: bytes, draw: Random) -> bytes:
    words = line.split(b" ")
    at = draw.randrange(len(words))
    word = words[at]
    if word.isdigit():
        words[at] = b"%d" % max(0, alter_node(int(word[:30]), draw))
    elif len(word) >= 8 and draw.random() < 0.7:
        try:
            value = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            value = b""
        if len(value) == 68 and draw.random() < 0.5:  # key id and signature
            words[at] = base64.b64encode(value[:4] + malleated(value[4:], draw))
        elif value:
            words[at] = base64.b64encode(alter_bytes(value, draw, value))
    else:
        words[at] = alter_bytes(word, draw, line)
    return b" ".join(words)
