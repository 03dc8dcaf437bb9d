"""`sensemble bundle sign` and `check`, and `--trust` on every command that opens a bundle."""

import shutil
from pathlib import Path

import pytest
from sensemble_apps.cli import main

from tests.apps.conftest import DemoRun, Refusal, Sensemble
from tests.runtime.bundle.altered import pair, replace_file


@pytest.fixture
def copied(demo: DemoRun, tmp_path: Path) -> Path:
    """A copy of the demo's bundle, with its held-out windows next to it."""
    windows = "held-out-windows-of-bundle"
    shutil.copytree(demo.folder / windows, tmp_path / windows)
    return Path(shutil.copytree(demo.folder / "bundle", tmp_path / "bundle"))


@pytest.mark.real
def test_who_trusts_a_key_runs_only_what_it_signed(
    copied: Path, dataset_folder: Path, tmp_path: Path, refusal: Refusal, here: Sensemble
) -> None:
    private, public = pair(tmp_path, "ours")
    media = dataset_folder / "eval-one-0.mkv"
    commands = {
        "run": ("run", copied, "--replay", dataset_folder, "--fast", "--duty", "--limit", "1"),
        "audit": ("audit", copied, "--data", dataset_folder, "--json"),
        "record": ("record", tmp_path / "clips", "--media", media, "--bundle", copied),
        "check": ("bundle", "check", copied),
        "verify": ("export", "verify", copied),
    }
    for command in commands.values():
        line = refusal(*command, "--trust", public)
        assert "manifest.json.sig: cannot be read" in line
        assert "sensemble bundle sign" in line
    assert not (tmp_path / "clips").exists()
    signed = here("bundle", "sign", copied, private)
    assert (signed.returncode, signed.stdout) == (0, f"{copied / 'manifest.json.sig'}\n"), signed.stderr
    _, other = pair(tmp_path, "other")
    for command in commands.values():
        assert "not a signature of this manifest by" in refusal(*command, "--trust", other)
    for command in commands.values():
        result = here(*command, "--trust", public)
        assert result.returncode == 0, result.stderr


@pytest.mark.real
def test_a_module_in_the_folder_where_one_stands_is_not_run(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the bundle's own folder, whose other files nobody signed."""
    monkeypatch.chdir(copied)
    (copied / "numpy.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    for command in (["bundle", "check", "."], ["export", "verify", str(copied)]):
        assert main(command) == 0, capsys.readouterr()


def test_no_key_and_no_bundle_are_named(copied: Path, tmp_path: Path, refusal: Refusal) -> None:
    private, public = pair(tmp_path, "ours")
    assert "ours.pub.pem: not a private key" in refusal("bundle", "sign", copied, public)
    assert "ours.pem: not a public key" in refusal("bundle", "check", copied, "--trust", private)
    assert "there is no bundle there" in refusal("bundle", "sign", tmp_path / "none", private)
    (copied / "manifest.json.sig.partial").mkdir()  # in the way, also of root
    assert "cannot be written" in refusal("bundle", "sign", copied, private)


def test_a_broken_bundle_is_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "check", str(copied)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "audio"], ["ok", "text"], ["ok", "video"]]
    (program,) = (copied / "audio").glob("*.pte")
    replace_file(copied, f"audio/{program.name}", b"not a program")
    assert main(["bundle", "check", str(copied)]) == 2
    output, errors = capsys.readouterr()
    assert output.startswith("failed   audio    executorch-xnnpack")
    assert "InvalidProgram" in output
    assert errors.endswith("audio failed; do not run it; report it to its maker\n")
