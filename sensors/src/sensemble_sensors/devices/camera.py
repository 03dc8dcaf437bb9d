"""A camera or a network stream (through OpenCV), or a video file (through PyAV), as a sensor."""

import math
import os
import re
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.devices.discovery import cameras, without_credentials
from sensemble_sensors.devices.source_clock import SourceClock
from sensemble_sensors.devices.watcher import Finder, named_source
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.libraries import opencv
from sensemble_sensors.sample_queue import QueuedSensor, SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import is_unicode

if TYPE_CHECKING:
    import cv2

_PATIENCE = 5.0  # seconds that a stream may take to open or to go on, and that `close` waits for a driver
_SPARE = 2  # pictures given for each one that the spec needs, so that one is near each of its steps
_STEADY = 1000  # pictures, half a minute or more; the one with the least delay sets the clock
_TIMED = ("rtsp", "rtsps", "rtmp", "srt", "udp")  # carry times; for MJPEG over HTTP, FFmpeg invents them
# Schemes of streams. FFmpeg knows others that lead to files of this machine, such as `concat` and `subfile`.
_STREAMS = (*_TIMED, "http", "https", "rtmps", "rtp", "tcp")


class Camera(QueuedSensor):
    """Gives the newest picture of the spec's size, RGB or of one channel; a thread captures all the time.

    A camera or a network stream gives pictures at its own rate. Where they carry times (V4L2, RTSP, RTMP,
    SRT, UDP), the picture with the least delay sets the clock for all, so that pictures held back in a buffer
    count as late. Elsewhere (MJPEG over HTTP) a picture counts as captured on arrival. A file is played in
    real time at the spec's rate.

    Args:
        source: a camera's number (`0` or "0"), its node (a path that leads to /dev/video0 when the camera is
            opened), the address of a stream (http://, rtsp://, ...), or a video file (its path, or
            file:///...).
        name: of the sensor; by default the source without user and password.
    """

    native = True  # its driver may hang, or end the process
    present = staticmethod(cameras)

    def __init__(self, source: int | str | Path, name: str | None = None, modality: str = "video") -> None:
        self.modality = modality
        self.name = printable(name or f"camera {without_credentials(str(source))}")
        self._location = source
        self._stop = Event()
        self._driver: _Driver | None = None
        self._thread = Thread()

    @staticmethod
    def watch(source: str, modality: str) -> Finder | None:
        """Return the finder of a camera at an address; None for any other."""
        return named_source(source, modality) if "://" in source else None

    @property
    def played(self) -> bool:
        """False for a camera or a stream; true for a video file."""
        source = _source(self._location)
        return isinstance(source, Path) and source.is_file()

    @property
    def answered(self) -> float:
        """See `Driven`."""
        asked = self._driver.asked if self._driver is not None else None
        return monotonic() if asked is None else asked

    def open(self, spec: InputSpec) -> None:
        """Open the camera and start capturing; raise SensorUnavailableError, which says what to do."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        source = _source(self._location)
        if isinstance(source, Path):
            pictures = _film(source, spec, self.name)
        else:
            self._driver = _Driver(source, self.name, grey=bool(spec.channels))
            pictures = self._driver.pictures(spec)
        self._stop, self._queue = Event(), SampleQueue(1)
        # A daemon, because a driver may hang in the kernel, where no thread can be stopped.
        self._thread = Thread(
            target=queue_pictures,
            args=(pictures, self._queue, self._stop, self.name),
            name=self.name,
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop capturing and release the camera."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        self._driver = None
        super().close()


def _source(source: int | str | Path) -> int | str | Path:
    """Return a camera's number (int), the address of a stream (str) or a file (Path)."""
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return int(source)
    if isinstance(source, str) and "://" in source:
        scheme, _, rest = source.partition("://")
        if scheme.lower() != "file":
            return f"{scheme.lower()}://{rest}"
        source = unquote(rest)
    node = re.fullmatch(r"/dev/video(\d+)", str(Path(source).resolve()))
    return int(node[1]) if node else Path(source)


