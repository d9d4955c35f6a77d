"""An external signer: what it signs is used, whatever else it does is refused by name and in time."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.crypto import secp256k1
from ledger.errors import LedgerError, MalformedError, RefusedStartError
from node.anchor.status import WorkerState
from node.chain.protocol import SignerUnavailableError
from node.chain.signer import KEYS_LIMIT, SIGNATURE_LIMIT, ExternalSigner, address_of
from tests.chain.signer_server import Fault, SignerServer, dripping, hanging, name_of, saying, twin
from tests.chain_world import World
from tests.tls import server_certificate
from tests.waiting import wait_until

KEY = secp256k1.SUITE.from_secret(bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"))
OTHER = secp256k1.SUITE.from_secret(bytes(31) + b"\7")
PAYLOAD = b"\x19\x01" + bytes(64)
GOOD = KEY.sign_keccak(PAYLOAD)


@pytest.fixture
def server() -> Iterator[SignerServer]:
    with SignerServer(OTHER, KEY) as made:
        yield made


def signer_of(server: SignerServer, account: str = KEY.address, **changes: float) -> ExternalSigner:
    return ExternalSigner(server.url, account, **{"timeout": 5.0, **changes})  # type: ignore[arg-type]


def text(signature: bytes) -> bytes:
    return b"0x" + signature.hex().encode()


@pytest.mark.parametrize(
    "account",
    [
        KEY.address,
        KEY.address.lower(),
        name_of(KEY),
        name_of(KEY).removeprefix("0x").upper(),
        "0x04" + name_of(KEY)[2:],
        KEY.public_key.hex(),
    ],
)
def test_every_spelling_of_an_account_finds_its_key(server: SignerServer, account: str) -> None:
    signer = signer_of(server, account)
    assert signer.address == KEY.address
    signer.check()
    assert signer.sign_keccak(PAYLOAD) == GOOD
    assert server.signed == [PAYLOAD]


@pytest.mark.parametrize(
    "account", ["", "0x", "0x12", KEY.address + "00", "0x04" + "00" * 64, "g" * 40, "0x" + "٣" * 40]
)
def test_what_names_no_account_is_refused(account: str) -> None:
    with pytest.raises(MalformedError, match="neither an address nor a public key"):
        address_of(account)


@pytest.mark.parametrize(
    "content",
    [
        text(GOOD),
        text(GOOD).upper().replace(b"0X", b"0x"),
        b'"' + text(GOOD) + b'"',
        text(GOOD) + b"\r\n",
        text(GOOD[:64] + bytes([GOOD[64] - 27])),
        text(twin(GOOD)),
    ],
)
def test_every_form_of_a_good_signature_is_brought_into_one(server: SignerServer, content: bytes) -> None:
    server.fault = saying(content)
    assert signer_of(server).sign_keccak(PAYLOAD) == GOOD


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (saying(text(OTHER.sign_keccak(PAYLOAD))), "not of the account"),
        (saying(text(KEY.sign_keccak(b"something else"))), "not of the account"),
        (saying(text(GOOD[:64] + bytes([55 - GOOD[64]]))), "not of the account"),
        (saying(text(bytes(64) + b"\x1b")), "that no key made"),
        (saying(text(b"\xff" * 64 + b"\x1b")), "that no key made"),
        (saying(text(GOOD[:64] + b"\x25")), "with v 37"),
        (saying(text(GOOD[:64])), "no signature of 65 bytes"),
        (saying(text(GOOD) + b"00"), "no signature of 65 bytes"),
        (saying(GOOD), "no signature of 65 bytes"),
        (saying(b'"' + text(GOOD)), "no signature of 65 bytes"),
        (saying(b'{"signature": "0x00"}'), "no signature of 65 bytes"),
        (saying(b""), "no signature of 65 bytes"),
        (saying(b"\xff\xfe\0"), "no signature of 65 bytes"),
        (saying(b" " * SIGNATURE_LIMIT + text(GOOD)), "too long"),
        (saying(b"0" * (1 << 22)), "too long"),
        (saying(gzip.compress(text(GOOD)), Content_Encoding="gzip"), "compressed"),
        (saying(b"", 404), "holds no key"),
        (saying(b"", 400), "HTTP 400"),
        (saying(b"", 500), "HTTP 500"),
        (saying(b"", 302, Location="/upcheck"), "HTTP 302"),
        (lambda handler: handler.wfile.write(b"no HTTP at all\r\n\r\n"), "does not answer"),
    ],
)
def test_what_is_no_good_signature_is_refused_and_the_next_one_taken(
    server: SignerServer, fault: Fault, words: str
) -> None:
    signer = signer_of(server)
    server.fault = fault
    with pytest.raises(SignerUnavailableError, match=words) as refusal:
        signer.sign_keccak(PAYLOAD)
    assert refusal.value.where == server.url
    server.fault = None
    assert signer.sign_keccak(PAYLOAD) == GOOD


@pytest.mark.parametrize("fault", [hanging, dripping])
def test_a_signer_that_takes_its_time_is_given_up(server: SignerServer, fault: Fault) -> None:
    signer = signer_of(server, timeout=0.4)
    for where in ("lists", "fault"):
        server.fault = server.lists = None
        setattr(server, where, fault)
        begin = time.monotonic()
        with pytest.raises(SignerUnavailableError, match="does not answer"):
            signer.sign_keccak(PAYLOAD)
        assert time.monotonic() - begin < 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=150))
def test_no_bytes_end_otherwise_than_by_name(server: SignerServer, content: bytes) -> None:
    server.fault = saying(content)
    with pytest.raises(SignerUnavailableError):
        signer_of(server).sign_keccak(PAYLOAD)
    server.fault, server.lists = None, saying(content)
    try:
        signer_of(server).check()
    except (SignerUnavailableError, RefusedStartError):
        return


def test_an_account_that_the_signer_does_not_hold_is_told_apart_from_a_signer_that_is_down(
    server: SignerServer,
) -> None:
    signer = signer_of(server)
    server.keys.remove(KEY)
    with pytest.raises(RefusedStartError, match="holds no key of the account"):
        signer.check()
    with pytest.raises(SignerUnavailableError, match="holds no key of the account"):
        signer.sign_keccak(PAYLOAD)
    server.keys.append(KEY)
    signer.check()
    server.kill()
    with pytest.raises(SignerUnavailableError, match="does not answer"):
        signer.check()


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{}", 200), (b"nonsense", 200), (b"[" * 100_000, 200), (b" " * KEYS_LIMIT + b"[]", 200), (b"[]", 503)],
)
def test_a_list_that_is_none_is_refused(server: SignerServer, content: bytes, status: int) -> None:
    server.lists = saying(content, status)
    with pytest.raises(SignerUnavailableError):
        signer_of(server).check()


def test_odd_names_in_the_list_are_passed_over(server: SignerServer) -> None:
    odd = b'[null, 7, "", "0x", "../../reload", "0x04' + b"00" * 64 + b'", "' + name_of(KEY).encode() + b'"]'
    server.lists = saying(odd)
    assert signer_of(server).sign_keccak(PAYLOAD) == GOOD


def test_without_a_list_the_account_is_asked_for_as_it_is_configured(server: SignerServer) -> None:
    server.lists = saying(b"", 404)
    assert signer_of(server, name_of(KEY)).sign_keccak(PAYLOAD) == GOOD
    with pytest.raises(SignerUnavailableError, match="holds no key"):
        signer_of(server, KEY.address).sign_keccak(PAYLOAD)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://signer.example:9000", "Plain http"),
        ("http://10.0.0.5:9000", "Plain http"),
        ("http://127.0.0.1.example:9000", "Plain http"),
        ("http://me:secret@127.0.0.1:9000", "A secret does not belong"),
        ("ftp://127.0.0.1", "no address of a signer"),
        ("http://127.0.0.1:99999999", "no address of a signer"),
        ("http://[::1", "no address of a signer"),
        ("https://a..b", "no address of a signer"),
        ("http://127.0.0.1/?x=1", "no address of a signer"),
        ("nonsense", "no address of a signer"),
        ("", "no address of a signer"),
    ],
)
def test_an_address_that_must_not_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(MalformedError, match=words) as refusal:
        ExternalSigner(url, KEY.address)
    assert "secret@" not in refusal.value.explain()


def test_https_may_lead_anywhere_and_loopback_be_plain() -> None:
    for url in ("https://signer.example/base", "http://127.9.9.9:1", "http://[::1]:9000", "http://localhost:9000"):
        assert ExternalSigner(url, KEY.address).address == KEY.address


def test_a_bearer_token_is_sent_and_never_told(server: SignerServer) -> None:
    server.token = "a-long-secret-token"
    with pytest.raises(SignerUnavailableError, match="HTTP 401") as refusal:
        ExternalSigner(server.url, KEY.address, token="another-secret").sign_keccak(PAYLOAD)
    assert "secret" not in refusal.value.explain()
    assert ExternalSigner(server.url, KEY.address, token=server.token).sign_keccak(PAYLOAD) == GOOD
    with pytest.raises(MalformedError):
        ExternalSigner(server.url, KEY.address, token="a\r\nb")


def test_tls_is_checked_against_the_authority_that_is_configured(tmp_path: Path) -> None:
    context, authority = server_certificate(tmp_path)
    with SignerServer(KEY, tls=context) as server:
        assert ExternalSigner(server.url, KEY.address, authority=authority).sign_keccak(PAYLOAD) == GOOD
        with pytest.raises(SignerUnavailableError, match="certificate"):
            ExternalSigner(server.url, KEY.address, timeout=2).sign_keccak(PAYLOAD)
    for unusable in (tmp_path / "absent.pem", Path(__file__)):
        with pytest.raises(MalformedError):
            ExternalSigner("https://127.0.0.1:1", KEY.address, authority=unusable)


# --- on a real chain ---------------------------------------------------------------------------------------------


def in_state(of: Callable[[], WorkerState], state: WorkerState) -> None:
    wait_until(lambda: of() is state)


def test_both_keys_in_the_signer_anchor_on_a_real_chain(world: World) -> None:
    with SignerServer(world.sender, world.authoriser) as server:
        chain = world.backend(sender=signer_of(server, world.sender.address))
        worker = world.running(chain=chain, authoriser=signer_of(server, world.authoriser.address))
        roots = {size: world.log.publish(size).root for size in (3, 8)}
        for size, root in roots.items():
            world.log.publish(size)
            assert worker.anchor_now(20).root == root
        payloads = [chain.authorisation_payload(world.log.id, size, root) for size, root in roots.items()]
        assert server.signed[::2] == payloads
        assert [sent[0] for sent in server.signed[1::2]] == [2, 2]  # the transactions, of type 2


@pytest.mark.parametrize("fault", [hanging, saying(b"", 500), saying(text(GOOD)), None])
@pytest.mark.parametrize("role", ["sender", "authoriser"])
def test_a_signer_that_fails_holds_anchoring_up_and_nothing_more(world: World, fault: Fault | None, role: str) -> None:
    with SignerServer(world.sender, world.authoriser) as server:
        account = signer_of(server, getattr(world, role).address, timeout=0.3)
        if role == "sender":
            worker = world.worker(chain=world.backend(sender=account))
        else:
            worker = world.worker(authoriser=account)
        world.log.publish(4)
        server.fault = fault
        if fault is None:
            server.kill()
        worker.start()
        in_state(lambda: worker.status().state, WorkerState.SIGNER_DOWN)
        assert "the external signer" in worker.status().last_error
        assert worker.status().sent_total == 0
        server.fault = None
        if fault is None:
            server.revive()
        assert worker.anchor_now(20).size == 4


def test_an_account_that_the_contract_does_not_know_is_refused_by_it(world: World) -> None:
    with SignerServer(OTHER) as server:
        worker = world.running(authoriser=signer_of(server, OTHER.address))
        world.log.publish(4)
        with pytest.raises(LedgerError, match="the contract wants the authorisation of"):
            worker.anchor_now(10)
        assert server.signed == []
