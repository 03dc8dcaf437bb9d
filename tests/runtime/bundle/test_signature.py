"""A bundle is code: only the one whose key is trusted may say what runs."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sensemble_runtime.bundle.bundle import Bundle, sign
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.errors import BundleCorruptError, BundleUntrustedError, KeyFileError


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new key pair; return the files of the private and the public key."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_signed_bundle_opens_for_who_trusts_its_key(folder: Path, tmp_path: Path) -> None:
    private, public = pair(tmp_path, "ours")
    assert sign(folder, private) == folder / "manifest.json.sig"
    assert len((folder / "manifest.json.sig").read_bytes()) == 64
    assert Bundle.open(folder, trust=public).modalities == ("audio", "text", "video")
    assert read_manifest(folder / "manifest.json", public) == read_manifest(folder / "manifest.json")
    Bundle.open(folder)


def test_the_signature_of_another_key_or_manifest_is_refused(folder: Path, tmp_path: Path) -> None:
    private, public = pair(tmp_path, "ours")
    _, other = pair(tmp_path, "other")
    sign(folder, private)
    with pytest.raises(BundleUntrustedError, match=r"not a signature of this manifest by .*other\.pub\.pem"):
        Bundle.open(folder, trust=other)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(BundleUntrustedError, match="not a signature of this manifest"):
        Bundle.open(folder, trust=public)


@pytest.mark.parametrize("signature", [None, b"", b"x" * 63, b"x" * 64, b"x" * 65])
def test_what_is_no_signature_is_refused(folder: Path, tmp_path: Path, signature: bytes | None) -> None:
    _, public = pair(tmp_path, "ours")
    if signature is not None:
        (folder / "manifest.json.sig").write_bytes(signature)
    with pytest.raises(BundleUntrustedError, match=r"manifest\.json"):
        Bundle.open(folder, trust=public)


def test_a_manifest_is_not_parsed_before_its_signature_holds(folder: Path, tmp_path: Path) -> None:
    _, public = pair(tmp_path, "ours")
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleUntrustedError):
        Bundle.open(folder, trust=public)


def test_a_broken_bundle_is_not_signed(folder: Path, tmp_path: Path) -> None:
    private, _ = pair(tmp_path, "ours")
    (folder / "head.safetensors").unlink()
    with pytest.raises(BundleCorruptError, match=r"head\.safetensors"):
        sign(folder, private)
    assert not (folder / "manifest.json.sig").exists()


def test_what_is_no_key_is_named(folder: Path, tmp_path: Path) -> None:
    private, public = pair(tmp_path, "ours")
    other = ec.generate_private_key(ec.SECP256R1())
    curve, curve_public, words = tmp_path / "curve.pem", tmp_path / "curve.pub.pem", tmp_path / "words.pem"
    plain: KeySerializationEncryption = NoEncryption()
    curve.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain))
    curve_public.write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words.write_text("no key", encoding="utf-8")
    for key in (tmp_path / "absent.pem", tmp_path, words, curve, public):
        with pytest.raises(KeyFileError, match=key.name):
            sign(folder, key)
    sign(folder, private)
    for key in (tmp_path / "absent.pem", tmp_path, words, curve_public, private):
        with pytest.raises(KeyFileError, match=key.name):
            Bundle.open(folder, trust=key)
