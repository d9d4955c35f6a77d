"""The server process: opens the node, serves it, and brings both down in order.

SIGTERM and SIGINT stop in this order: no new connections, bulk streams read no further, what was taken is answered, the
node drains and publishes. A stage of the node that fails ends the process with code 1; a node that refuses to start
ends it with code 3, before anything listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
import uvloop

from api.http.app import Gate, create_app
from api.http.protocol import BoundedProtocol
from ledger.errors import LedgerError, RefusedStartError
from node.config import Config, ConfigError, HttpConfig, load_config
from node.logs import configure
from node.node import Node

log = logging.getLogger("api.http")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED_START = 3
DRAIN_SECONDS = 20
MAX_CONNECTIONS = 2000
KEEP_ALIVE = 75


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: they would end the process before the node has drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_run`."""
        yield


def serve(config: Config, *, recover_lock: bool = False, clock_checked: bool = False, log_level: str = "INFO") -> int:
    """Run the node and its HTTP interface until a signal or a failure; the process's exit code.

    0: stopped by a signal. 1: a stage failed. 2: the configuration is not usable. 3: the node refused to start.
    """
    configure(log_level)
    # Admission makes hundreds of tuples a statement and no cycles: at the usual pace the search for cycles took a fifth
    # of the main thread. What was imported stays for ever and need not be looked at again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config, recover_lock, clock_checked))


async def _run(config: Config, recover_lock: bool, clock_checked: bool) -> int:
    try:
        listener = _bind(config.http)
        try:
            node = Node(config, recover_lock=recover_lock, clock_checked=clock_checked)
        except BaseException:
            listener.close()
            raise
    except ConfigError as error:
        return _explain(error, EXIT_USAGE)
    except LedgerError as error:
        return _explain(error, EXIT_REFUSED_START)
    code = EXIT_FAILED
    try:
        code = await _start(node, listener)
    finally:
        listener.close()
        code = max(code, await _stop(node))
    return code


async def _start(node: Node, listener: socket.socket) -> int:
    try:
        gate = create_app(node)
        await node.start()
        _listen(listener)
    except ConfigError as error:
        return _explain(error, EXIT_USAGE)
    except LedgerError as error:
        refused = isinstance(error, RefusedStartError)
        return _explain(error, EXIT_REFUSED_START if refused else EXIT_FAILED)
    return await _serve(node, gate, listener)


async def _stop(node: Node) -> int:
    """Drain the node; a last publication that fails (a full disk) loses nothing, but the exit code tells of it."""
    try:
        await node.stop()
    except LedgerError as error:
        log.critical("stopped with entries that the next start will publish", extra={"error": error.explain()})
        return EXIT_FAILED
    return EXIT_OK


async def _serve(node: Node, gate: Gate, listener: socket.socket) -> int:
    server = _Server(
        uvicorn.Config(
            gate,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            limit_concurrency=MAX_CONNECTIONS,
        )
    )
    code = EXIT_OK

    def stop() -> None:
        server.should_exit = True
        gate.streams.stop()

    async def watch() -> None:
        nonlocal code
        try:
            await node.failed()
        except LedgerError as error:
            log.critical("the node failed", extra={"error": error.explain()})
        except Exception:
            log.exception("the node failed")
        code = EXIT_FAILED
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    watcher = asyncio.create_task(watch())
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("listening", extra={"url": url, "log": node.log_id.hex(), "size": node.publisher.size})
    try:
        await server.serve(sockets=[listener])
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    return code


def _bind(http: HttpConfig) -> socket.socket:
    """Take the address before the node signs anything; nothing listens yet."""
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise _taken(error) from error
    return listener


def _listen(listener: socket.socket) -> None:
    """Take connections: from here on clients wait instead of being refused."""
    try:
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        raise _taken(error) from error


def _taken(error: OSError) -> RefusedStartError:
    return RefusedStartError(
        f"Cannot listen: {error.strerror}", where="http", remedy="Stop what holds the address, or set http.port"
    )


def _explain(error: LedgerError, code: int) -> int:
    log.critical("not started", extra={"code": error.code, "error": error.explain()})
    sys.stderr.write(f"{error.explain()}\n")
    return code


def main(arguments: list[str] | None = None) -> int:
    """`python -m api.http.server tial.toml`: what `tial serve` does, without the command line's other parts."""
    parser = argparse.ArgumentParser(prog="api.http.server", description="Serve a node.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--recover-lock", action="store_true")
    parser.add_argument("--clock-checked", action="store_true")
    parser.add_argument("--log-level", default="INFO")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error.explain()}\n")
        return EXIT_USAGE
    return serve(
        config,
        recover_lock=options.recover_lock,
        clock_checked=options.clock_checked,
        log_level=options.log_level,
    )


if __name__ == "__main__":
    sys.exit(main())
