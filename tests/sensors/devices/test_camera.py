"""OpenCV on real files, and on a real MJPEG stream over the loopback."""

import os
import subprocess
import sys
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from threading import Event, active_count
from time import monotonic
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_sensors import Isolated, Limits
from sensemble_sensors.devices import camera
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.errors import (
    SensorLostError,
    SensorUnavailableError,
)
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample

from tests.sensors.reading import free_port, read_all, read_on
from tests.sensors.studio import Specs, Studio
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

NetworkCamera = Any


def test_a_file_plays_its_frames_at_the_rate_of_the_spec(studio: Studio, specs: Specs) -> None:
    frames = studio.frames(24, (48, 64))
    path = studio.write("played.mp4", frames, fps=16, video=("libx264rgb", "rgb24"), options={"qp": "0"})
    before = active_count()
    camera = Camera(path)
    for _ in range(2):  # a closed sensor may be opened again
        camera.open(specs["video"])
        taken = read_all(camera)
        camera.close()
        camera.close()
        assert active_count() == before
        shown = np.stack([np.asarray(sample.data) for sample in taken])
        assert shown.shape[1:] == (32, 32, 3)
        numbers = studio.numbers(shown)
        # 8 of 16 frames a second; a reader that was late may have missed some.
        assert set(numbers) <= set(range(0, 24, 2))
        assert numbers == sorted(set(numbers))
        assert [sample.cut for sample in taken] == [True] + [False] * (len(taken) - 1)
        steps = np.diff([sample.time for sample in taken])
        np.testing.assert_allclose(steps, np.diff(numbers) / 16, atol=1e-6)
    with pytest.raises(SensorLostError, match=r"played\.mp4: is closed"):
        camera.read(0)


