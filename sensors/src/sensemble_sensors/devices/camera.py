"""A camera, a network stream or a video file as a sensor, through OpenCV."""

import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Protocol
from urllib.request import url2pathname

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.devices.clock import Clock
from sensemble_sensors.devices.discovery import without_credentials
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.libraries import opencv
from sensemble_sensors.lines import is_unicode
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_PATIENCE = 5.0  # seconds that a stream may take to open or to go on, and that `close` waits for a driver
_STEADY = 1000  # pictures, half a minute or more, of which the one with the least delay sets the clock
_TIMED = ("rtsp", "rtsps", "rtmp", "srt", "udp")  # carry times; for MJPEG over HTTP, FFmpeg invents them
# Schemes of streams. FFmpeg knows others that lead to files of this machine, such as `concat` and `subfile`.
_STREAMS = (*_TIMED, "http", "https", "rtmps", "rtp", "tcp")
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # of the environment; OpenCV hands them on to FFmpeg


_opening = Lock()  # of the environment, while it holds the options of one file


class _Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here; it has no types of its own."""

    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]: ...
    def get(self, prop: int) -> float: ...
    def isOpened(self) -> bool: ...  # noqa: N802
    def release(self) -> None: ...


@dataclass(slots=True)
class _Wait:
    """The time at which the driver was last asked; None while it owes no answer."""

    since: float | None = None


class Camera:
    """Gives the newest picture, RGB of the spec's size; a thread captures all the time.

    A camera or a network stream gives pictures at its own rate. Where they carry times (V4L2, RTSP, RTMP,
    SRT, UDP), the picture with the least delay sets the clock for all, so that pictures held back in a buffer
    count as late. Elsewhere (MJPEG over HTTP) a picture counts as captured on arrival. A file is played in
    real time, by its own timestamps, at the spec's rate or its own, whichever is lower.

    Args:
        source: a camera's number (`0` or "0"), its node (a path that leads to /dev/video0 when the camera is
            opened), the address of a stream (http://, rtsp://, ...), or a video file (its path, or file:///...).
        name: of the sensor; by default made of the source, without user and password.
    """

    modality = "video"

    def __init__(self, source: int | str | Path, name: str | None = None) -> None:
        self.name = printable(name or f"camera {without_credentials(str(source))}")
        self._given = source
        self._queue: SampleQueue | None = None
        self._given_queue: SampleQueue | None = None
        self._stop = Event()
        self._wait = _Wait()
        self._thread = Thread()

    @property
    def live(self) -> bool:
        """True if it captures what happens now; a video file is played."""
        source = _source(self._given)
        return not (isinstance(source, Path) and source.is_file())

    @property
    def answered(self) -> float:
        """The time of the driver's last answer; see `Driven`."""
        since = self._wait.since
        return monotonic() if since is None else since

    def capture_into(self, queue: SampleQueue) -> None:
        """Put pictures, from the next `open` on, into `queue`; see `Driven`."""
        self._given_queue = queue

    def open(self, spec: InputSpec) -> None:
        """Open the camera and start capturing.

        Raises:
            SensorUnavailableError: the camera, stream or file does not exist or cannot be used, or `spec` is
                not of video; says what to do.
        """
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives video, not {spec.modality}")
        self.close()
        source = _source(self._given)
        if not is_unicode(str(source)):  # which ends the process
            raise SensorUnavailableError(f"{self.name}: OpenCV takes a name in UTF-8 alone; rename it")
        if isinstance(source, int) and sys.platform == "linux" and not Path(f"/dev/video{source}").exists():
            # An absent camera is tried again and again: loading OpenCV would take most of each try.
            raise SensorUnavailableError(f"{self.name}: {_remedy(source)}")
        scheme = source.partition("://")[0] if isinstance(source, str) else ""
        if scheme and scheme not in _STREAMS:
            known = ", ".join(sorted(_STREAMS))
            raise SensorUnavailableError(
                f"{self.name}: no camera is at an address {scheme}://; give one of {known}, "
                "or the path of a file"
            )
        cv2 = opencv()
        capture: _Capture
        if isinstance(source, str):
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            options = [item for limit in limits for item in (limit, int(1000 * _PATIENCE))]
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)
        elif isinstance(source, Path):
            capture = _open_file(source, self.name)
        else:
            capture = cv2.VideoCapture(source)
        if not capture.isOpened():
            raise SensorUnavailableError(f"{self.name}: {_remedy(source)}")
        self._wait = _Wait()
        if isinstance(source, Path):
            shots = _played(capture, spec, self.name, self._wait)
        else:
            timed = isinstance(source, int) or scheme in _TIMED
            shots = _captured(capture, spec, self.name, self._wait, timed=timed)
        self._stop, self._queue = Event(), self._given_queue or SampleQueue(1)
        # A daemon, because a driver may hang in the kernel, where no thread can be stopped.
        self._thread = Thread(
            target=_capture,
            args=(capture, shots, self._queue, self._stop, self.name),
            name=self.name,
            daemon=True,
        )
        self._thread.start()

    def read(self, timeout: float) -> Sample | None:
        """Return the newest picture, or None when none came within `timeout` seconds; see `Sensor`."""
        if self._queue is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._queue.get(timeout)

    def close(self) -> None:
        """Stop capturing and release the camera."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        self._queue = None


def _source(source: int | str | Path) -> int | str | Path:
    """Return a camera's number (int), the address of a stream (str) or a file (Path)."""
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return int(source)
    if isinstance(source, str) and "://" in source:
        scheme, _, rest = source.partition("://")
        if scheme.lower() != "file":
            return f"{scheme.lower()}://{rest}"
        source = url2pathname(rest)
    node = re.fullmatch(r"/dev/video(\d+)", str(Path(source).resolve()))
    return int(node[1]) if node else Path(source)


