"""The whole way with two cameras and with a kind of a package outside: nothing here is known by its name."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_apps.runs.audits import audits
from sensemble_runtime import Bundle, Prediction, Session, subsets
from sensemble_runtime.events import Event
from sensemble_sensors import Recorded, Recording, Sample, read_dataset
from sensemble_sensors.kinds.registry import installed, kind_of
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.spec import InputSpec, declared

from .clips import CLASSES, FPS, SIZE, write_clip
from .conftest import COMMAND

OUTSIDE = Path(__file__).parents[1] / "outside"
NAMES = ("air", "video.front", "video.rear")
SPLITS = {"pretrain": 4, "train": 4, "eval": 2}


def install(folder: Path) -> None:
    """Install the package of the kind `co2`, as pip would."""
    info = folder / "sensemble_co2-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sensemble-co2\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sensemble.kinds]\nco2 = sensemble_co2\n[sensemble.devices]\nco2 = sensemble_co2:Meter\n"
    )
    (folder / "sensemble_co2.py").write_text((OUTSIDE / "sensemble_co2.py").read_text())


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
                write_clip(folder / f"{name}-rear.mkv", colour[::-1], hertz, rng)
                air = 400 + 300 * number + rng.normal(0, 20, 8)
                (folder / f"{name}.csv").write_text("co2\n" + "".join(f"{ppm:.1f}\n" for ppm in air))
                line = {"id": name, "split": split, "labels": [] if split == "pretrain" else [label]}
                files = {f"video.{end}": f"{name}-{end}.mkv" for end in ("front", "rear")}
                lines.append({**line, **files, "air": f"{name}.csv"})
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    air_of = {"kind": "co2", "rate": 1, "channels": ["co2"], "units": ["ppm"]}
    (folder / "modalities.json").write_text(json.dumps({"air": air_of}))
    return folder


@pytest.fixture(scope="module")
def two(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with the dataset `data`, the run of its demo, and the installed package. Read only."""

    def run(base: Path) -> None:
        install(base / "site")
        write_two(base / "data")
        arguments = ("--data", base / "data", "--out", base / "run", "--effort", "0.2", "--fast")
        result = command(base, "demo", *arguments, "--train-modalities", "video.front", "--from-scratch")
        assert result.returncode == 0, result.stderr

    return once("two cameras", run)


@pytest.fixture
def known(two: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, with the package importable here."""
    monkeypatch.syspath_prepend(two / "site")
    installed.cache_clear()
    return two


def command(base: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(base / "site")}
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


def test_a_bundle_whose_kind_is_not_installed_says_so(two: Path) -> None:
    installed.cache_clear()
    result = subprocess.run(
        [COMMAND, "bundle", "check", two / "run" / "bundle"], capture_output=True, text=True, check=False
    )
    assert result.returncode in (1, 2)
    assert "kind 'co2': there is none of this name here" in result.stderr


class Film:
    """A camera that films one colour."""

    live = True

    def __init__(self, modality: str, colour: tuple[int, int, int]) -> None:
        self.modality, self.name = modality, f"film {modality}"
        self._picture: NDArray[np.uint8] = np.full((SIZE, SIZE, 3), colour, np.uint8)
        self._rng = np.random.default_rng(0)

    def open(self, spec: InputSpec) -> None:  # noqa: ARG002 - as the clips are
        self._due = monotonic()

    def read(self, timeout: float) -> Sample:  # noqa: ARG002 - it always comes in time
        self._due += 1 / FPS
        sleep(max(0.0, self._due - monotonic()))
        noise = self._rng.integers(-12, 12, self._picture.shape)
        data = np.clip(self._picture + noise, 0, 255).astype(np.uint8)
        return Sample(self.modality, data, monotonic())

    def close(self) -> None:
        pass


def test_a_camera_is_unplugged_and_back_and_the_recording_comes_back_bit_for_bit(
    known: Path, tmp_path: Path
) -> None:
    bundle = Bundle.open(known / "run" / "bundle")
    specs = {m: bundle.specs[m] for m in NAMES[1:]}
    colour, _ = CLASSES["one"]
    given: list[Sample] = []
    with (
        Recording(tmp_path, form_of(specs), declared=declared(specs.values())) as out,
        Session(bundle, lasting=True) as session,
    ):

        def take(sensor: str, sample: Sample) -> None:  # noqa: ARG001
            given.append(sample)
            out.put(sample)

        queue = session.listen(take)
        stream = session.stream()
        front = session.attach(Film("video.front", colour))
        session.attach(Film("video.rear", colour[::-1]))
        wait_until_live(stream, "video.front", "video.rear")
        session.detach(front)
        wait_until_live(stream, "video.rear")
        session.attach(Film("video.front", colour))
        wait_until_live(stream, "video.front", "video.rear")
        session.unsubscribe(queue)
        assert queue.join(60)
    found = list(Recorded(tmp_path, read_dataset(tmp_path).examples).samples(specs))
    for modality in specs:
        ours, theirs = ([s for s in some if s.modality == modality] for some in (given, found))
        assert len(theirs) == len(ours)
        for one, other in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(one.data, other.data)


def wait_until_live(stream: Iterator[Prediction | Event], *live: str) -> None:
    """Take items until a prediction is of this live set."""
    assert any(isinstance(item, Prediction) and item.live == live for item in stream)


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
    assert (
        "--sensor video.top: there is no such modality; there are air, video.front, video.rear"
        in wrong.stderr
    )


def test_the_kind_is_its_own(known: Path) -> None:
    kind = kind_of("co2")
    spec = Bundle.open(known / "run" / "bundle").specs["air"]
    assert kind.noun == "reading of carbon dioxide"
    assert kind.level(np.full((1, 8, 1), 700, np.float32)) == 700
    assert list(kind.spec_problems(spec)) == []
