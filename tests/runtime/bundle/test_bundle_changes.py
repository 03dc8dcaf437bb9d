"""An open bundle runs the bytes that were verified, even if its folder changes afterwards."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle import bundle as bundles
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.files import read_file
from sensemble_runtime.bundle.manifest import FileEntry
from sensemble_runtime.errors import BundleChangedError, BundleCorruptError
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Contents, Encoder
from sensemble_runtime.record.reader import read_runs
from sensemble_runtime.record.writer import Records, fingerprint

from tests.runtime.puppets import Log, Puppet, Session
from tests.waiting import wait_until

AUDIO = np.zeros((1, 1600), np.float32)


def update(folder: Path) -> None:
    """Rename a new folder into place, as a bundle is updated: with another encoder and a new manifest."""
    new = Path(shutil.copytree(folder, folder.with_name("new")))
    old = (new / "audio" / "encoder.pte").read_bytes()
    changed = old[:-1] + bytes([old[-1] ^ 1])
    (new / "audio" / "encoder.pte").write_bytes(changed)
    text = (new / "manifest.json").read_text(encoding="utf-8")
    text = text.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(changed).hexdigest())
    (new / "manifest.json").write_text(text, encoding="utf-8")
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
    with pytest.raises(BundleChangedError, match=r"bundle: changed since it was opened \(.*; open"):
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
    with Records(tmp_path / "record.sqlite") as records:
        records.begin("session", bundle)
    assert [run.bundle for run in read_runs(tmp_path / "record.sqlite")] == [before]


def test_the_bytes_that_run_are_those_that_were_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced between hashing and loading is not looked at again."""
    whole = (folder / "audio" / "encoder.pte").read_bytes()
    loaded = []

    def read(where: Path, file: FileEntry) -> bytes:
        data = read_file(where, file)
        (where / file.path).write_bytes(b"other")
        return data

    def load(*given: object, contents: Contents, **options: object) -> Encoder:
        loaded.append(dict(contents))
        return real(*given, contents=contents, **options)  # type: ignore[arg-type]

    bundle, real = Bundle.open(folder), executor.load
    monkeypatch.setattr(bundles, "read_file", read)
    monkeypatch.setattr(executor, "load", load)
    assert bundle.encode("audio", AUDIO).shape == (8,)
    assert loaded == [{"": whole}]
    np.testing.assert_array_equal(bundle.encode("audio", AUDIO), bundle.encode("audio", AUDIO))


def test_a_session_tells_that_the_folder_changed(folder: Path, log: Log) -> None:
    bundle, microphone = Bundle.open(folder), Puppet("audio")
    update(folder)
    with Session(bundle) as session:
        session.subscribe(log)
        session.attach(microphone)
        wait_until(lambda: any("changed since it was opened" in str(event) for event in log.events))


def test_a_device_is_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(BundleCorruptError, match="not a regular file"):
        Bundle.open(folder)
