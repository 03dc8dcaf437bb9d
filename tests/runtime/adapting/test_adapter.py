import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.bundle.manifest import Calibration, ModalityCalibration
from sensemble_runtime.errors import AdaptError
from sensemble_sensors.spec import InputSpec

from .world import C, D, World

LABELS = tuple(f"class {i}" for i in range(C))
SPECS = {
    "audio": InputSpec("audio", "float32", (1, 1600), rate=16000, window=1.0, hop=0.5, ttl=1.0),
    "text": InputSpec("text", "int64", (1, 6), rate=0, window=0, hop=0, ttl=2.0),
    "video": InputSpec("video", "uint8", (1, 2, 8, 8, 3), rate=10, window=1.0, hop=0.5, ttl=1.0),
}


@dataclass(frozen=True)
class Window:
    modality: str
    embedding: NDArray[np.float32]
    time: float = 0.0
    sensor: str = "one"


def bundle_of(
    head: Head,
    path: Path,
    *,
    task: str = "multi-class",
    calibrated: bool = True,
    familiar: dict[str, float] | None = None,
) -> Bundle:
    fitted = {m: ModalityCalibration(1.0, 0.0, 100, 100) for m in SPECS if calibrated}
    manifest = SimpleNamespace(
        task=task,
        labels=LABELS,
        modalities=SPECS,
        calibration=Calibration(0.05, 0.6, 100, 0.0, fitted, familiar or {}),
        audited={},
    )
    return cast(
        "Bundle",
        SimpleNamespace(
            head=head,
            classifier=Classifier(head, manifest.calibration, LABELS, SPECS),
            manifest=manifest,
            modalities=tuple(SPECS),
            specs=SPECS,
            path=path / "bundle",
            fingerprint="f" * 64,
        ),
    )


@dataclass
class Room:
    """A camera that the bundle knows, and a microphone that it does not; both see or hear the same."""

    world: World
    adapter: Adapter

    def play(self, n: int, *, apart: float = 0.0, sensor: str = "one") -> None:
        truth = self.world.truth(n)
        sounds = self.world.windows(truth)
        for i, (answer, sound) in enumerate(zip(truth, sounds, strict=True)):
            self.window(int(answer), sound, float(i), apart, sensor)

    def window(self, answer: int, sound: NDArray[np.float32], now: float, apart: float, sensor: str) -> None:
        newest = {
            "audio": Window("audio", sound, now, sensor),
            "video": Window("video", picture(self.world, answer), now + apart),
        }
        self.adapter.learn(["audio"], newest, now)
        self.adapter.study()


def picture(world: World, answer: int) -> NDArray[np.float32]:
    weight = world.head.weight
    return (1.2 * weight[answer] + world.rng.normal(0, 0.3, D)).astype(np.float32)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    world = World()
    return Room(world, Adapter(bundle_of(world.head, tmp_path)))


def test_a_camera_teaches_a_microphone(room: Room) -> None:
    room.play(300)
    (event,) = room.adapter.pop_events()
    assert (event.kind, event.modality, event.sensor) == ("taught", "audio", "one")
    found = re.fullmatch("by video: (\\d+) → (\\d+) % agreement", event.text)
    assert found is not None
    assert int(found[1]) < int(found[2])
    truth, head = room.world.truth(1000), room.world.head
    heard = [Window("audio", sound) for sound in room.world.windows(truth)]
    answers = [head.logits(room.adapter.correct({"audio": window})["audio"]).argmax() for window in heard]
    shipped = [head.logits(window.embedding).argmax() for window in heard]
    assert np.mean(answers == truth) > np.mean(shipped == truth) + 0.1
    assert room.adapter.correct({"audio": replace(heard[0], sensor="another")}) == {}
    assert room.adapter.learners["audio", "one"].trial.used


def test_a_suspect_teaches_none_and_learns(room: Room) -> None:
    newest = {"audio": Window("audio", room.world.windows(np.array([3]))[0])}
    newest["video"] = Window("video", picture(room.world, 3))
    for suspect, learners in (("video", set()), ("audio", {("audio", "one")})):
        for _ in range(3):
            room.adapter.learn(["audio"], newest, 0.0, (suspect,))
        room.adapter.study()
        assert room.adapter.learners.keys() == learners


def test_nothing_is_learned_before_it_is_studied(room: Room) -> None:
    """A d x d solve for each scene was run while the session's only lock was held."""
    newest = {"audio": Window("audio", room.world.windows(np.array([3]))[0])}
    for answer in (3, 4, 5):
        room.adapter.label(LABELS[answer], newest, 0.0)
    assert room.adapter.learners == {}
    room.adapter.study()
    assert [learner.trial.windows for learner in room.adapter.learners.values()] == [2]


def test_what_was_taught_does_not_teach(room: Room, tmp_path: Path) -> None:
    """The target of the camera's lesson is what the shipped head says of the sound."""
    room.play(300)
    sound = room.world.windows(np.array([3]))[0]
    newest = {"audio": Window("audio", sound), "video": Window("video", picture(room.world, 3))}
    assert "audio" in room.adapter.correct(newest)
    head = room.world.head
    with Adapter(bundle_of(head, tmp_path / "other")) as fresh:
        for adapter in (room.adapter, fresh):
            adapter.learn(["video"], newest, 0.0)
        answers = [lesson.answer for adapter in (room.adapter, fresh) for _, lesson, *_ in adapter._lessons]
    assert len(answers) != 1, "the camera learns in both, or in neither"
    assert set(answers) <= {int(head.logits(sound).argmax())}


def test_windows_of_other_times_teach_nothing(room: Room) -> None:
    room.play(50, apart=0.6)
    assert room.adapter.learners == {}
    room.play(50, apart=0.4)
    assert len(room.adapter.learners) == 1


