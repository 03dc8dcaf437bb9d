"""A camera, a network stream or a video file as a sensor, through OpenCV."""

import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.devices.clock import Clock
from sensemble_sensors.devices.discovery import without_user
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
)
from sensemble_sensors.libraries import opencv
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_PATIENCE = (
    5.0  # seconds that a stream may take to open or to go on, and that `close` waits for a hanging driver
)
_STEADY = 1000  # pictures, half a minute or more, of which the one that came soonest tells the time of all
_TIMED = (
    "rtsp",
    "rtsps",
    "rtmp",
    "srt",
    "udp",
)  # what carries times; for MJPEG over HTTP, FFmpeg invents them


class _Capture(Protocol):
    """What is used here of `cv2.VideoCapture`, which has no types of its own."""

    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]: ...
    def get(self, prop: int) -> float: ...
    def release(self) -> None: ...


@dataclass(slots=True)
class _Wait:
    """Since when the driver owes an answer; None while it owes none."""

    since: float | None = None


class Camera:
    """Gives the newest picture, RGB and of the spec's size, from a thread that captures all the time.

    A camera or a network stream gives pictures at its own rate. Where they carry times (V4L2, RTSP, RTMP,
    SRT, UDP), each counts as captured when it would have come had it been as quick as the quickest, so that
    what a buffer holds back is late. Elsewhere (MJPEG over HTTP) it counts as captured when it came. A file
    is played in real time, by its own timestamps, at the spec's rate or its own, whichever is lower.

    Args:
        source: a camera's number (`0` or "0"), its node (a path that leads to /dev/video0 whenever the camera
            is opened), the address of a stream (http://, rtsp://, ...), or a video file.
        name: what the sensor is called; by default, after its source, without a user and password in it.
    """

    modality = "video"

    def __init__(self, source: int | str | Path, name: str | None = None) -> None:
        self.name = name or f"camera {without_user(str(source))}"
        self._given = source
        self._box: SampleQueue | None = None
        self._stop = Event()
        self._wait = _Wait()
        self._thread = Thread()

    @property
    def live(self) -> bool:
        """Whether it shows what happens now; a video file is played, and over some time."""
        source = _source(self._given)
        return not (isinstance(source, Path) and source.is_file())

    @property
    def answered(self) -> float:
        """When the driver last answered; see `Driven`."""
        since = self._wait.since
        return monotonic() if since is None else since

    def open(self, spec: InputSpec) -> None:
        """Open the camera and start to capture.

        Raises:
            SensorUnavailableError: there is no such camera, stream or file, it cannot be used, or `spec` is
                not one of video; says what to do.
        """
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives video, not {spec.modality}")
        self.close()
        source = _source(self._given)
        if isinstance(source, int) and sys.platform == "linux" and not Path(f"/dev/video{source}").exists():
            # One that is away is tried again and again: without loading OpenCV, which takes most of a try.
            raise SensorUnavailableError(f"{self.name}: {_remedy(source)}")
        cv2 = opencv()
        if isinstance(source, str):
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            options = [item for limit in limits for item in (limit, int(1000 * _PATIENCE))]
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)
        elif isinstance(source, Path):
            _check_file(source, self.name)
            # By no other backend, and by a path that cannot be taken for an address.
            capture = cv2.VideoCapture(str(source.absolute()), cv2.CAP_FFMPEG)
        else:
            capture = cv2.VideoCapture(source)
        if not capture.isOpened():
            raise SensorUnavailableError(f"{self.name}: {_remedy(source)}")
        self._wait = _Wait()
        if isinstance(source, Path):
            shots = _played(capture, spec, self.name, self._wait)
        else:
            timed = isinstance(source, int) or urlsplit(source).scheme in _TIMED
            shots = _captured(capture, spec, self.name, self._wait, timed=timed)
        self._stop, self._box = Event(), SampleQueue(1)
        # A daemon, because a driver may hang in the kernel, where no thread can be stopped.
        self._thread = Thread(
            target=_capture,
            args=(capture, shots, self._box, self._stop, self.name),
            name=self.name,
            daemon=True,
        )
        self._thread.start()

    def read(self, timeout: float) -> Sample | None:
        """Return the newest picture, or None when none came within `timeout` seconds; see `Sensor`."""
        if self._box is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._box.get(timeout)

    def close(self) -> None:
        """Stop to capture and release the camera."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        self._box = None


def _source(source: int | str | Path) -> int | str | Path:
    """Tell apart a camera's number (int), the address of a stream (str) and a file (Path)."""
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return int(source)
    if isinstance(source, str) and "://" in source:
        return source
    node = re.fullmatch(r"/dev/video(\d+)", str(Path(source).resolve()))
    return int(node[1]) if node else Path(source)


