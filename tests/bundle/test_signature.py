from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgekd import bundle
from edgekd import files
from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.bundle import signature
from edgekd.bundle.manifest import CheckResult
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bundle_example

MESSAGE = signature.signed_message("ab" * 32)


def write_keys(folder: Path, seed: int = 1, password: bytes | None = None) -> tuple[Path, Path]:
    """A private and a public key, PEM; the same for the same seed."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    locked = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    paths = folder / f"{seed}.pem", folder / f"{seed}.pub.pem"
    paths[0].write_bytes(
        private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, locked),
    )
    paths[1].write_bytes(
        private.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    return paths


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, str, Path]:
    """A signed bundle, its manifest's digest, and the public key."""
    private, public = write_keys(tmp_path)
    folder = bundle_example.make(tmp_path)
    digest = bundle.load_bundle(folder).manifest.digest
    (folder / manifests.SIGNATURE).write_bytes(signature.sign(digest, private, None))
    return folder, digest, public


def check(folder: Path, digest: str, key: Path | None) -> CheckResult:
    found = signature.check_signature(folder, digest, key)
    assert found is not None and found.what == "signature.json"
    return found


def test_the_right_key_vouches(signed: tuple[Path, str, Path]) -> None:
    found = check(*signed)
    assert found.verdict == "ok" and found.text.startswith("signed by ed25519:")


def test_without_a_key_it_is_told_who_signed_and_that_nobody_looked(
    signed: tuple[Path, str, Path],
) -> None:
    folder, digest, _ = signed
    found = check(folder, digest, None)
    assert found.verdict == "not checked"
    assert found.text.startswith("signed by ed25519:") and ", not checked" in found.text


def test_another_key_and_a_missing_signature_fail(
    signed: tuple[Path, str, Path], tmp_path: Path
) -> None:
    folder, digest, public = signed
    _, other = write_keys(tmp_path, seed=2)
    assert check(folder, digest, other).verdict == "failed"
    (folder / manifests.SIGNATURE).unlink()
    assert check(folder, digest, public) == CheckResult(
        "signature.json", "failed", check(folder, digest, public).text
    )
    assert "is missing" in check(folder, digest, public).text
    assert signature.check_signature(folder, digest, None) is None


def test_it_holds_for_one_manifest_only(signed: tuple[Path, str, Path]) -> None:
    folder, digest, public = signed
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    assert "another bundle" in check(folder, other, public).text
    (folder / manifests.SIGNATURE).write_bytes(forged(folder, manifest=other))
    assert check(folder, other, public).verdict == "failed"
    assert check(folder, other, None).verdict == "failed"


def forged(folder: Path, **other: str) -> bytes:
    """The signature with changed fields and a digest that fits."""
    value = {**json.loads((folder / manifests.SIGNATURE).read_bytes()), **other}
    del value["digest"]
    return files.pretty_json({**value, "digest": files.digest_bytes(files.canonical_json(value))})


def test_a_strangers_signature_in_the_right_ones_name_fails(
    signed: tuple[Path, str, Path], tmp_path: Path
) -> None:
    folder, digest, public = signed
    mine = json.loads((folder / manifests.SIGNATURE).read_bytes())["public_key"]
    private, _ = write_keys(tmp_path, seed=2)
    (folder / manifests.SIGNATURE).write_bytes(signature.sign(digest, private, None))
    (folder / manifests.SIGNATURE).write_bytes(forged(folder, public_key=mine))
    found = check(folder, digest, public)
    assert found.verdict == "failed" and "does not fit" in found.text


def test_every_flipped_byte_of_the_signature_is_caught_without_a_key(
    signed: tuple[Path, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, digest, _ = signed
    path = folder / manifests.SIGNATURE
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)  # not even the library
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        assert check(folder, digest, None).verdict == "failed"
    path.write_bytes(whole)
    assert "pip install 'edgekd[sign]'" in check(folder, digest, None).text


def test_the_signature_is_rfc_8032s() -> None:
    """By hand: the key of seed 1, signed and verified by the library's plain calls."""
    private = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    private.public_key().verify(private.sign(MESSAGE), MESSAGE)
    assert MESSAGE == b"edgekd.signature/1\n" + b"ab" * 32 + b"\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_makes_the_keys_and_verifies_the_signature(tmp_path: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem")
    made = json.loads(signature.sign("ab" * 32, tmp_path / "key.pem", None))
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "signature").write_bytes(bytes.fromhex(made["signature"]))
    verify = ("pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin")
    openssl(*verify, "-in", "message", "-sigfile", "signature")


