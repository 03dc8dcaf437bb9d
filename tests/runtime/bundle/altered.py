"""Changes to a bundle on the disk, and keys to sign it with."""

from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Put other contents in a file, with a manifest that vouches for them, as a wrong export would."""
    old = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    edit(folder, sha256(old).hexdigest(), sha256(data).hexdigest())
    edit(folder, f'"bytes": {len(old)},\n', f'"bytes": {len(data)},\n')


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new key pair; return the files of the private and the public key."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
