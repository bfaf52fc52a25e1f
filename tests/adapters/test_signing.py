import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.adapters.signing import Signer, keep, read_keys, rotate, signed, signer_of
from gateway.core.errors import JournalUnavailable


def test_the_first_start_makes_a_private_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    signer = signer_of(tmp_path)
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "signing.pub").read_bytes() == signer.public
    assert (tmp_path / "keys" / f"{signer.key_id}.pub").read_bytes() == signer.public
    assert signer_of(tmp_path).key_id == signer.key_id
    assert {path.name for path in tmp_path.iterdir()} == {"signing.key", "signing.pub", "keys"}


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from gateway.adapters.signing import signer_of
sys.stdin.readline()
print(signer_of(Path({str(tmp_path)!r})).key_id)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    names = {process.communicate(timeout=60)[0].strip() for process in started}
    assert names == {signer_of(tmp_path).key_id}


def test_a_signature_is_that_of_its_content_and_key_alone(tmp_path: Path) -> None:
    signer = signer_of(tmp_path)
    keys = read_keys(tmp_path)
    signature = signer.sign(b"content")
    assert signed(keys, signer.key_id, signature, b"content")
    assert not signed(keys, signer.key_id, signature, b"Content")
    assert not signed(keys, "of somebody else", signature, b"content")
    assert not signed(keys, signer.key_id, Signer(Ed25519PrivateKey.generate()).sign(b"content"), b"content")


def test_a_rotated_key_leaves_its_public_half(tmp_path: Path) -> None:
    old = signer_of(tmp_path)
    new = rotate(tmp_path)
    assert new.key_id != old.key_id
    assert signer_of(tmp_path).key_id == new.key_id
    assert (tmp_path / "signing.pub").read_bytes() == new.public
    assert read_keys(tmp_path).keys() == {old.key_id, new.key_id}
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600


def test_a_key_given_from_elsewhere_makes_none_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journal").mkdir()
    given = signer_of(tmp_path / "elsewhere")
    used = signer_of(tmp_path / "journal", Signer.read(tmp_path / "elsewhere" / "signing.key"))
    assert used.key_id == given.key_id
    assert not (tmp_path / "journal" / "signing.key").exists()
    assert read_keys(tmp_path / "journal").keys() == {given.key_id}
    assert read_keys(tmp_path / "elsewhere" / "signing.pub").keys() == {given.key_id}


def test_keeping_a_key_twice_changes_nothing(tmp_path: Path) -> None:
    signer = signer_of(tmp_path)
    before = (tmp_path / "signing.pub").stat()
    keep(tmp_path, signer)
    assert (tmp_path / "signing.pub").stat().st_ino == before.st_ino


def test_what_is_no_key_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.write_text("nonsense")
    with pytest.raises(JournalUnavailable, match=f"signing key {path}"):
        signer_of(tmp_path)
    rsa = generate_private_key(65537, 2048)
    path.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(JournalUnavailable, match="it is no Ed25519 key; `openssl genpkey"):
        signer_of(tmp_path)
    with pytest.raises(JournalUnavailable, match="absent"):
        Signer.read(tmp_path / "absent")
    (tmp_path / "odd.pub").write_text("nonsense")
    with pytest.raises(JournalUnavailable, match=r"public key .*odd\.pub"):
        read_keys(tmp_path)