def test_an_unfamiliar_teacher_teaches_nothing_and_background_is_not_learned(tmp_path: Path) -> None:
    world = World()
    axis = np.zeros((3, D), np.float32)
    axis[:, 0] = 1.0
    head = replace(world.head, familiarity=Familiarity(axis, np.zeros(3, np.float32)))
    bundle = bundle_of(head, tmp_path, familiar=dict.fromkeys(SPECS, 1.0))

    def at(embedding: NDArray[np.float32], score: float) -> NDArray[np.float32]:
        return np.concatenate([[np.float32(score)], embedding[1:]]).astype(np.float32)

    taught = {}
    with Adapter(bundle) as adapter:
        for case, (of_audio, of_video) in {
            "both familiar": (2.0, 2.0),
            "an unknown voice": (0.5, 2.0),
            "silence": (-1.0, 2.0),
            "an unfamiliar camera": (2.0, 0.5),
        }.items():
            sound, image = world.windows(np.array([3]))[0], picture(world, 3)
            newest = {
                "audio": Window("audio", at(sound, of_audio), sensor=case),
                "video": Window("video", at(image, of_video)),
            }
            adapter.learn(["audio"], newest, 0.0)
            adapter.study()
            taught[case] = ("audio", case) in adapter.learners
    assert taught == {
        "both familiar": True,
        "an unknown voice": True,
        "silence": False,
        "an unfamiliar camera": False,
    }


def test_labels_of_a_person_teach_without_a_teacher(room: Room) -> None:
    truth = room.world.truth(250)
    for i, (answer, sound) in enumerate(zip(truth, room.world.windows(truth), strict=True)):
        room.adapter.label(LABELS[answer], {"audio": Window("audio", sound)}, float(i))
    room.adapter.study()
    (event,) = room.adapter.pop_events()
    assert event.text.startswith("by a person: ")
    with pytest.raises(AdaptError, match=r"^'dog': .*class 0"):
        room.adapter.label("dog", {}, 0.0)


def test_what_cannot_be_written_is_written_the_next_time(room: Room, tmp_path: Path) -> None:
    room.play(20)
    folder = tmp_path / "bundle.learned"
    folder.rename(tmp_path / "away")
    with pytest.raises(AdaptError, match="cannot be written"):
        room.adapter.save()
    (tmp_path / "away").rename(folder)
    room.adapter.save()
    (folder / "corrections").unlink()
    room.adapter.save()
    assert not (folder / "corrections").exists(), "nothing new"


@pytest.fixture
def kept(room: Room, tmp_path: Path) -> Path:
    """The file of a microphone that was taught, and of a camera."""
    room.play(60)
    room.adapter.label(
        LABELS[0], {"video": Window("video", picture(room.world, 0), sensor="camera \udcff")}, 0
    )
    room.adapter.study()
    room.adapter.save()
    room.adapter.close()
    return tmp_path / "bundle.learned" / "corrections"


def test_what_was_learned_is_the_same_after_it_was_stored(room: Room, kept: Path, tmp_path: Path) -> None:
    with Adapter(bundle_of(room.world.head, tmp_path)) as again:
        assert again.learners.keys() == {("audio", "one"), ("video", "camera \udcff")}, (
            "no Unicode, but a name"
        )
        assert again.problem == ""
        same, learner = again.learners["audio", "one"], room.adapter.learners["audio", "one"]
    np.testing.assert_array_equal(same.moments, learner.moments)
    assert same.trial == learner.trial
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in kept.parent.iterdir()) == ["corrections", "lock"]


def test_the_sensors_that_are_kept_are_bounded(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensemble_runtime.adapting.adapter.SENSORS", 3)
    for i in range(5):
        room.play(2, sensor=f"microphone {i}")
    room.play(2, sensor="microphone 0")
    room.adapter.save()
    room.adapter.close()
    with Adapter(bundle_of(room.world.head, tmp_path)) as again:
        assert [name for _, name in again.learners] == ["microphone 3", "microphone 4", "microphone 0"]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "bit", "version", "large", "folder", "bundle"])
def test_a_file_that_cannot_be_used_is_set_aside_and_said_and_its_sensors_learn_anew(
    room: Room, kept: Path, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file kept a session from starting."""
    data = kept.read_bytes()
    files = {
        "cut": data[:-100],
        "empty": b"",
        "text": b"learned\n" * 100,
        "bit": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        "large": data + bytes(4 << 20),
        "bundle": data,
        "version": data,
    }
    if damage == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        kept.write_bytes(files[damage])
    bundle = bundle_of(room.world.head, tmp_path)
    if damage == "bundle":
        bundle.fingerprint = "e" * 64
    if damage == "version":
        monkeypatch.setattr("sensemble_runtime.adapting.adapter.SCHEMA", 99)
    with Adapter(bundle) as again:
        problem = again.problem
        assert again.learners == {}
        Room(room.world, again).play(20)
        assert again.learners["audio", "one"].trial.windows > 0
    assert problem.startswith(f"{kept}: ")
    assert problem.endswith("; set aside as corrections.bad, the sensors learn anew")
    assert problem.isprintable(), "one line, without escapes"
    assert kept.with_suffix(".bad").exists()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"task": "multi-label"}, "is multi-label"), ({"calibrated": False}, "is not calibrated")],
)
def test_bundles_that_cannot_be_adapted_are_refused(
    tmp_path: Path, wrong: dict[str, object], why: str
) -> None:
    with pytest.raises(AdaptError, match=why):
        Adapter(bundle_of(World().head, tmp_path, **wrong))  # type: ignore[arg-type]
