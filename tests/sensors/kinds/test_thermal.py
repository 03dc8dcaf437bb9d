"""Pictures of a thermal camera: 16-bit numbers of files and cameras, shares of a range for encoders."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_sensors import Sample
from sensemble_sensors.degraded import begin
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.errors import BadDataError, SampleError, SensorLostError
from sensemble_sensors.health.health import Health
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import check, window
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import Channel, InputSpec, Modality
from sensemble_sensors.thresholds import DEFAULT

from tests.sensors.reading import read_on
from tests.sensors.studio import Studio

RANGE = Channel("temperature", "0.01 K", 27315, 37315)
SPEC = InputSpec("thermal", "float32", (1, 4, 16, 24, 1), 4, 1.0, 0.5, 2.0, "frames", (RANGE,))
RGB = InputSpec("video", "uint8", (1, 4, 16, 24, 3), 4, 1.0, 0.5, 2.0)


def numbers(count: int = 4) -> NDArray[np.uint16]:
    """Pictures [n, 16, 24] whose numbers are all over the range, and a little beyond it."""
    drawn = np.random.default_rng(0).integers(27000, 37600, (count, 16, 24))
    return drawn.astype(np.uint16)


def write(path: Path, pictures: NDArray[Any], form: str = "gray16le") -> Path:
    """Write pictures [n, H, W], four a second, as FFV1."""
    return Studio(path.parent).write(path.name, pictures, fps=4, video=("ffv1", form), form=form)


def example(path: Path, field: str = "thermal") -> Example:
    return Example("1", "train", ("a",), {field: path}, 1, kinds={"thermal": "frames"})


def shares(pictures: NDArray[np.uint16]) -> NDArray[np.float64]:
    return ((pictures - 27315.0) / 10000).clip(0, 1)


def test_a_film_of_16_bits_is_scaled_by_the_range(tmp_path: Path) -> None:
    one = example(write(tmp_path / "a.mkv", numbers()))
    found = window(one, SPEC)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, ..., 0], shares(numbers()), atol=1e-6)
    given = list(kind_of(SPEC).samples(one, SPEC, 1.0))
    np.testing.assert_array_equal(np.stack([np.asarray(s.data)[..., 0] for s in given]), numbers())
    ring = kind_of(SPEC).windows(SPEC)
    for sample in given:
        ring.push(sample)
    made = ring.pop()
    assert made is not None
    np.testing.assert_array_equal(made.data, found)
    assert kind_of(SPEC).level(found) == pytest.approx(shares(numbers())[:, ::2, ::3].mean(), abs=1e-5)


@pytest.mark.parametrize("form", ["gray16be", "gray"])
def test_a_still_picture_and_eight_bits_are_numbers_too(tmp_path: Path, form: str) -> None:
    pictures = numbers(1)
    if form == "gray":
        pictures = (pictures >> 8).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pictures[0])
    spec = InputSpec(
        "thermal",
        "float32",
        SPEC.shape,
        4,
        1,
        0.5,
        2,
        "frames",
        (Channel("x", "", 0, 255 if form == "gray" else 65535),),
    )
    found = window(example(tmp_path / "a.png", "image.thermal"), spec)
    top = np.iinfo(pictures.dtype).max
    np.testing.assert_allclose(found[0, ..., 0], np.repeat(pictures / top, 4, axis=0), atol=1e-6)


def test_a_film_in_colour_is_refused_and_rgb_decodes_grey_as_ever(tmp_path: Path) -> None:
    colour = np.zeros((4, 16, 24 * 4), np.uint8).reshape(4, 16, 24, 4)
    path = write(tmp_path / "colour.mkv", colour, "bgra")
    modality = {"thermal": Modality("thermal", "frames", 0, (RANGE,))}
    with pytest.raises(BadDataError, match=r"colour\.mkv: .*bgra"):
        check(example(path), modality)
    grey = write(tmp_path / "grey.mkv", numbers())
    check(example(grey), modality)
    seen = window(Example("1", "train", ("a",), {"video": grey}, 1), RGB)
    np.testing.assert_allclose(seen, np.repeat(numbers()[None, ..., None] / 257, 3, -1), atol=1.5)


@pytest.mark.parametrize(
    "channels", [(Channel("x"),), (Channel("x", "", 5, 4),), (RANGE, Channel("y", "", 0, 1))]
)
def test_a_channel_needs_a_range(channels: tuple[Channel, ...]) -> None:
    spec = InputSpec("thermal", "float32", (1, 4, 16, 24, len(channels)), 4, 1, 0.5, 2, "frames", channels)
    assert "pictures have one channel, with a range" in " ".join(kind_of(spec).spec_problems(spec))


def test_its_form_is_checked() -> None:
    assert not list(kind_of(SPEC).spec_problems(SPEC))
    ring = kind_of(SPEC).windows(SPEC)
    with pytest.raises(SampleError, match=r"uint8 .*, not uint16 "):
        ring.push(Sample("thermal", np.zeros((16, 24, 3), np.uint8), 0.0))


@pytest.mark.parametrize(("value", "finding"), [(27315, "black"), (40000, "saturated"), (30000, "frozen")])
def test_its_health(value: int, finding: str) -> None:
    health = Health(SPEC, DEFAULT, 0.0)
    found: tuple[str, ...] = ()
    for i in range(20):
        found = health.check(Sample("thermal", np.full((16, 24, 1), value, np.uint16), i / 4), i / 4)
    assert f"the picture is {finding}" in found
    assert ("the picture is frozen" in found) == (finding != "black")


@pytest.mark.parametrize("condition", [one.name for one in kind_of("frames").conditions])
def test_its_conditions_stay_in_its_range(condition: str) -> None:
    (one,) = (one for one in kind_of(SPEC).conditions if one.name == condition)
    degrade = begin([Applied("thermal", one, 5)], SPEC)
    before = numbers(12)[..., None].clip(27315, 37315)
    changed = False
    for i, picture in enumerate(before):
        data = np.asarray(degrade(Sample("thermal", picture, i / 4, cut=i % 4 == 0)).data)
        assert (data.dtype, data.shape) == (np.uint16, (16, 24, 1))
        assert data.min() >= 27315
        assert data.max() <= 37315
        changed |= not np.array_equal(data, picture)
    assert changed


class Server(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a folder with the film `a.mkv`, and `colour.mkv`."""
    write(tmp_path / "a.mkv", numbers(8))
    write(tmp_path / "colour.mkv", np.zeros((8, 16, 24, 4), np.uint8), "bgra")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=tmp_path))
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def given(sensor: Sensor) -> list[Sample]:
    sensor.open(SPEC)
    found, _ = read_on(sensor)
    sensor.close()
    return found


