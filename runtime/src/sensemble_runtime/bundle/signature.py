"""Signatures of bundles: Ed25519 over the bytes of `manifest.json`, which holds every other file's SHA-256.

The signature is a file of 64 raw bytes next to the manifest, as `openssl pkeyutl -sign -rawin` makes it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sensemble_sensors.lines import opened

from sensemble_runtime.errors import BundleUntrustedError, KeyFileError

if TYPE_CHECKING:  # 4 MB that only signing and checking need
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FILE_NAME = "manifest.json.sig"
_LARGEST_KEY = 1 << 16  # bytes, far above a key in PEM


def sign(data: bytes, key: Path) -> bytes:
    """Return the signature of `data`, 64 bytes, by the private key in the PEM file `key`."""
    return _private(key).sign(data)


def check(data: bytes, manifest: Path, key: Path) -> None:
    """Check a manifest's signature by the public key in a PEM file; BundleUntrustedError if it is bad."""
    from cryptography.exceptions import InvalidSignature

    public = _public(key)
    path = manifest.with_name(FILE_NAME)
    try:
        with opened(path) as file:
            signature = file.read(_LARGEST_KEY)
    except OSError as error:
        raise BundleUntrustedError(
            f"{path}: cannot be read ({error}), so the origin of the bundle is unknown; "
            "have its maker sign it (`sensemble bundle sign`)"
        ) from error
    try:
        public.verify(signature, data)
    except InvalidSignature as error:
        raise BundleUntrustedError(
            f"{path}: not a signature of this manifest by {key}; do not run the bundle, ask its maker for it"
        ) from error


def _private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise KeyFileError(
            f"{path}: not a private key in PEM without a password; "
            f"`openssl genpkey -algorithm ed25519 -out {path.name}` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key


def _public(path: Path) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"{path}: not a public key in PEM; `openssl pkey -in KEY -pubout -out {path.name}` makes one"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; ask the bundle's maker for the right one")
    return key


def _read(path: Path) -> bytes:
    try:
        with opened(path) as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error}); name the PEM file of a key") from error
