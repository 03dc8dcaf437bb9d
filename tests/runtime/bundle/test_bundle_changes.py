"""A bundle runs only bytes that were verified and trusted, and is first loaded where a crash hurts nobody."""

import os
import shutil
import sys
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sensemble_runtime.bundle import bundle as bundles
from sensemble_runtime.bundle.bundle import Bundle, sign
from sensemble_runtime.bundle.files import map_file
from sensemble_runtime.bundle.manifest import FileEntry
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.bundle.probe import probe
from sensemble_runtime.errors import (
    BundleChangedError,
    BundleCorruptError,
    BundleUntrustedError,
    KeyFileError,
)
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Contents, Encoder
from sensemble_runtime.record.reader import read_runs
from sensemble_runtime.record.writer import RecordWriter, fingerprint

from tests.runtime.bundle.altered import pair, replace_file

AUDIO = np.zeros((1, 1600), np.float32)


def update(folder: Path) -> None:
    """Rename a new folder into place, as a bundle is updated: with another encoder and a new manifest."""
    new = Path(shutil.copytree(folder, folder.with_name("new")))
    old = (new / "audio" / "encoder.pte").read_bytes()
    replace_file(new, "audio/encoder.pte", old[:-1] + bytes([old[-1] ^ 1]))
    folder.rename(folder.with_name("old"))
    new.rename(folder)


def overwrite(folder: Path) -> None:
    (folder / "audio" / "encoder.pte").write_bytes(b"x")


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def link_out(folder: Path) -> None:
    (folder / "audio" / "encoder.pte").rename(folder.with_name("elsewhere"))
    (folder / "audio" / "encoder.pte").symlink_to(folder.with_name("elsewhere"))


def pipe(folder: Path) -> None:
    (folder / "audio" / "encoder.pte").unlink()
    os.mkfifo(folder / "audio" / "encoder.pte")


@pytest.mark.parametrize("change", [update, overwrite, remove, link_out, pipe])
def test_nothing_is_loaded_from_a_folder_that_changed(folder: Path, change: Callable[[Path], None]) -> None:
    bundle = Bundle.open(folder)
    bundle.encode("audio", AUDIO)
    change(folder)
    bundle.encode("audio", AUDIO)  # is loaded, and stays what it was
    bundle.unload("audio")
    with pytest.raises(BundleChangedError, match=r"bundle: changed .*; open"):
        bundle.encode("audio", AUDIO)


def test_what_did_not_change_in_a_new_folder_still_loads(folder: Path) -> None:
    bundle = Bundle.open(folder)
    update(folder)
    assert bundle.encode("video", np.zeros((1, 2, 8, 8, 3), np.uint8)).shape == (8,)
    assert bundle.tokenize("one").shape == (1, 6)


def test_a_tokenizer_that_changed_is_not_loaded(folder: Path) -> None:
    bundle = Bundle.open(folder)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleChangedError, match=r"tokenizer\.json"):
        bundle.tokenize("one")


def test_a_record_names_the_manifest_that_was_opened(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(folder)
    bundle = Bundle.open(folder)
    update(folder)
    assert fingerprint(folder) != before
    with RecordWriter(tmp_path / "record.sqlite") as records:
        records.begin("session", bundle)
    assert [run.bundle for run in read_runs(tmp_path / "record.sqlite")] == [before]


def test_the_bytes_that_run_are_those_that_were_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced between hashing and loading is not looked at again."""
    whole = (folder / "audio" / "encoder.pte").read_bytes()
    loaded = []

    def read(where: Path, file: FileEntry) -> mmap:
        data = map_file(where, file)
        (where / file.path).write_bytes(b"other")
        return data

    def load(*given: object, contents: Contents, **options: object) -> Encoder:
        loaded.append({name: bytes(data) for name, data in contents.items()})
        return real(*given, contents=contents, **options)  # type: ignore[arg-type]

    bundle, real = Bundle.open(folder), executor.load
    monkeypatch.setattr(bundles, "map_file", read)
    monkeypatch.setattr(executor, "load", load)
    assert bundle.encode("audio", AUDIO).shape == (8,)
    assert loaded == [{"": whole}]
    np.testing.assert_array_equal(bundle.encode("audio", AUDIO), bundle.encode("audio", AUDIO))


def test_a_device_is_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(BundleCorruptError, match="not a regular file"):
        Bundle.open(folder)


def test_an_encoder_that_fails_is_reported_and_the_others_run(folder: Path, built: Path) -> None:
    replace_file(folder, "audio/encoder.pte", (built / "nan" / "encoder.pte").read_bytes())
    audio, text, video = probe(folder)
    assert "gave an embedding with NaN" in audio.problem
    assert audio.latency_ms is None
    assert not text.problem
    assert not video.problem
    assert (video.modality, video.target) == ("video", "executorch-xnnpack")
    assert video.latency_ms > 0


@pytest.mark.parametrize(
    ("act", "limit", "reported"),
    [
        ("import os; os.kill(os.getpid(), 11)", 600, "crashed with SIGSEGV"),
        ("import time; time.sleep(60)", 0.3, "did not return within 0.3 s"),
        ("import os; os._exit(7)", 600, "ended with status 7"),
    ],
)
def test_a_crash_and_a_hang_are_contained(
    bundle_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    limit: float,
    reported: str,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'sensemble_runtime.bundle.probe' in sys.orig_argv:\n    {act}\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert {one.problem for one in probe(bundle_folder, limit=limit)} == {reported}


def test_a_bundle_of_nobody_who_is_trusted_runs_nothing(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(KeyFileError):
        list(probe(bundle_folder, tmp_path / "absent.pem"))


def test_a_bundle_that_is_exchanged_after_it_was_checked_is_not_run(folder: Path) -> None:
    found = probe(folder)
    assert not next(found).problem
    with (folder / "manifest.json").open("a") as other:
        other.write(" ")
    assert "has changed since it was opened" in next(found).problem


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
    with pytest.raises(BundleUntrustedError, match=r"not a signature .*other\.pub\.pem; do not run"):
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
