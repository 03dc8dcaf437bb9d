"""The whole way with two cameras and with a kind of a package outside: nothing here is known by its name.

The rear camera is a thermal one, whose pictures have one channel of 16 bits.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.console import kinds as console_kinds
from sensemble_apps.errors import InputError
from sensemble_apps.running.inputs import forms
from sensemble_apps.tables.audits import audits
from sensemble_runtime import Bundle, subsets
from sensemble_sensors import Sample
from sensemble_sensors.kinds.registry import installed
from sensemble_sensors.spec import Channel

from tests.conftest import Once
from tests.sensors.reading import install
from tests.sensors.studio import write_media

from .clips import CLASSES, FPS, SIZE, write_clip
from .conftest import COMMAND, ROOT, tiny, whole_way

pytestmark = pytest.mark.real

OUTSIDE = ROOT / "tests" / "outside" / "sensemble_co2.py"
ENTRIES = "[sensemble.kinds]\nco2 = sensemble_co2\n[sensemble.devices]\nco2 = sensemble_co2:Meter\n"
NAMES = ("air", "video.front", "video.rear")
ROOM, BODY = 29500, {"zero": 28000, "one": 30300, "two": 32000}  # hundredths of a kelvin
CHANNEL = Channel("temperature", "0.01 K", 27315, 32315)
SPLITS = {"pretrain": 4, "train": 6, "eval": 4}


def write_film(path: Path, warmth: int, rng: np.random.Generator) -> None:
    """Write a second of a warm body somewhere in a room."""
    frames = np.full((FPS, SIZE, SIZE), ROOM + rng.integers(-200, 200), float)
    top, left = rng.integers(0, SIZE // 2, 2)
    frames[:, top : top + SIZE // 2, left : left + SIZE // 2] = warmth
    pictures = (frames + rng.normal(0, 20, frames.shape)).astype(np.uint16)
    write_media(path, pictures, fps=FPS, video=("ffv1", "gray16le"), form="gray16le")


def write_two(folder: Path) -> Path:
    """Write clips of a front and a rear camera, and the air that people breathed meanwhile."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    lines = []
    for split, count in SPLITS.items():
        for i in range(count):
            for number, (label, (colour, hertz)) in enumerate(CLASSES.items()):
                name = f"{split}-{label}-{i}"
                write_clip(folder / f"{name}-front.mkv", colour, hertz, rng)
                write_film(folder / f"{name}-rear.mkv", BODY[label], rng)
                air = 400 + 300 * number + rng.normal(0, 20, 8)
                (folder / f"{name}.csv").write_text("co2\n" + "".join(f"{ppm:.1f}\n" for ppm in air))
                line = {"id": name, "split": split, "labels": [] if split == "pretrain" else [label]}
                files = {f"video.{end}": f"{name}-{end}.mkv" for end in ("front", "rear")}
                lines.append({**line, **files, "air": f"{name}.csv"})
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    air_of = {"kind": "co2", "rate": 1, "channels": ["co2"], "units": ["ppm"]}
    rear_of = {"kind": "frames", "channels": [CHANNEL.name], "units": [CHANNEL.unit]}
    rear_of["ranges"] = [[CHANNEL.low, CHANNEL.high]]
    (folder / "modalities.json").write_text(json.dumps({"air": air_of, "video.rear": rear_of}))
    return folder


@pytest.fixture(scope="module")
def two(once: Once) -> Path:
    """A folder with the dataset `data`, a run on it, and the installed package. Read only.

    Only what reads the rear camera is an encoder of ours; the others are tiny, for lowering takes longest.
    """

    def run(base: Path) -> None:
        (base / "site").mkdir(parents=True)
        install(base / "site", "sensemble_co2", ENTRIES, OUTSIDE.read_text())
        small = ("--effort", "0.3", "--train-modalities", "video.rear", *tiny("air", "video.front"))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(base / "site")
            patch.setenv("PYTHONPATH", f"{base / 'site'}:{ROOT}")
            installed.cache_clear()
            whole_way(write_two(base / "data"), base / "run", *small)
        installed.cache_clear()

    return once("two cameras", run)


