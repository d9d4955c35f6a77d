"""A follower takes only what is under the signed root, from a server that may be anybody's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError, UnavailableError
from ledger.log.proofs import consistency_proof, verify_consistency, verify_inclusion
from ledger.log.tiles import TileEdge, TileRef, encode_entry_bundle, tiles_between
from ledger.log.tree import EMPTY_ROOT, leaf_hash, root_of
from ledger.store.durable import read_bounded
from ledger.store.tiles import TileWriter
from node.follower import Followed, HttpLog, UnverifiedError, checked_url


def entries_of(size: int, salt: bytes = b"") -> list[bytes]:
    return [b"entry %d" % index + salt for index in range(size)]


def files_of(entries: list[bytes]) -> dict[str, bytes]:
    """The files of a log of these entries, by path."""
    leaves = [leaf_hash(entry) for entry in entries]
    edge = TileEdge()
    files = {ref.path: data for ref, data in [*edge.extend(leaves), *edge.partials()]}
    for start in range(0, len(entries), 256):
        part = entries[start : start + 256]
        files[TileRef(None, start // 256, len(part)).path] = encode_entry_bundle(part)
    return files


def follow(entries: list[bytes], files: dict[str, bytes] | None = None) -> Followed:
    held = files_of(entries) if files is None else files
    root = root_of([leaf_hash(entry) for entry in entries])
    return Followed(lambda path, _limit: held.get(path), len(entries), root)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 600, 65_536, 65_537 + 300])
def test_every_entry_and_node_of_a_log_is_read_and_proven(size: int):
    entries = entries_of(size)
    followed = follow(entries)
    assert list(followed.entries(0, size)) == entries
    for index in {0, size // 2, size - 1} & set(range(size)):
        assert verify_inclusion(leaf_hash(entries[index]), index, size, followed.inclusion(index), followed.root_hash)
        assert followed.entry(index) == entries[index]
    old = size // 3
    assert followed.root(old) == root_of([leaf_hash(entry) for entry in entries[:old]])
    followed.require_extends(old, followed.root(old))


def test_a_mirror_gets_the_very_files(tmp_path: Path):
    entries = entries_of(700)
    followed = follow(entries)
    files = {ref.path: followed.tile(ref.level or 0, ref.index, ref.width) for ref in tiles_between(0, 700)}
    files |= {ref.path: encode_entry_bundle(found) for ref, found in followed.bundles(0, 700)}
    assert files == files_of(entries)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_altered_byte_is_taken(data: st.DataObject):
    entries = entries_of(600)
    files = files_of(entries)
    path = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[path]) - 1))
    altered = bytearray(files[path])
    altered[at] ^= 1 << data.draw(st.integers(0, 7))
    followed = follow(entries, files | {path: bytes(altered)})
    with pytest.raises(UnverifiedError):
        _everything(followed)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda _: b"", lambda d: d + b"\x00" * 32, lambda d: d[32:]])
@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001"])
def test_a_file_of_another_length_is_never_taken_for_it(path: str, change: Any):
    entries = entries_of(600)
    files = files_of(entries)
    followed = follow(entries, files | {path: change(files[path])})
    try:
        found = _everything(followed)
    except UnverifiedError:
        return
    assert found == _everything(follow(entries))  # bytes beyond the tile are cut off


def test_a_partial_file_that_is_gone_is_cut_from_the_full_one():
    later = files_of(entries_of(768))
    assert "tile/0/002.p/88" not in later
    entries = entries_of(600)
    followed = follow(entries, later | {"tile/1/000.p/2": later["tile/1/000.p/3"]})
    assert list(followed.entries(500, 600)) == entries[500:]


def test_a_missing_file_is_the_servers_fault():
    entries = entries_of(600)
    files = files_of(entries)
    del files["tile/entries/001"]
    with pytest.raises(UnverifiedError, match="lacks a file"):
        list(follow(entries, files).entries(0, 600))


def test_a_log_that_forked_does_not_extend():
    entries, other = entries_of(300), entries_of(300, b"!")
    followed = follow(entries)
    with pytest.raises(UnverifiedError, match="does not extend"):
        followed.require_extends(200, follow(other).root(200))
    with pytest.raises(UnverifiedError, match="does not extend"):
        followed.require_extends(301, followed.root_hash)


def test_questions_beyond_the_size_are_refused():
    followed = follow(entries_of(10))
    for ask in (lambda: followed.tile(0, 0, 11), lambda: followed.tile(1, 0), lambda: followed.nodes(11)):
        with pytest.raises(MalformedError):
            ask()
    with pytest.raises(MalformedError):
        list(followed.entries(0, 11))
    with pytest.raises(MalformedError):
        Followed(lambda _path, _limit: None, 0, bytes(32))
    assert list(Followed(lambda _path, _limit: None, 0, EMPTY_ROOT).entries(0, 0)) == []


def _everything(followed: Followed) -> list[bytes]:
    found = [followed.tile(ref.level or 0, ref.index, ref.width) for ref in tiles_between(0, followed.size)]
    return found + list(followed.entries(0, followed.size))


# -- over HTTP ----------------------------------------------------------------------------------------------------


class Hostile(BaseHTTPRequestHandler):
    """Answers by path with what a follower must not fall for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == "redirect":
            self._answer(302, b"", Location="/large")
        elif name == "large":
            self._answer(200, bytes(5_000))
        elif name == "gzip":
            self._answer(200, b"abc", **{"Content-Encoding": "gzip"})
        elif name == "broken":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"short")
            self.close_connection = True
        else:
            self._answer({"absent": 404}.get(name, 503), b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def _serving(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hostile() -> Iterator[str]:
    yield from _serving(Hostile)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[bytes], bytes]]:
    entries = entries_of(700)
    writer = TileWriter.open(tmp_path, 0, EMPTY_ROOT)
    writer.extend(entries, [leaf_hash(entry) for entry in entries])
    writer.flush()
    for url in _serving(partial(Quiet, directory=str(tmp_path))):
        yield url, entries, writer.root()