def _check_file(source: Path, name: str) -> None:
    """See that a file is itself a video: OpenCV would follow a playlist to any file and into the network."""
    from sensemble_sensors.codecs.tracks import frame_size  # PyAV takes memory that a camera does not need

    try:
        frame_size(source)
    except BadDataError as error:
        raise SensorUnavailableError(f"{name}: {_remedy(source)}") from error


def _remedy(source: int | str | Path) -> str:
    node = f"/dev/video{source}"
    if isinstance(source, str):
        return "no video comes from this address; check it, and the network"
    if isinstance(source, Path):
        return "OpenCV cannot decode this file" if source.exists() else "there is no such file"
    if Path(node).exists() and not os.access(node, os.R_OK | os.W_OK):
        return f"you may not use {node}; join its group with 'sudo usermod -aG video $USER' and log in again"
    return "cannot be opened (absent, or in use); `sensemble doctor` lists the cameras of this machine"


def _capture(capture: _Capture, shots: Iterator[Sample], box: SampleQueue, stop: Event, name: str) -> None:
    """Put pictures into the box, none before its time, until told to stop or the source is over."""
    try:
        for shot in shots:
            if stop.wait(shot.time - monotonic()):
                return
            box.put(shot)
    except SensorsError as error:
        box.end(error)
    except opencv().error as error:
        box.end(SensorLostError(f"{name}: OpenCV failed ({error.err})"))
    except BaseException as error:  # noqa: BLE001 - or whoever reads would wait for ever
        box.end(SensorLostError(f"{name}: capturing failed ({type(error).__name__}: {error})"))
    finally:
        capture.release()


def _grab(capture: _Capture, wait: _Wait) -> bool:
    wait.since = monotonic()
    try:
        return capture.grab()
    finally:
        wait.since = None


def _captured(capture: _Capture, spec: InputSpec, name: str, wait: _Wait, *, timed: bool) -> Iterator[Sample]:
    """Yield what a camera or a stream gives, as it comes."""
    position_property = opencv().CAP_PROP_POS_MSEC
    clock, last = Clock(_STEADY), -math.inf
    while _grab(capture, wait):
        now = monotonic()
        position = capture.get(position_property) / 1000 if timed else 0.0
        if position <= last:  # there are no times, or they begin anew
            clock = Clock(_STEADY)
        last = position
        yield _shot(capture, spec, name, clock.read(position, now))
    raise SensorLostError(f"{name}: gives no more pictures; is it still plugged in?")


def _played(capture: _Capture, spec: InputSpec, name: str, wait: _Wait) -> Iterator[Sample]:
    """Yield the first frame of a file at or after each step of the spec's rate, with the time to show it."""
    origin = monotonic()
    step = 0
    while _grab(capture, wait):
        at = capture.get(opencv().CAP_PROP_POS_MSEC) / 1000
        if at + 0.0005 >= step / spec.rate:
            step = math.floor((at + 0.0005) * spec.rate) + 1
            try:
                shot = _shot(capture, spec, name, origin + at)
            except SensorLostError as error:  # or it would be opened again, and begin anew
                raise SensorEndedError(str(error)) from error
            yield shot
    raise SensorEndedError(f"{name}: has ended")


def _shot(capture: _Capture, spec: InputSpec, name: str, time: float) -> Sample:
    cv2 = opencv()
    good, image = capture.retrieve()
    if not good:
        raise SensorLostError(f"{name}: gave a picture that cannot be decoded")
    _, _, height, width, _ = spec.shape
    return Sample("video", fit(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (height, width)), time)
