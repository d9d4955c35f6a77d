"""Whatever a chain's node sends, the answer is a value or a named error, in bounded time and space."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import JsonRpc, RpcError, quantity, unhex
from tests.lying_rpc import LyingRpc

Answer = Callable[[BaseHTTPRequestHandler, dict[str, object]], None]


@pytest.fixture
def node() -> Iterator[Callable[[Answer], str]]:
    """Serve one kind of answer on loopback; gives its URL."""
    servers = []

    def serve(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer(self, asked)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(content: bytes, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, asked: dict[str, object]) -> None:
        body = content.replace(b"$ID", json.dumps(asked["id"]).encode())
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_result_is_returned(node: Callable[[Answer], str]) -> None:
    rpc = JsonRpc(node(reply(b'{"jsonrpc": "2.0", "id": $ID, "result": "0x10"}')))
    assert quantity(rpc.call("eth_blockNumber")) == 16
    assert quantity(rpc.call("eth_blockNumber")) == 16


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 200),
        (b"not json", 200),
        (b"[]", 200),
        (b"null", 200),
        (b'{"jsonrpc": "2.0", "id": $ID}', 200),
        (b'{"jsonrpc": "2.0", "id": 999, "result": "0x1"}', 200),
        (b'{"jsonrpc": "2.0", "id": $ID, "error": "no"}', 200),
        (b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}', 500),
        (b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}', 302),
        (b"[" * 100_000, 200),
        (b"\xff\xfe", 200),
    ],
)
def test_what_is_no_answer_is_called_unavailable(node: Callable[[Answer], str], content: bytes, status: int) -> None:
    with pytest.raises(ChainUnavailableError):
        JsonRpc(node(reply(content, status))).call("eth_chainId")


def test_an_error_keeps_message_and_revert_data(node: Callable[[Answer], str]) -> None:
    flat = b'{"id": $ID, "error": {"code": 3, "message": "execution reverted", "data": "0x01020304"}}'
    nested = b'{"id": $ID, "error": {"code": 3, "message": "execution reverted", "data": {"data": "0x01020304"}}}'
    for content in (flat, nested):
        with pytest.raises(RpcError) as refusal:
            JsonRpc(node(reply(content))).call("eth_call")
        assert (refusal.value.number, refusal.value.data) == (3, b"\x01\x02\x03\x04")


def test_an_answer_that_is_too_long_is_cut_off(node: Callable[[Answer], str]) -> None:
    long = b'{"id": $ID, "result": "' + b"0" * 200_000 + b'"}'
    with pytest.raises(ChainUnavailableError, match="too long"):
        JsonRpc(node(reply(long)), answer_limit=100_000).call("eth_getLogs")


def test_an_answer_that_drips_is_given_up_in_time(node: Callable[[Answer], str]) -> None:
    def drip(handler: BaseHTTPRequestHandler, _: dict[str, object]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    start = time.monotonic()
    with pytest.raises(ChainUnavailableError):
        JsonRpc(node(drip), timeout=0.4).call("eth_chainId")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("headers", [True, False])
def test_a_byte_a_second_holds_a_call_no_longer_than_its_timeout(node: Callable[[Answer], str], headers: bool) -> None:
    with LyingRpc(node(reply(b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}'))) as proxy:
        rpc = JsonRpc(proxy.url, timeout=1.5)
        assert rpc.call("eth_chainId") == "0x1"  # the connection that is kept has no time left over from this call
        proxy.drip(pause=1.0, headers=headers)
        begin = time.monotonic()
        with pytest.raises(ChainUnavailableError):
            rpc.call("eth_chainId")
        assert time.monotonic() - begin < 2
        proxy.honest()
        assert rpc.call("eth_chainId") == "0x1"


def test_a_node_that_reads_and_says_nothing_is_given_up_in_time(node: Callable[[Answer], str]) -> None:
    with LyingRpc(node(reply(b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}'))) as proxy:
        proxy.hang()
        begin = time.monotonic()
        with pytest.raises(ChainUnavailableError):
            JsonRpc(proxy.url, timeout=0.3).call("eth_chainId", "x" * 1_000_000)
        assert time.monotonic() - begin < 1


def test_a_call_waits_no_longer_than_whoever_has_several_to_make(node: Callable[[Answer], str]) -> None:
    with LyingRpc(node(reply(b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}'))) as proxy:
        rpc = JsonRpc(proxy.url, timeout=30)
        proxy.hang()
        begin = time.monotonic()
        rpc.end = begin + 0.3
        for _ in range(2):
            with pytest.raises(ChainUnavailableError):
                rpc.call("eth_chainId")
        assert time.monotonic() - begin < 1


def test_a_connection_that_the_node_closed_while_idle_is_made_anew(node: Callable[[Answer], str]) -> None:
    with LyingRpc(node(reply(b'{"jsonrpc": "2.0", "id": $ID, "result": "0x1"}'))) as proxy:
        rpc = JsonRpc(proxy.url)
        for _ in range(3):
            assert rpc.call("eth_chainId") == "0x1"
            proxy.kill()
            proxy.revive()


def test_no_listener_and_no_address_are_unavailable() -> None:
    for url in ("http://127.0.0.1:1", "http://", "nonsense"):
        with pytest.raises(ChainUnavailableError):
            JsonRpc(url, timeout=1).call("eth_chainId")


@given(st.integers(0, 2**64 - 1), st.binary(max_size=100))
def test_quantities_and_data_are_read_back(number: int, data: bytes) -> None:
    assert quantity(hex(number)) == number
    assert unhex("0x" + data.hex()) == data


@given(st.one_of(st.none(), st.integers(), st.booleans(), st.text(), st.lists(st.text()), st.binary()))
def test_anything_else_is_refused_by_name(value: object) -> None:
    for read in (quantity, unhex):
        try:
            read(value)
        except ChainUnavailableError:
            continue
        assert isinstance(value, str)
        assert value.startswith("0x")


def test_what_is_nested_too_deep_to_be_shown_is_no_answer(node: Callable[[Answer], str]) -> None:
    deep = b"[" * 1_000 + b"]" * 1_000
    found = JsonRpc(node(reply(b'{"id":$ID,"result":' + deep + b"}"))).call("eth_chainId")
    for read in (quantity, unhex):
        with pytest.raises(ChainUnavailableError, match="a list"):
            read(found)
    with pytest.raises(RpcError, match="a list"):
        JsonRpc(node(reply(b'{"id":$ID,"error":{"message":' + deep + b"}}"))).call("eth_chainId")


@pytest.mark.parametrize("value", ["0x", "0x1_0", "0x 1", "10", "-0x1", "0x" + "f" * 17, "0x" + "0" * 65])
def test_odd_quantities_are_refused(value: str) -> None:
    with pytest.raises(ChainUnavailableError):
        quantity(value)


@pytest.mark.parametrize("value", ["0x1", "0x 01", "01", "0x0g"])
def test_odd_data_is_refused(value: str) -> None:
    with pytest.raises(ChainUnavailableError):
        unhex(value)


def test_data_of_another_size_is_refused() -> None:
    with pytest.raises(ChainUnavailableError):
        unhex("0x01", 2)


def test_a_compressed_answer_is_not_unpacked_and_cookies_are_not_kept(node: Callable[[Answer], str]) -> None:
    asked: list[tuple[str | None, str | None]] = []

    def small(handler: BaseHTTPRequestHandler, _: dict[str, object]) -> None:
        asked.append((handler.headers["Accept-Encoding"], handler.headers["Cookie"]))
        body = gzip.compress(b" " * 50_000_000)
        handler.send_response(200)
        for name, value in (("Content-Encoding", "gzip"), ("Set-Cookie", "a=b"), ("Content-Length", str(len(body)))):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    rpc = JsonRpc(node(small))
    for _ in range(2):
        with pytest.raises(ChainUnavailableError, match="compressed"):
            rpc.call("eth_chainId")
    assert set(asked) == {("identity", None)}