def test_a_log_is_followed_over_http_from_where_one_was(served: tuple[str, list[bytes], bytes]):
    url, entries, root = served
    with HttpLog(url + "/") as source:
        followed = Followed(source.fetch, len(entries), root)
        assert list(followed.entries(300, 700)) == entries[300:]
        assert verify_consistency(300, 700, followed.root(300), root, _consistency(followed, 300))


def _consistency(followed: Followed, old: int) -> list[bytes]:
    return consistency_proof(old, followed.size, followed.nodes().get_node)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("redirect", UnavailableError), ("large", UnverifiedError), ("gzip", UnverifiedError),
        ("broken", UnavailableError), ("busy", UnavailableError),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_file_is_refused(hostile: str, path: str, error: type[Exception]):
    with HttpLog(hostile) as source, pytest.raises(error):
        source.fetch(path, 4_096)


def test_absent_is_told_from_silent(hostile: str):
    with HttpLog(hostile) as source:
        assert source.fetch("absent", 10) is None
    with HttpLog("http://127.0.0.1:9") as source, pytest.raises(UnavailableError):
        source.fetch("checkpoint", 10)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/b", "/log", "http://", "http://a/?q=1", "http://a/#f", "http://u:p@a/", "http://a\n/", "http://[/"],
)
def test_what_is_no_prefix_is_refused(url: str):
    with pytest.raises(MalformedError):
        checked_url(url)


def test_a_prefix_loses_its_last_slash():
    assert checked_url("https://log.example/a/") == "https://log.example/a"


def test_a_folder_is_followed_like_a_server(tmp_path: Path):
    entries = entries_of(300)
    for path, data in files_of(entries).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    root = root_of([leaf_hash(entry) for entry in entries])
    followed = Followed(lambda path, limit: read_bounded(tmp_path / path, limit), 300, root)
    assert list(followed.entries(0, 300)) == entries