class _Driver:
    def __init__(self, source: int | str, name: str, *, grey: bool = False) -> None:
        self.asked: float | None = None  # for the picture that it has not given yet
        self._name = name
        self._timed = isinstance(source, int) or source.partition("://")[0] in _TIMED
        self._capture = _open_number(source, name) if isinstance(source, int) else _open_stream(source, name)
        self._grey = grey
        if grey:
            _ask_for_grey(self._capture)

    def pictures(self, spec: InputSpec) -> Generator[Sample, None, None]:
        cv2 = opencv()
        clock, last, due = SourceClock(_STEADY), -math.inf, -math.inf
        period = 1 / (_SPARE * spec.rate)
        try:
            while self._grab():
                now = monotonic()
                position = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._timed else 0.0
                if position <= last:  # there are no times, or they start again
                    clock = SourceClock(_STEADY)
                last = position
                time = clock.read(position, now)
                if time < due - period / 2:  # nobody needs it, so it is neither converted nor sent
                    continue
                due = max(due, time - period) + period
                good, image = self._capture.retrieve()
                if not good:
                    raise SensorLostError(f"{self._name}: gave a picture that cannot be decoded")
                if not self._grey:
                    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                elif image.ndim == 2 and image.dtype in (np.uint8, np.uint16):
                    image = image.astype(np.uint16)[..., None]
                else:
                    raise SensorLostError(
                        f"{self._name}: gives {image.dtype} {list(image.shape)}, not one channel of 8 or 16 "
                        f"bits; name a thermal or depth camera, or declare no channels of {spec.modality}"
                    )
                picture = fit(image, (spec.shape[2], spec.shape[3]))
                picture.flags.writeable = False
                yield Sample(spec.modality, picture, time)
            raise SensorLostError(f"{self._name}: gives no more pictures; is it still plugged in?")
        finally:
            self._capture.release()

    def _grab(self) -> bool:
        self.asked = monotonic()
        try:
            return self._capture.grab()
        finally:
            self.asked = None


def _open_number(number: int, name: str) -> "cv2.VideoCapture":
    node = Path(f"/dev/video{number}")
    # An absent camera is tried again and again: loading OpenCV would take most of each try.
    if sys.platform != "linux" or node.exists():
        capture: cv2.VideoCapture = opencv().VideoCapture(number)
        if capture.isOpened():
            return capture
    if node.exists() and not os.access(node, os.R_OK | os.W_OK):
        remedy = (
            f"you may not use {node}; join its group with 'sudo usermod -aG video $USER' and log in again"
        )
    else:
        remedy = "cannot be opened (absent, or in use); `sensemble doctor` lists the cameras of this machine"
    raise SensorUnavailableError(f"{name}: {remedy}")


def _ask_for_grey(capture: "cv2.VideoCapture") -> None:
    """Ask for pictures as they are, of 16 bits or else of 8; `pictures` checks what comes."""
    library = opencv()
    capture.set(library.CAP_PROP_CONVERT_RGB, 0)
    for code in ("Y16 ", "GREY"):
        if capture.set(library.CAP_PROP_FOURCC, library.VideoWriter.fourcc(*code)):
            return


def _open_stream(address: str, name: str) -> "cv2.VideoCapture":
    if not is_unicode(address):  # which ends the process
        raise SensorUnavailableError(f"{name}: OpenCV takes addresses in UTF-8 only")
    scheme = address.partition("://")[0]
    if scheme not in _STREAMS:
        known = ", ".join(sorted(_STREAMS))
        raise SensorUnavailableError(
            f"{name}: no camera is at an address {scheme}://; give one of {known}, or the path of a file"
        )
    library = opencv()
    limits = (library.CAP_PROP_OPEN_TIMEOUT_MSEC, library.CAP_PROP_READ_TIMEOUT_MSEC)
    options = [item for limit in limits for item in (limit, int(1000 * _PATIENCE))]
    # Each of FFmpeg's threads would hold back a picture, and wake for each.
    options += [library.CAP_PROP_N_THREADS, 1]
    capture: cv2.VideoCapture = library.VideoCapture(address, library.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise SensorUnavailableError(f"{name}: no video comes from this address; check it, and the network")
    return capture


def _film(path: Path, spec: InputSpec, name: str) -> Generator[Sample, None, None]:
    # PyAV takes memory that a camera does not need.
    from sensemble_sensors.codecs.tracks import frame_size, video_frames

    def play() -> Generator[Sample, None, None]:
        origin = monotonic()
        try:
            size, grey = (spec.shape[2], spec.shape[3]), bool(spec.channels)
            for i, picture in enumerate(video_frames(path, spec.rate, size, grey=grey)):
                yield Sample(spec.modality, picture, origin + i / spec.rate)
        except BadDataError as error:
            raise SensorEndedError(f"{name}: {error}") from error
        raise SensorEndedError(f"{name}: has ended")

    if not path.exists():
        raise SensorUnavailableError(f"{name}: there is no such file")
    try:
        frame_size(path)
    except BadDataError as error:
        raise SensorUnavailableError(
            f"{error}; name a video file, or the node of a camera (/dev/videoN)"
        ) from error
    return play()


def queue_pictures(
    pictures: Generator[Sample, None, None], queue: SampleQueue, stop: Event, name: str
) -> None:
    """Queue pictures until `stop`, or until an error, which the queue then raises."""
    try:
        with closing(pictures):
            for picture in pictures:
                if stop.wait(picture.time - monotonic()):
                    return
                queue.put(picture)
    except SensorsError as error:
        queue.end(error)
    except BaseException as error:  # noqa: BLE001 - otherwise the reader would wait for ever
        queue.end(SensorLostError(f"{name}: capturing failed ({type(error).__name__}: {error})"))