def test_a_key_that_does_not_open_is_wrong_input(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, password=b"secret")
    assert signature.sign("ab" * 32, private, "secret")
    other = tmp_path / "other.pem"
    other.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()
        )
    )
    (tmp_path / "long.pem").write_bytes(b"-" * 2**15)
    (tmp_path / "text.pem").write_text("-----BEGIN PRIVATE KEY-----\n\x1b[31m")
    for key, password in (
        (private, None),
        (private, "wrong"),
        (public, None),
        (other, None),
        (tmp_path / "long.pem", None),
        (tmp_path / "text.pem", None),
        (tmp_path / "nothing.pem", None),
    ):
        with pytest.raises(InputError) as caught:
            signature.sign("ab" * 32, key, password)
        assert str(key) in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(InputError, match="want one in PEM"):
        signature.check_signature(tmp_path, "ab" * 32, private)


def test_a_missing_library_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = write_keys(tmp_path)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    for call in (
        lambda: signature.sign("ab" * 32, private, None),
        lambda: signature.check_signature(tmp_path, "ab" * 32, public),
    ):
        with pytest.raises(MachineError, match=r"pip install 'edgekd\[sign\]'"):
            call()


def test_an_archive_carries_it(signed: tuple[Path, str, Path], tmp_path: Path) -> None:
    folder, digest, public = signed
    archive.pack(folder, tmp_path / "kept.edgekd")
    data = (folder / manifests.SIGNATURE).read_bytes()
    (folder / manifests.SIGNATURE).unlink()
    archive.pack(folder, tmp_path / "given.edgekd", signature=data)
    assert (tmp_path / "kept.edgekd").read_bytes() == (tmp_path / "given.edgekd").read_bytes()
    with archive.open_bundle(tmp_path / "given.edgekd") as inside:
        bundle.load_bundle(inside)
        assert check(inside, digest, public).verdict == "ok"


def test_a_key_file_has_16_kib_at_most(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    for key in (private, public):
        key.write_bytes(key.read_bytes().ljust(2**14, b"\n"))
    made = signature.sign("ab" * 32, private, None)
    (tmp_path / manifests.SIGNATURE).write_bytes(made)
    assert check(tmp_path, "ab" * 32, public).verdict == "ok"
    for key in (private, public):
        key.write_bytes(key.read_bytes() + b"\n")
    with pytest.raises(InputError, match="got more than 16384 bytes, want a key"):
        signature.sign("ab" * 32, private, None)
    with pytest.raises(InputError, match="got more than 16384 bytes, want a key"):
        signature.check_signature(tmp_path, "ab" * 32, public)


def test_a_signature_file_has_16_kib_at_most(signed: tuple[Path, str, Path]) -> None:
    folder, digest, public = signed
    path = folder / manifests.SIGNATURE
    for size, says in ((2**14, "has changed since"), (2**14 + 1, "got more than 16384 bytes")):
        path.write_bytes(path.read_bytes().ljust(size))
        found = check(folder, digest, public)
        assert found.verdict == "failed" and says in found.text


def test_a_link_is_no_signature(signed: tuple[Path, str, Path], tmp_path: Path) -> None:
    folder, digest, public = signed
    path = folder / manifests.SIGNATURE
    path.rename(tmp_path / "elsewhere.json")
    for goal in ("elsewhere.json", "none.json"):
        path.symlink_to(tmp_path / goal)
        for key in (public, None):
            found = check(folder, digest, key)
            assert found.verdict == "failed" and "no regular file" in found.text
        path.unlink()


def test_a_key_that_is_given_must_have_signed(
    signed: tuple[Path, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, digest, public = signed
    _, other = write_keys(tmp_path, seed=2)
    for key in (public, None):
        signature.require_signature(folder, digest, key)
    with pytest.raises(BudgetMissed, match=r"signature\.json: is by ed25519:"):
        signature.require_signature(folder, digest, other)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(MachineError, match=r"signature\.json: signed by .*, not checked"):
        signature.require_signature(folder, digest, public)
    (folder / manifests.SIGNATURE).unlink()
    with pytest.raises(BudgetMissed, match=r"signature\.json: is missing"):
        signature.require_signature(folder, digest, public)
    signature.require_signature(folder, digest, None)
