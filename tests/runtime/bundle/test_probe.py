"""A first load where a crash or a hang hurts nobody."""

import hashlib
import sys
from pathlib import Path

import pytest
from sensemble_runtime.bundle.probe import probe
from sensemble_runtime.errors import KeyFileError


def replace_program(folder: Path, data: bytes) -> None:
    path, text = folder / "audio" / "encoder.pte", (folder / "manifest.json").read_text(encoding="utf-8")
    old = path.read_bytes()
    path.write_bytes(data)
    text = text.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(data).hexdigest())
    text = text.replace(f'"bytes": {len(old)},', f'"bytes": {len(data)},')
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def test_an_encoder_that_fails_is_reported_and_the_others_run(folder: Path, built: Path) -> None:
    replace_program(folder, (built / "nan" / "encoder.pte").read_bytes())
    audio, text, video = probe(folder)
    assert "gave an embedding with NaN" in audio.problem
    assert audio.latency_ms is None
    assert not text.problem
    assert not video.problem
    assert (video.modality, video.target) == ("video", "executorch-xnnpack")
    assert video.latency_ms > 0


@pytest.mark.parametrize(
    ("act", "reported"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed with SIGSEGV"),
        ("import time; time.sleep(60)", "did not return within 1.5 s"),
        ("import os; os._exit(7)", "ended with status 7"),
    ],
)
def test_a_crash_and_a_hang_are_contained(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, reported: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'sensemble_runtime.bundle.probe' in sys.orig_argv:\n    {act}\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert {one.problem for one in probe(bundle_folder, limit=1.5)} == {reported}


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