def test_opencv_gives_a_camera_s_numbers(served: str) -> None:
    """As from V4L2, which no test machine has: through a stream that OpenCV does not convert to RGB."""
    found = given(Camera(f"{served}/a.mkv", modality="thermal"))
    pictures = {np.asarray(sample.data).tobytes() for sample in found}
    assert pictures
    assert pictures <= {picture.tobytes() for picture in numbers(8)}


def test_a_camera_in_colour_is_none_of_one_channel(served: str) -> None:
    camera = Camera(f"{served}/colour.mkv", modality="thermal")
    camera.open(SPEC)
    with pytest.raises(SensorLostError, match="not one channel of 8 or 16 bits"):
        camera.read(60)
    camera.close()


def test_an_isolated_camera_plays_a_film_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", numbers())
    found = given(Isolated(Camera, str(path), None, "thermal"))
    assert [np.asarray(sample.data).tobytes() for sample in found] == [one.tobytes() for one in numbers()]


def test_a_smaller_picture_is_resized_alike_from_files_and_recordings(tmp_path: Path) -> None:
    spec = InputSpec("thermal", "float32", (1, 4, 8, 12, 1), 4, 1.0, 0.5, 2.0, "frames", (RANGE,))
    found = window(example(write(tmp_path / "a.mkv", numbers())), spec)
    blocks = shares(numbers()).reshape(4, 8, 2, 12, 2)
    assert np.abs(found[0, ..., 0] - blocks.mean((2, 4))).max() < 0.05
    (sample,) = kind_of(spec).converter(spec).convert(Sample("thermal", numbers(1)[0, ..., None], 0.0), ())
    np.testing.assert_allclose(shares(np.asarray(sample.data)[..., 0]), found[0, 0, ..., 0], atol=1e-6)
