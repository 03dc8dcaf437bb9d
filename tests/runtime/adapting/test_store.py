import json
import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from safetensors.numpy import load, save
from sensemble_runtime.adapting import store
from sensemble_runtime.adapting.pupil import Pupil
from sensemble_runtime.adapting.store import Store, beside
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import AdaptError

from .world import World, honest

SENSOR = ("audio", "microphone USB / 2")


def bundle_of(world: World, fingerprint: str = "a" * 64) -> Bundle:
    calibration = SimpleNamespace(subsets={})
    manifest = SimpleNamespace(calibration=calibration)
    found = SimpleNamespace(head=world.head, fingerprint=fingerprint, path=Path("b"), manifest=manifest)
    return cast("Bundle", found)


def keep(kept: Store, sensor: tuple[str, str], pupil: Pupil) -> None:
    kept.write(sensor, kept.pack(sensor, pupil))


def learned(world: World) -> Pupil:
    pupil = Pupil.new(world.head)
    world.teach(pupil, honest, 300)
    return pupil


def test_what_was_learned_is_the_same_after_it_was_stored(tmp_path: Path) -> None:
    world = World()
    pupil = learned(world)
    with Store(tmp_path / "new" / "folder", bundle_of(world), days=1) as kept:
        keep(kept, SENSOR, pupil)
        assert kept.load().keys() == {SENSOR}
        found = kept.load()[SENSOR]
    for name in ("weight", "mean", "target", "scatter", "cross"):
        np.testing.assert_array_equal(getattr(found.sums, name), getattr(pupil.sums, name))
    assert (found.guard.state, found.windows) == (pupil.guard.state, pupil.windows)
    assert list(found.guard.recent) == list(pupil.guard.recent)
    assert found.guard.better.total == pupil.guard.better.total
    assert pupil.used is not None
    assert found.used is not None
    np.testing.assert_array_equal(found.used.weight, pupil.used.weight)


def test_files_and_folder_are_private_and_leave_no_part(tmp_path: Path) -> None:
    world = World()
    before = os.umask(0)
    try:
        with Store(tmp_path / "f", bundle_of(world), days=1) as kept:
            keep(kept, SENSOR, learned(world))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / "f").iterdir() if path.name != "lock"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]


def test_what_another_bundle_learned_is_refused(tmp_path: Path) -> None:
    world = World()
    with Store(tmp_path, bundle_of(world), days=1) as kept:
        keep(kept, SENSOR, learned(world))
    with Store(tmp_path, bundle_of(world, "b" * 64), days=1) as kept:
        with pytest.raises(AdaptError, match=r"learned with another bundle; `sensemble adapt b --reset all`"):
            kept.load()
        assert len(kept.reset()) == 1
        assert kept.load() == {}


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "text", "nan", "shape", "header", "version", "huge", "folder"]
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(tmp_path: Path, damage: str) -> None:
    world = World()
    with Store(tmp_path, bundle_of(world), days=1) as kept:
        keep(kept, SENSOR, learned(world))
        (path,) = tmp_path.glob("*.learned")
        data = path.read_bytes()
        tensors = load(data)
        header = json.loads(tensors["header"].tobytes())
        match damage:
            case "cut":
                path.write_bytes(data[:-100])
            case "empty":
                path.write_bytes(b"")
            case "text":
                path.write_bytes(b"learned\n" * 100)
            case "nan":
                path.write_bytes(save(tensors | {"mean": np.full_like(tensors["mean"], np.nan)}))
            case "shape":
                path.write_bytes(save(tensors | {"cross": tensors["cross"][1:].copy()}))
            case "header":
                path.write_bytes(save(tensors | {"header": np.frombuffer(b'{"schema": 1}', np.uint8)}))
            case "version":
                changed = json.dumps(header | {"schema": 99}).encode()
                path.write_bytes(save(tensors | {"header": np.frombuffer(changed, np.uint8)}))
            case "huge":
                path.write_bytes(data + bytes(4 << 20))
            case _:
                path.unlink()
                path.mkdir()
        with pytest.raises(AdaptError) as refusal:
            kept.load()
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "--reset" in str(refusal.value)


def test_what_is_too_old_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with Store(tmp_path, bundle_of(world), days=90) as kept:
        keep(kept, SENSOR, learned(world))
        now = time.time()
        monkeypatch.setattr(store.time, "time", lambda: now + 91 * 86400)
        assert kept.load() == {}
        assert list(tmp_path.glob("*.learned")) == []


def test_a_folder_is_for_one_process(tmp_path: Path) -> None:
    world = World()
    with (
        Store(tmp_path, bundle_of(world), days=1),
        pytest.raises(AdaptError, match="in use by another session"),
    ):
        Store(tmp_path, bundle_of(world), days=1)


def test_one_sensor_is_forgotten_by_its_name(tmp_path: Path) -> None:
    world = World()
    with Store(tmp_path, bundle_of(world), days=1) as kept:
        keep(kept, SENSOR, learned(world))
        keep(kept, ("video", "camera 0"), Pupil.new(world.head))
        assert kept.reset("camera 1") == []
        assert kept.reset("camera 0") == ["camera 0"]
        assert kept.load().keys() == {SENSOR}


def test_the_sensors_that_are_kept_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(store, "SENSORS", 3)
    with Store(tmp_path, bundle_of(world), days=1) as kept:
        for i in range(5):
            keep(kept, ("audio", f"microphone {i}"), Pupil.new(world.head))
        assert len(kept.load()) == 3
        assert ("audio", "microphone 4") in kept.load()


def test_the_usual_folder_lies_beside_the_bundle(tmp_path: Path) -> None:
    assert beside(tmp_path / "run" / "bundle") == tmp_path / "run" / "bundle.learned"