def test_what_cannot_be_opened_is_reported_in_one_line_and_nothing_else(
    studio: Studio, specs: Specs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise, pipe = tmp_path / "noise.mp4", tmp_path / "pipe"
    noise.write_bytes(b"not a video" * 1000)
    os.mkfifo(pipe)
    film = studio.write("elsewhere.ts", studio.frames(8), video=("mpeg2video", "yuv420p"), fps=25)
    ways = ("concat", "subfile,,start,0,end,999999,,:", "crypto", "gopher", "RTSP,")
    bad = [
        (77, "camera 77: cannot be opened .* `sensemble doctor`"),
        ("77", "camera 77: cannot be opened .* `sensemble doctor`"),
        ("/dev/video77", "camera /dev/video77: cannot be opened"),
        (tmp_path / "gone.mp4", r"gone\.mp4: there is no such file"),
        (noise, r"noise\.mp4: cannot be decoded \(Invalid data .*name a video file"),
        *((path, r"not a regular file.*or the node of a camera") for path in (pipe, "/dev/zero", tmp_path)),
        *((f"{way}://{film}", r"no camera is at an address .*; give one of http, ") for way in ways),
        ("http://127.0.0.1:9/none", "no video comes from this address"),
    ]
    before = active_count()
    for source, reason in bad:
        with pytest.raises(SensorUnavailableError, match=reason) as error:
            Camera(source).open(specs["video"])
        assert "\n" not in str(error.value)
    with pytest.raises(SensorUnavailableError, match="gives video, not text"):
        Camera(0).open(specs["text"])
    assert active_count() == before
    assert capfd.readouterr() == ("", "")


def test_a_file_at_an_address_is_a_file(studio: Studio, specs: Specs) -> None:
    film = studio.write("at home.ts", studio.frames(8), video=("mpeg2video", "yuv420p"), fps=25)
    for address in (film.as_uri(), film.as_uri().replace("file", "FILE")):
        taken = Camera(address, name="front")
        assert (taken.name, taken.played) == ("front", True)
        taken.open(specs["video"])
        assert taken.read(30) is not None
        taken.close()


def test_a_network_camera_that_hangs_blocks_nobody_and_one_that_leaves_is_lost(
    network_camera: NetworkCamera, specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensemble_sensors.devices.camera._PATIENCE", PATIENCE)  # a machine may stand still
    before = active_count()
    camera = Camera(network_camera.address)
    for act in ("stall", "resize"):
        camera.open(specs["video"])
        network_camera.act = act
        if act == "stall":
            while camera.read(0.2) is not None:
                pass  # what was on its way; then None, though the grab hangs
            begin, network_camera.act = monotonic(), "well"
            later = [camera.read(30) for _ in range(3)][-1]  # two may be on their way
            assert later is not None
            assert later.time > begin, "the times that FFmpeg invents do not pause"
        else:
            shown = [camera.read(30) for _ in range(10)]
            assert {np.shape(sample.data) for sample in shown if sample} == {(32, 32, 3)}
            red, _, blue = np.mean([sample.data for sample in shown if sample], axis=(0, 1, 2))
            assert blue < 0.7 * red
        network_camera.switch_off()
        assert "gives no more pictures" in str(read_on(camera)[1])
        camera.close()
        network_camera.switch_on()
    wait_until(lambda: active_count() <= before + 2)  # the server's own
    network_camera.switch_off()
    with pytest.raises(SensorUnavailableError, match="no video comes from this address"):
        camera.open(specs["video"])


def test_an_isolated_camera_whose_driver_does_not_come_back_has_hung(
    network_camera: NetworkCamera, specs: Specs
) -> None:
    camera = Isolated(Camera, network_camera.address)
    camera.open(specs["video"])
    assert camera.read(30) is not None
    network_camera.act, camera.limits = "stall", Limits(hanging=1.0)
    assert "hung for 1 s; its process was killed" in str(read_on(camera)[1])
    camera.close()
    network_camera.act, camera.limits = "well", Limits()
    camera.open(specs["video"])
    assert camera.read(30) is not None
    camera.close()


def test_a_film_that_waits_for_its_next_picture_has_not_hung(studio: Studio, specs: Specs) -> None:
    film = studio.write("slow.mkv", studio.frames(2), ticks=[0, 5000])
    camera = Isolated(Camera, str(film))
    assert camera.limits.hanging < 5
    camera.open(specs["video"])
    numbers = studio.numbers(np.stack([np.asarray(sample.data) for sample in read_all(camera)]))
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1}
    camera.close()


@pytest.mark.parametrize("error", [TypeError, SystemExit])
def test_whatever_stops_the_capturing_is_raised_to_the_reader(error: type[BaseException]) -> None:
    def pictures() -> Generator[Sample, None, None]:
        yield Sample("video", np.zeros((2, 2, 3), np.uint8), 0.0)
        raise error("of no frame")

    box = SampleQueue(1)
    camera.queue_pictures(pictures(), box, Event(), "camera 0")
    assert box.get(0) is not None
    with pytest.raises(SensorLostError, match=rf"^camera 0: .*{error.__name__}: of no frame"):
        box.get(0)


def test_no_password_is_in_its_name() -> None:
    assert Camera("rtsp://me:se@cret@cam.local:554/one?a=b").name == "camera rtsp://cam.local:554/one?a=b"
    assert Camera("http://cam.local/one@two").name == "camera http://cam.local/one@two"
    assert Camera(0).name == "camera 0"


def test_a_film_is_played_and_a_camera_is_live_even_while_it_is_absent(studio: Studio) -> None:
    film = studio.write("film.mkv", studio.frames(2))
    for played in (Camera(film), Camera(str(film)), Isolated(Camera, str(film))):
        assert played.played
    for source in ("0", "/dev/video77", "/dev/v4l/by-id/usb-HD-index0", "http://cam.local/stream.mjpg"):
        assert not Camera(source).played


def test_the_clock_of_a_stream_may_start_again(specs: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    class Restarting:
        """A driver whose time goes back to 5 s after 40 pictures, as no real one does on demand."""

        count = -1

        def grab(self) -> bool:
            self.count += 1
            return self.count < 80

        def get(self, _: int) -> float:
            return 5000 + 50.0 * (self.count % 40)

        def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
            return True, np.zeros((4, 4, 3), np.uint8)

        def release(self) -> None:
            """Do nothing."""

    driver = Restarting()
    monkeypatch.setattr(camera, "monotonic", lambda: 0.05 * driver.count)
    monkeypatch.setattr(camera, "_open_stream", lambda *_: driver)
    pictures = camera._Driver("rtsp://x", "x").pictures(specs["video"])
    late = [0.05 * driver.count - picture.time for picture in islice(pictures, 60)]
    np.testing.assert_allclose(late, 0, atol=1e-6)


SENDER = Path(__file__).parents[1] / "push_stream.py"
LISTEN = """
import sys, time
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.spec import InputSpec
camera = Camera(sys.argv[1])
camera.open(InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8, 1.0, 0.5, 2.0))
for _ in range(int(sys.argv[2])):
    sample = camera.read(30)
    print(time.monotonic(), sample.time, flush=True)
camera.close()
"""


def test_pictures_of_a_stream_that_come_late_are_late() -> None:
    # FFmpeg serves no RTSP, but listens for one who sends.
    listening = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_flags;listen|listen_timeout;30|rtsp_transport;tcp"}
    port = free_port()
    address = f"rtsp://127.0.0.1:{port}/live"
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, address, "150"],
        env=os.environ | listening,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        wait_until(
            lambda: f":{port:04X} " in Path("/proc/net/tcp").read_text() or listener.poll() is not None
        )
        assert listener.poll() is None, "it listens before anyone sends"
        with subprocess.Popen([sys.executable, SENDER, address, "60", "61", "4.0"]) as pushing:
            output, _ = listener.communicate(timeout=PATIENCE)
            pushing.terminate()
    read, captured = np.array([line.split() for line in output.splitlines()], float).T[:, 20:]
    assert len(read) == 130
    waited, apart = np.diff(read), np.diff(captured)
    assert np.any((waited > 1) & (apart < 0.3)), "the one that was held back was captured without a pause"
    assert (read - captured)[-20:].min() < 1, "the last are not late any longer"


def test_a_file_may_have_any_name_and_an_address_that_opencv_dies_of_is_refused(
    studio: Studio, specs: Specs
) -> None:
    film = studio.write("film.mkv", studio.frames(2)).rename(studio.folder / "caf\udce9.mkv")
    for named in Camera(film), Isolated(Camera, str(film)):
        assert r"\udce9" in named.name
        named.open(specs["video"])
        assert named.read(30) is not None
        named.close()
    for odd in Camera("http://127.0.0.1:1/\udce9"), Isolated(Camera, "http://127.0.0.1:1/\udce9"):
        with pytest.raises(SensorUnavailableError, match="in UTF-8"):
            odd.open(specs["video"])
