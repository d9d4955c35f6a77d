"""From a log's origin to its node's address: the origin itself, or what a directory or an option says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory import MAX_DIRECTORY, address_of, check_address, read_directory, read_nodes
from ledger.errors import MalformedError, UnavailableError


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("node.example.org/assets", "https://node.example.org/assets"),
        ("node.example.org:8443", "https://node.example.org:8443"),
        ("127.0.0.1:8080/log", "http://127.0.0.1:8080/log"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("localhost/log", "http://localhost/log"),
        ("localhost.example.org", "https://localhost.example.org"),
    ],
)
def test_an_origin_is_an_address_by_itself(origin: str, address: str) -> None:
    assert address_of(origin, {}) == address
    assert address_of(origin, {origin: "http://127.0.0.1:1"}) == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "origin",
    ["", "/", "a b", "user@host", "host?x", "host#x", "host:port", "host:0", "host:99999", "\u2603.example.org", "a\nb",
     "http://host", "[::1", "host\\x", "h" * 3000],
)  # fmt: skip
def test_an_origin_that_is_no_address_needs_a_directory(origin: str) -> None:
    if origin == "http://host":  # a scheme in it makes it a host named http
        assert address_of(origin, {}).startswith("https://http:")
        return
    with pytest.raises(MalformedError, match="no address"):
        address_of(origin, {})
    assert address_of(origin, {origin: "https://n"}) == "https://n"


@given(st.text(max_size=60))
def test_no_origin_leads_to_another_error_or_to_another_host(origin: str) -> None:
    try:
        address = address_of(origin, {})
    except MalformedError:
        return
    assert address in {f"https://{origin}", f"http://{origin}"}
    assert not set(address) & set(" @?#\\")


def test_a_directory_names_nodes(tmp_path: Path) -> None:
    path = tmp_path / "nodes.toml"
    path.write_text('[[node]]\norigin = "a"\nurl = "https://a"\n[[node]]\norigin = "b"\nurl = "http://127.0.0.1:1/b"\n')
    assert read_directory(path) == {"a": "https://a", "b": "http://127.0.0.1:1/b"}
    path.write_text("")
    assert read_directory(path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "x", "x = 1", "node = 1", "node = [1]", "[[node]]", '[[node]]\norigin = "a"', '[[node]]\norigin = 1\nurl = "https://a"',
        '[[node]]\norigin = "a"\nurl = "ftp://a"', '[[node]]\norigin = "a"\nurl = "https://"',
        '[[node]]\norigin = "a"\nurl = "https://a"\nkey = "x"',
        '[[node]]\norigin = "a"\nurl = "https://a"\n[[node]]\norigin = "a"\nurl = "https://b"',
        "a = " + "[" * 5_000, "#" * (MAX_DIRECTORY + 1),
    ],
)  # fmt: skip
def test_a_directory_in_another_form_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nodes.toml"
    path.write_text(text)
    with pytest.raises(MalformedError) as refused:
        read_directory(path)
    assert str(path) in refused.value.where


def test_a_directory_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(MalformedError):
        read_directory(tmp_path / "bytes")
    with pytest.raises(UnavailableError):
        read_directory(tmp_path / "none")


def test_options_name_nodes() -> None:
    assert read_nodes(["a=https://a", "b/c=http://127.0.0.1:1?"[:-1]]) == {
        "a": "https://a",
        "b/c": "http://127.0.0.1:1",
    }
    for wrong in ("", "a", "=https://a", "a=", "a=b", "a=https://u:p@h"):
        with pytest.raises(MalformedError):
            read_nodes([wrong])
    with pytest.raises(MalformedError):
        check_address("https://h\nx", "x")
