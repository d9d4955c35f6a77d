"""Headers and seals: published hashes, every fork's number of fields, extra data of every kind.

The first vector is that of the QBFT interoperability tests (Consensys/qbft-tests, BftBlockHeaderHashTests), which Besu
runs: its header is given by a few numbers and the private keys 1 to 4, so it is made here. Its extra data has the form
of IBFT 2.0. The second is block 7528 of a Besu QBFT network, as a light client's tests have it (besu-qbft-elc).
"""

from __future__ import annotations

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain.header import FIELD_NAMES, Header
from tests.evidence.chain_builder import KEYS, VALIDATORS, Still, number

EMPTY = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
OMMERS = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
BFT = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")

BESU_VALIDATORS = [
    bytes.fromhex(text)
    for text in (
        "647bfdd19655e51e69d35454ff3a92f8828e6302",
        "a5c8416b9d13417b45b45ada76408f39d1e504ef",
        "b92e91f4dcc9d28503be521afa2a8fbf3c1acf60",
        "ee3353e587cfa91625a1adaef308a726de3803d3",
    )
]
BESU_SEALS = [
    bytes.fromhex(r + s + v)
    for r, s, v in (
        (
            "bc7633fd65570f610a595086e9a34e5bf6aacfb67b8f8cd01852e6b285147f04",
            "6a50577b49378b86723ac9b456ef59ef7ab57cda7139d807f10f58e8cb10c676",
            "00",
        ),
        (
            "ad1defc2b0b4a48158cff24778bb5ba4d9f373c171022ab0a42e37bdb0d40257",
            "18434d303a8d94df56ef9ad5219be9f27b2f67179a7fb82d3323dde29546f9f7",
            "01",
        ),
        (
            "e233d3670dd97c715f72b440eeb1ccb1e22c8c23f6ab470c46c99c2d0ee6509f",
            "0341a42e0e4569782557e93c3815e8ca4294043595f69a90f73f135de8ecf41e",
            "00",
        ),
    )
]


def published_fields(extra: bytes) -> list[bytes]:
    parent = bytes.fromhex("a7762d3307dbf2ae6a1ae1b09cf61c7603722b2379731b6b90409cdb8c8288a0")
    state = bytes.fromhex("ca07595b82f908822971b7e848398e3395e59ee52565c7ef3603df1a1fa7bc80")
    numbers = [number(1), number(1), number(4_704_588), b"", number(1_530_674_616)]
    return [parent, OMMERS, bytes(20), state, EMPTY, EMPTY, bytes(256), *numbers, extra, BFT, bytes(8)]


def test_the_published_header_has_its_published_hashes_and_signers():
    vanity = bytes(range(32))
    listed = [number(1).rjust(20, b"\0"), number(2).rjust(20, b"\0")]
    unsealed = [vanity, listed, [number(3).rjust(20, b"\0"), b"\xff"], (0xFEDCBA).to_bytes(4, "big")]
    signed = "b1d26d018658f2556a2c3f0080596055cb0d05bcab91397f8ae8f01ea831559c"
    seals = [key.sign_msg_hash(bytes.fromhex(signed)).to_bytes() for key in KEYS]
    assert seals[0].hex().startswith("2d98a30d2844aa05b4fcf3abcd333e195d4ad365726a7b9a5bc19744dcec0ad4")
    header = Header.decode(rlp.encode(published_fields(rlp.encode([*unsealed, seals]))))
    sealed = header.sealed
    assert sealed is not None
    assert sealed.engine == "ibft2"
    assert sealed.signed.hex() == signed
    assert sealed.block_hash.hex() == "8d8736980278155e486cf0543c0a53cd3a3c961c3b976c6a4ac7dc5310dad88d"
    assert sealed.signers() == list(VALIDATORS)
    assert (sealed.round, sealed.validators, header.number, header.time) == (0xFEDCBA, tuple(listed), 1, 1_530_674_616)


