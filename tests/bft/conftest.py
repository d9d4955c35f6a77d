"""One real network of four validators for all tests of this folder, whole again before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devnet.bft.network import BftNetwork
from devnet.bft.program import BftChainNotFoundError, ask_script, find_program
from tests.bft_world import heal

HERE = Path(__file__).parent
BUILD_SECONDS = 1_500


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(300, func_only=True))  # a first build takes minutes


@pytest.fixture(scope="session")
def program() -> Path:
    """The program bft-chain, built where it can be; else every test is skipped with what is missing."""
    try:
        return find_program()
    except BftChainNotFoundError:
        built, missing = ask_script(timeout=BUILD_SECONDS)
        if not built:
            pytest.skip(f"NO BFT NETWORK IS TESTED: {missing or 'bft-chain cannot be built'}")
        return find_program()


@pytest.fixture(scope="session")
def network(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BftNetwork]:
    made = BftNetwork(tmp_path_factory.mktemp("bft") / "network")
    made.create(block_time="500ms")
    try:
        made.start(timeout=120)
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def _whole(request: pytest.FixtureRequest) -> None:
    """Mend before each test what the one before has broken."""
    if "network" in request.fixturenames:
        heal(request.getfixturevalue("network"))
