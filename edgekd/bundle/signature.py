"""Who vouches for a bundle: an Ed25519 signature (RFC 8032) over its manifest's digest.

signature.json stands beside the files and is named by none of them. The digest it signs covers the
manifest, and the manifest every other byte; its own digest catches a changed byte where nobody can
check the signature. Keys are the PEM files of any tool: ``openssl genpkey -algorithm ed25519``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field
from pydantic import ValidationError

from edgekd import files
from edgekd.bundle import manifest as manifests
from edgekd.bundle.manifest import CheckResult
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "edgekd.signature/1"
MISSING = "cryptography is not installed: pip install 'edgekd[sign]'"
LARGEST_KEY_BYTES = 2**14


class BundleSignature(Settings):
    """signature.json."""

    format: Literal["edgekd.signature/1"]
    algorithm: Literal["ed25519"]
    manifest: manifests.Digest
    """The digest the manifest gives of itself."""
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The 32 bytes of RFC 8032, hexadecimal."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    """Over `signed_message`, hexadecimal."""
    digest: manifests.Digest
    """SHA-256 of the canonical JSON of all the rest."""


def signed_message(manifest_digest: str) -> bytes:
    """Return what is signed: the digest, and what it is a digest of."""
    return f"{FORMAT}\n{manifest_digest}\n".encode()


def fingerprint(public_key: str) -> str:
    """A key's short name: the first 128 bits of its SHA-256."""
    return f"ed25519:{files.digest_bytes(bytes.fromhex(public_key))[:32]}"


def sign(manifest_digest: str, key: Path, password: str | None) -> bytes:
    """The bytes of signature.json.

    Args:
        manifest_digest: of the bundle.
        key: private key, PEM.
        password: of the key; None if it is not encrypted.

    Raises:
        InputError: if `key` holds no Ed25519 private key, or `password` does not open it.
        MachineError: if the package `cryptography` is missing.
    """
    private = _private(key, password)
    value: dict[str, Any] = {
        "format": FORMAT,
        "algorithm": "ed25519",
        "manifest": manifest_digest,
        "public_key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(signed_message(manifest_digest)).hex(),
    }
    digest = files.digest_bytes(files.canonical_json(value))
    return files.pretty_json({**value, "digest": digest})


def check_signature(folder: Path, manifest_digest: str, key: Path | None) -> CheckResult | None:
    """Return what the signature of the bundle in `folder` is worth; None if none is there and none asked.

    Args:
        folder: the bundle.
        manifest_digest: of the bundle.
        key: the public key that must have signed it, PEM; None asks for none.

    Raises:
        InputError: if `key` holds no Ed25519 public key.
        MachineError: if the package `cryptography` is missing and `key` is given.
    """
    wanted = None if key is None else _public(key).public_bytes_raw().hex()
    path = folder / manifests.SIGNATURE
    if not path.is_symlink() and not path.exists():
        return None if wanted is None else _failed(f"is missing, want {fingerprint(wanted)}")
    try:
        found = read_signature(path)
    except InputError as error:
        return _failed(str(error).removeprefix(f"{path}: "))
    if found.manifest != manifest_digest:
        return _failed("is of another bundle")
    if wanted is not None and found.public_key != wanted:
        return _failed(f"is by {fingerprint(found.public_key)}, want {fingerprint(wanted)}")
    return _judged(found, asked=wanted is not None)


def require_signature(folder: Path, manifest_digest: str, key: Path | None) -> None:
    """Hold the bundle in `folder` to the signature of `key`, if one is given.

    Raises:
        InputError: if `key` holds no Ed25519 public key.
        BudgetMissed: if it was not signed with it.
        MachineError: if the package `cryptography` is missing.
    """
    made = None if key is None else check_signature(folder, manifest_digest, key)
    if made is None:
        return
    if made.verdict == "not checked":
        raise MachineError(f"{folder / manifests.SIGNATURE}: {made.text}")
    if made.verdict == "failed":
        raise BudgetMissed(f"{folder / manifests.SIGNATURE}: {made.text}")


def read_signature(path: Path) -> BundleSignature:
    """A signature whose own digest fits and whose spelling is ours.

    Raises:
        InputError: if it is none.
    """
    manifests.require_plain_files(path)
    value = files.read_json(path, limit_bytes=2**14)
    try:
        found = BundleSignature.model_validate_json(files.canonical_json(value))
    except ValidationError as error:
        raise InputError(f"{path}: {error.errors()[0]['msg']}, want {FORMAT}") from error
    rest = {name: field for name, field in value.items() if name != "digest"}
    fits = files.digest_bytes(files.canonical_json(rest)) == found.digest
    if not fits or path.read_bytes() != files.pretty_json({**rest, "digest": found.digest}):
        raise InputError(f"{path}: has changed since it was written")
    return found


def _judged(found: BundleSignature, *, asked: bool) -> CheckResult:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        text = f"signed by {fingerprint(found.public_key)}, not checked: {MISSING}"
        return CheckResult(manifests.SIGNATURE, "not checked", text)
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.public_key))
    try:
        public.verify(bytes.fromhex(found.signature), signed_message(found.manifest))
    except InvalidSignature:
        return _failed(f"does not fit the key it names, {fingerprint(found.public_key)}")
    if asked:
        return CheckResult(manifests.SIGNATURE, "ok", f"signed by {fingerprint(found.public_key)}")
    text = f"signed by {fingerprint(found.public_key)}, not checked: no key was given"
    return CheckResult(manifests.SIGNATURE, "not checked", text)


def _failed(text: str) -> CheckResult:
    return CheckResult(manifests.SIGNATURE, "failed", text)


def _private(path: Path, password: str | None) -> Ed25519PrivateKey:
    from edgekd.errors import EdgekdError

    data = _pem(path)
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise MachineError(MISSING) from error
    try:
        key = load_pem_private_key(data, None if password is None else password.encode())
    except Exception as error:  # its parsers and back ends share no base
        reason = EdgekdError(str(error).split(".")[0]).line()
        raise InputError(f"{path}: got no private key that opens: {reason}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: got {type(key).__name__.strip('_')}, want an Ed25519 key")
    return key


def _public(path: Path) -> Ed25519PublicKey:
    data = _pem(path)
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise MachineError(MISSING) from error
    try:
        key = load_pem_public_key(data)
    except Exception as error:  # as above
        raise InputError(f"{path}: got no public key, want one in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: got {type(key).__name__.strip('_')}, want an Ed25519 key")
    return key


def _pem(path: Path) -> bytes:
    with files.open_regular(path) as file:
        data: bytes = file.read(LARGEST_KEY_BYTES + 1)
    if len(data) > LARGEST_KEY_BYTES:
        raise InputError(f"{path}: got more than {LARGEST_KEY_BYTES} bytes, want a key in PEM")
    return data