def besu_block() -> list[bytes]:
    state = bytes.fromhex("166ed98eea93ab2b6f6b1a425526994adc2d675bf9a0d77d600ed1e02d8f77df")
    parent = bytes.fromhex("0af93e70b1c6d3974a88a42eb70bb61adbd523bfac0c83027ba4637c52746a0f")
    numbers = [number(1), number(7528), number(0x47B760), b"", number(1_715_495_307)]
    extra = rlp.encode([bytes(32), BESU_VALIDATORS, [], b"\1", BESU_SEALS])
    proposer = BESU_VALIDATORS[3]
    return [parent, OMMERS, proposer, state, EMPTY, EMPTY, bytes(256), *numbers, extra, BFT, bytes(8)]


def test_a_block_of_a_besu_network_was_sealed_by_three_of_its_four_validators():
    sealed = Header.decode(rlp.encode(besu_block())).sealed
    assert sealed is not None
    assert (sealed.engine, sealed.round) == ("qbft", 1)
    assert sealed.signed.hex() == "75ea184f58cd3f0ef89032a069df01f07ec524ef3a85cf6d3e424d62130c0a32"
    assert len(set(sealed.signers()) & set(BESU_VALIDATORS)) == 3


def test_another_round_is_another_block_to_sign_but_the_same_block_on_the_chain():
    one, two = (Header.decode(Still.anchored().seal_qbft(turn=turn).header()).sealed for turn in (0, 5))
    assert one is not None
    assert two is not None
    assert one.signed != two.signed
    assert one.block_hash == two.block_hash


@pytest.mark.parametrize("count", range(15, 22))
def test_headers_of_every_fork_are_read(count):
    raw = Still(fields=count).header()
    header = Header.decode(raw)
    assert (header.number, header.time, header.plain_hash) == (42, 2_000, keccak(raw))
    assert header.hashes == (keccak(raw),)
    assert len(FIELD_NAMES) == 21


@pytest.mark.parametrize("place", range(21))
def test_a_field_of_another_form_is_refused(place):
    for wrong in ([], bytes(300), b"\0" * 33, b"\0"):
        fields = Still().header_fields()
        if place == 12 and wrong != []:
            continue  # extra data may be anything
        fields[place] = wrong
        with pytest.raises(MalformedError):
            Header.decode(rlp.encode(fields))


def test_too_few_or_too_many_fields_are_refused():
    fields = Still().header_fields()
    for wrong in (fields[:14], [*fields, b""], []):
        with pytest.raises(MalformedError):
            Header.decode(rlp.encode(wrong))
    with pytest.raises(MalformedError):
        Header.decode(rlp.encode(b"header"))


def test_numbers_beyond_63_bits_are_refused():
    for place in (8, 11):
        fields = Still().header_fields()
        fields[place] = number(2**63)
        with pytest.raises(MalformedError):
            Header.decode(rlp.encode(fields))


def test_the_extra_data_of_a_genesis_block_holds_no_seals():
    still = Still.anchored()
    still.number = 0
    assert Header.decode(still.seal_qbft().header()).sealed is None


@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=20))
def test_any_extra_data_is_read_or_left_alone(extra):
    fields = published_fields(rlp.encode(extra))
    header = Header.decode(rlp.encode(fields))
    assert header.plain_hash == keccak(rlp.encode(fields))
    if header.sealed is not None:
        header.sealed.signers()


@given(st.binary(max_size=600))
def test_any_bytes_are_a_header_or_refused(raw):
    with pytest.raises(MalformedError):
        Header.decode(raw)


def test_seals_that_nobody_made_are_nobodys():
    nonsense = [bytes(65), b"\xff" * 65, bytes(64) + b"\2"]
    sealed = Header.decode(Still.anchored().seal_qbft(KEYS[:2], extra_seals=nonsense).header()).sealed
    assert sealed is not None
    assert set(sealed.signers()) >= set(VALIDATORS[:2])
    assert len(sealed.signers()) == 2


def test_a_seal_made_twice_counts_once():
    sealed = Header.decode(Still.anchored().seal_qbft([KEYS[0]] * 4).header()).sealed
    assert sealed is not None
    assert sealed.signers() == [VALIDATORS[0]]
