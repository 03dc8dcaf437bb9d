import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from safetensors.numpy import load, save
from sensemble_runtime.adapting import store
from sensemble_runtime.adapting.learner import Learner
from sensemble_runtime.adapting.store import Store, default_folder
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import AdaptError

from .world import World, honest

SENSOR = ("audio", "microphone USB / 2")


def bundle_of(world: World, fingerprint: str = "a" * 64) -> Bundle:
    manifest = SimpleNamespace(calibration=SimpleNamespace(subsets={}))
    found = SimpleNamespace(
        head=world.head, fingerprint=fingerprint, manifest=manifest, specs={"audio": None, "video": None}
    )
    return cast("Bundle", found)


@contextmanager
def opened(folder: Path, world: World, fingerprint: str = "a" * 64) -> Iterator[Store]:
    with closing(Store(folder, bundle_of(world, fingerprint))) as found:
        yield found


@pytest.fixture(scope="module")
def learned() -> tuple[World, Learner]:
    world = World()
    learner = Learner.new(world.head)
    world.teach(learner, honest, 300)
    assert learner.used
    return world, learner


Learned = tuple[World, Learner]


def test_what_was_learned_is_the_same_after_it_was_stored(tmp_path: Path, learned: Learned) -> None:
    world, learner = learned
    with opened(tmp_path / "new" / "folder", world) as kept:
        kept.save(SENSOR, learner)
        found, problems = kept.load()
    assert (found.keys(), problems) == ({SENSOR}, [])
    same = found[SENSOR]
    for name in ("weight", "mean", "target", "scatter", "cross"):
        np.testing.assert_array_equal(getattr(same.sums, name), getattr(learner.sums, name))
    assert (same.used, same.windows, same.trial) == (learner.used, learner.windows, learner.trial)
    np.testing.assert_array_equal(same.taught, learner.taught)
    assert learner.correction is not None
    assert same.correction is not None
    np.testing.assert_array_equal(same.correction.slopes, learner.correction.slopes)


def test_files_and_folder_are_private_and_leave_no_part(tmp_path: Path, learned: Learned) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "f", learned[0]) as kept:
            kept.save(SENSOR, learned[1])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o700
    files = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "f").iterdir()}
    assert files == {"": 0o600, ".learned": 0o600}, "the lock's file, too"


def test_what_another_bundle_learned_is_set_aside(tmp_path: Path, learned: Learned) -> None:
    world, learner = learned
    with opened(tmp_path, world) as kept:
        kept.save(SENSOR, learner)
    with opened(tmp_path, world, "b" * 64) as kept:
        found, (problem,) = kept.load()
        assert found == {}
        assert "learned with another bundle; set aside as audio-" in problem
        assert kept.load() == ({}, []), "said once"
        assert len(kept.reset()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


DAMAGES = [*("cut", "empty", "text", "bit", "version", "large", "folder")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_in_one_line_that_names_it(
    tmp_path: Path, damage: str, learned: Learned
) -> None:
    world, learner = learned
    with opened(tmp_path, world) as kept:
        kept.save(SENSOR, learner)
        (path,) = tmp_path.glob("*.learned")
        data = path.read_bytes()
        tensors = load(data[32:])
        header = json.loads(tensors["header"].tobytes()) | {"schema": 99}
        packed = save(tensors | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
        files = {
            "cut": data[:-100],
            "empty": b"",
            "text": b"learned\n" * 100,
            "bit": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
            "version": hashlib.sha256(packed).digest() + packed,
            "large": data + bytes(4 << 20),
        }
        if damage == "folder":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(files[damage])
        found, (problem,) = kept.load()
        assert kept.load() == ({}, [])
    assert found == {}
    assert problem.startswith(f"{path}: ")
    assert problem.isprintable(), "one line, without escapes"
    assert path.with_suffix(".learned.bad").exists()


def test_no_damaged_copy_is_ever_used(tmp_path: Path, learned: Learned) -> None:
    """Three of 250 copies with a bit or more changed gave NaN, and one wrong answers."""
    world, learner = learned
    rng = np.random.default_rng(0)
    with opened(tmp_path, world) as kept:
        kept.save(SENSOR, learner)
        (path,) = tmp_path.glob("*.learned")
        data = path.read_bytes()
        for _ in range(250):
            copy = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 20)):
                copy[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(copy)
            assert kept.load()[0] == {} or copy == data


def test_a_folder_is_for_one_process(tmp_path: Path) -> None:
    world = World()
    with opened(tmp_path, world), pytest.raises(AdaptError, match="in use by another session"):
        Store(tmp_path, bundle_of(world))


def test_one_sensor_is_forgotten_by_its_name(tmp_path: Path, learned: Learned) -> None:
    world, learner = learned
    with opened(tmp_path, world) as kept:
        kept.save(SENSOR, learner)
        kept.save(("video", "camera 0"), Learner.new(world.head))
        assert kept.reset("camera 1") == []
        assert kept.reset("camera 0") == ["camera 0"]
        assert kept.load()[0].keys() == {SENSOR}


def test_the_sensors_that_are_kept_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(store, "SENSORS", 3)
    with opened(tmp_path, world) as kept:
        for i in range(5):
            kept.save(("audio", f"microphone {i}"), Learner.new(world.head))
        found, _ = kept.load()
        assert len(found) == 3
        assert ("audio", "microphone 4") in found


def test_a_name_that_is_no_unicode_is_kept_as_it_is(tmp_path: Path) -> None:
    world = World()
    with opened(tmp_path, world) as kept:
        kept.save(("audio", "usb \udcff"), Learner.new(world.head))


def test_the_usual_folder_lies_beside_the_bundle(tmp_path: Path) -> None:
    assert default_folder(tmp_path / "run" / "bundle") == tmp_path / "run" / "bundle.learned"