def _open_file(source: Path, name: str) -> _Capture:
    """Open a video file, and nothing that it names: OpenCV would follow a playlist to files and addresses.

    Raises:
        SensorUnavailableError: it is no video.
    """
    # PyAV takes memory that a camera does not need.
    from sensemble_sensors.codecs.containers import OPTIONS
    from sensemble_sensors.codecs.tracks import frame_size

    try:
        frame_size(source)
    except BadDataError as error:
        raise SensorUnavailableError(f"{name}: {_remedy(source)}") from error
    cv2 = opencv()
    # The file may be another one by now, so OpenCV gets the same limits as PyAV.
    limits = "|".join(f"{option};{OPTIONS[option]}" for option in ("format_whitelist", "protocol_whitelist"))
    with _opening:
        before = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = limits
        try:
            # An absolute path cannot be taken for an address, and no other backend knows the limits.
            capture: _Capture = cv2.VideoCapture(str(source.absolute()), cv2.CAP_FFMPEG)
        finally:
            os.environ.pop(_OPTIONS)
            if before is not None:
                os.environ[_OPTIONS] = before
    return capture


def _remedy(source: int | str | Path) -> str:
    node = f"/dev/video{source}"
    if isinstance(source, str):
        return "no video comes from this address; check it, and the network"
    if isinstance(source, Path):
        if source.exists() and not source.is_file():
            return "is neither a video file nor the node of a camera (/dev/videoN)"
        return "OpenCV cannot decode this file" if source.exists() else "there is no such file"
    if Path(node).exists() and not os.access(node, os.R_OK | os.W_OK):
        return f"you may not use {node}; join its group with 'sudo usermod -aG video $USER' and log in again"
    return "cannot be opened (absent, or in use); `sensemble doctor` lists the cameras of this machine"


def _capture(capture: _Capture, shots: Iterator[Sample], queue: SampleQueue, stop: Event, name: str) -> None:
    """Put pictures into the queue, none before its time, until `stop` is set or the source has ended."""
    try:
        for shot in shots:
            if stop.wait(shot.time - monotonic()):
                return
            queue.put(shot)
    except SensorsError as error:
        queue.end(error)
    except opencv().error as error:
        queue.end(SensorLostError(f"{name}: OpenCV failed ({error.err})"))
    except BaseException as error:  # noqa: BLE001 - otherwise the reader would wait for ever
        queue.end(SensorLostError(f"{name}: capturing failed ({type(error).__name__}: {error})"))
    finally:
        capture.release()


def _grab(capture: _Capture, wait: _Wait) -> bool:
    wait.since = monotonic()
    try:
        return capture.grab()
    finally:
        wait.since = None


def _captured(capture: _Capture, spec: InputSpec, name: str, wait: _Wait, *, timed: bool) -> Iterator[Sample]:
    """Yield the pictures of a camera or a stream as they come."""
    position_property = opencv().CAP_PROP_POS_MSEC
    clock, last = Clock(_STEADY), -math.inf
    while _grab(capture, wait):
        now = monotonic()
        position = capture.get(position_property) / 1000 if timed else 0.0
        if position <= last:  # there are no times, or they start again
            clock = Clock(_STEADY)
        last = position
        yield _shot(capture, spec, name, clock.read(position, now))
    raise SensorLostError(f"{name}: gives no more pictures; is it still plugged in?")


def _played(capture: _Capture, spec: InputSpec, name: str, wait: _Wait) -> Iterator[Sample]:
    """Yield the first frame of a file at or after each step of the spec's rate, with its time to be shown."""
    origin = monotonic()
    step = 0
    while _grab(capture, wait):
        at = capture.get(opencv().CAP_PROP_POS_MSEC) / 1000
        if at + 0.0005 >= step / spec.rate:
            step = math.floor((at + 0.0005) * spec.rate) + 1
            try:
                shot = _shot(capture, spec, name, origin + at)
            except SensorLostError as error:  # a lost sensor is reopened, and the film would start again
                raise SensorEndedError(str(error)) from error
            yield shot
    raise SensorEndedError(f"{name}: has ended")


def _shot(capture: _Capture, spec: InputSpec, name: str, time: float) -> Sample:
    cv2 = opencv()
    good, image = capture.retrieve()
    if not good:
        raise SensorLostError(f"{name}: gave a picture that cannot be decoded")
    _, _, height, width, _ = spec.shape
    picture = fit(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (height, width))
    picture.flags.writeable = False
    return Sample("video", picture, time)
