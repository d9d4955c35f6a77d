"""Key files: what is saved comes back, to its owner and with its passphrase only."""

from __future__ import annotations

import json
import os
import stat

import pytest

from ledger.crypto import keyfile
from ledger.crypto.suites import SUITES
from ledger.errors import KeyFileError

PASSPHRASE = "spring tide, copper wire"
SIGNER = SUITES["ed25519"].from_secret(b"\x07" * 32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("keys") / "registrar.key"
    keyfile.save(path, SIGNER, PASSPHRASE)
    return path.read_bytes()


@pytest.fixture
def write(tmp_path):
    def write(content: bytes, mode: int = 0o600):
        path = tmp_path / "copy.key"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


def refusal(call, *arguments) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize("name", list(SUITES))
def test_a_key_of_every_suite_comes_back(tmp_path, name):
    signer = SUITES[name].generate()
    path = tmp_path / "owner.key"
    keyfile.save(path, signer, PASSPHRASE)
    assert keyfile.load(path, PASSPHRASE) == signer
    described = keyfile.describe(path)
    assert (described.suite, described.public_key, described.kid) == (name, signer.public_key, signer.kid)


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_a_key_file_is_for_its_owner_only_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        keyfile.save(tmp_path / "a.key", SIGNER, PASSPHRASE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_the_secret_is_not_in_the_file(saved):
    assert SIGNER.secret not in saved
    assert SIGNER.secret.hex().encode() not in saved
    assert SIGNER.public_key.hex().encode() in saved


def test_a_wrong_passphrase_is_refused_with_a_remedy(saved, write):
    refused = refusal(keyfile.load, write(saved), PASSPHRASE + "!")
    assert refused.code == "key-file"
    assert "passphrase" in refused.detail
    assert refused.remedy


def test_an_empty_passphrase_is_refused_before_anything_is_written(tmp_path):
    assert refusal(keyfile.save, tmp_path / "a.key", SIGNER, "").remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("passphrase", ["", "\udcff", "x" * 1025])
def test_a_passphrase_that_cannot_be_one_is_refused(saved, write, passphrase):
    assert refusal(keyfile.load, write(saved), passphrase).where == "passphrase"


def test_a_passphrase_may_be_typed_composed_or_decomposed(tmp_path):
    keyfile.save(tmp_path / "a.key", SIGNER, "caf\u00e9")
    assert keyfile.load(tmp_path / "a.key", "cafe\u0301") == SIGNER


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_file_that_others_may_use_is_refused(saved, write, mode):
    refused = refusal(keyfile.load, write(saved, mode), PASSPHRASE)
    assert "chmod 600" in refused.remedy


def test_an_existing_file_is_never_overwritten(write):
    path = write(b"something dear")
    refusal(keyfile.save, path, SIGNER, PASSPHRASE)
    assert path.read_bytes() == b"something dear"


def test_a_link_does_not_lead_a_new_key_elsewhere(tmp_path):
    (tmp_path / "link.key").symlink_to(tmp_path / "target")
    refusal(keyfile.save, tmp_path / "link.key", SIGNER, PASSPHRASE)
    assert not (tmp_path / "target").exists()


def test_a_missing_file_a_folder_and_a_pipe_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for path in (tmp_path / "absent", tmp_path / "pipe", tmp_path / "folder"):
        assert refusal(keyfile.load, path, PASSPHRASE).remedy
    refusal(keyfile.save, tmp_path / "no" / "such" / "folder", SIGNER, PASSPHRASE)


def altered(saved: bytes, *place: str, value: object) -> bytes:
    content = json.loads(saved)
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "tial-key-v2"),
        (("format",), None),
        (("extra",), "member"),
        (("suite",), 1),
        (("kid",), "00" * 32),
        (("public_key",), "00" * 32),
        (("nonce",), "00"),
        (("box",), ""),
        (("box",), "0G"),
        (("kdf",), []),
        (("kdf", "name"), "scrypt"),
        (("kdf", "operations"), 0),
        (("kdf", "operations"), 17),
        (("kdf", "operations"), True),
        (("kdf", "operations"), "3"),
        (("kdf", "memory"), 1 << 40),
        (("kdf", "memory"), 8192),
        (("kdf", "salt"), "AB" * 16),
    ],
)
def test_a_bent_header_is_refused_without_stretching_the_passphrase(saved, write, place, value):
    refused = refusal(keyfile.describe, write(altered(saved, *place, value=value)))
    assert "not an intact key file" in refused.detail


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b'{"format":"a","format":"b"}', b"\xff", b" " * 5000, b"[" * 4000]
)
def test_bytes_that_are_no_key_file_are_refused(write, content):
    refusal(keyfile.describe, write(content))


def test_a_box_that_was_altered_is_refused(saved, write):
    box = bytearray.fromhex(json.loads(saved)["box"])
    for bent in (bytes([box[0] ^ 1]) + box[1:], bytes(box[:-1]), bytes(box[:10])):
        refusal(keyfile.load, write(altered(saved, "box", value=bent.hex())), PASSPHRASE)


def test_a_file_that_claims_another_key_or_suite_is_refused(saved, write):
    other = SUITES["ed25519"].from_secret(b"\x08" * 32)
    claimed = altered(altered(saved, "public_key", value=other.public_key.hex()), "kid", value=other.kid.hex())
    for content in (claimed, altered(saved, "suite", value="es256"), altered(saved, "suite", value="rsa")):
        refusal(keyfile.load, write(content), PASSPHRASE)


def test_two_files_of_one_key_share_neither_salt_nor_nonce(saved, tmp_path):
    keyfile.save(tmp_path / "a.key", SIGNER, PASSPHRASE)
    one, other = json.loads(saved), json.loads((tmp_path / "a.key").read_bytes())
    assert one["kdf"]["salt"] != other["kdf"]["salt"]
    assert one["nonce"] != other["nonce"]
    assert one["box"] != other["box"]