@pytest.fixture
def known(two: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, with the package importable here."""
    monkeypatch.syspath_prepend(two / "site")
    installed.cache_clear()
    return two


def command(base: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{base / 'site'}:{ROOT}"}
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=900, env=environment
    )


def test_all_of_it_is_trained_exported_and_audited_over_every_subset(known: Path) -> None:
    bundle = Bundle.open(known / "run" / "bundle")
    assert bundle.modalities == NAMES
    assert [bundle.specs[m].kind for m in NAMES] == ["co2", "frames", "frames"]
    assert {*audits(known / "run").scores} == {subsets.name(s) for s in subsets.subsets(NAMES)}
    for word in ("rear camera", "front camera"):
        assert word in (known / "run" / "report.html").read_text()
    readme = (known / "run" / "bundle" / "README.md").read_text()
    assert "co2 in ppm" in readme
    assert "encodeVideoFront" in readme


def test_a_temperature_is_told_from_another(known: Path) -> None:
    spec = Bundle.open(known / "run" / "bundle").specs["video.rear"]
    assert (spec.dtype, spec.shape[-1], spec.channels) == ("float32", 1, (CHANNEL,))
    assert audits(known / "run").scores["video.rear"].accuracy >= 0.75
    readme = (known / "run" / "bundle" / "README.md").read_text()
    assert "temperature: 0 for 27315 or less, 1 for 32315 or more in 0.01 K" in readme
    assert readme.count("RGB") == 1, "of the front camera"


def test_a_bundle_whose_kind_is_not_installed_says_so(two: Path) -> None:
    installed.cache_clear()
    result = subprocess.run(
        [COMMAND, "bundle", "check", two / "run" / "bundle"], capture_output=True, text=True, check=False
    )
    assert result.returncode in (1, 2)
    assert "kind 'co2': there is none of this name here" in result.stderr


def test_the_command_line_names_any_sensor(two: Path, tmp_path: Path) -> None:
    """The meter gives a number a second, so a window of 8 s takes that long."""
    (tmp_path / "readings").write_text("\n".join(["700"] * 20))
    film = next((two / "data").glob("eval-one-*-rear.mkv"))
    named = ("--sensor", f"air={tmp_path / 'readings'}", "--sensor", f"video.rear={film}", "--in-process")
    run = command(two, "run", two / "run" / "bundle", *named, "--json", "--limit", "8")
    assert run.returncode == 0, run.stderr
    live = {tuple(line["live"]) for text in run.stdout.splitlines() if "live" in (line := json.loads(text))}
    assert {m for some in live for m in some} == {"air", "video.rear"}
    wrong = command(two, "run", two / "run" / "bundle", "--sensor", "video.top=0")
    assert wrong.returncode == 2
    assert "video.top=0: " in wrong.stderr


def test_the_preview_of_a_thermal_camera_is_a_grey_picture(known: Path) -> None:
    spec = Bundle.open(known / "run" / "bundle").specs["video.rear"]
    picture = np.random.default_rng(0).integers(29000, 31000, (SIZE, SIZE, 1)).astype(np.uint16)
    shown = console_kinds.display_of(spec).preview([Sample("video.rear", picture, 0.0)], spec.rate)
    assert shown["picture"].startswith("data:image/jpeg;base64,")


def test_without_a_bundle_its_form_is_what_the_folder_declares(tmp_path: Path) -> None:
    declaration = {"kind": "frames", "channels": ["depth"], "ranges": [[200, 8000]]}
    (tmp_path / "modalities.json").write_text(json.dumps({"depth": declaration}))
    form = forms([("depth", "1")], tmp_path)["depth"]
    assert (form.dtype, form.shape, form.rate) == ("float32", (1, 30, 128, 128, 1), 30)
    del declaration["ranges"]
    (tmp_path / "modalities.json").write_text(json.dumps({"depth": declaration}))
    with pytest.raises(InputError, match="depth: pictures have one channel"):
        forms([("depth", "1")], tmp_path)
