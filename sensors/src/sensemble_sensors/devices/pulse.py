"""The sources of a sound server, PulseAudio or PipeWire, through its tools `pactl` and `parec`."""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic

import numpy as np

from sensemble_sensors.devices.polled import Polled
from sensemble_sensors.devices.source_clock import SourceClock
from sensemble_sensors.errors import SensorLostError, SensorUnavailableError
from sensemble_sensors.polling import readable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

DEFAULT = "@DEFAULT_SOURCE@"  # the server's choice
_CHUNK = 0.05, 0.1  # seconds of sound in a sample
_WAITING = 64  # samples that wait for a slow reader
_STEADY = 40  # buffers, or 4 s of sound; the one with the least delay sets the clock
_HOLE = 1.0  # seconds without sound after which the clock is set anew
_PATIENCE = 10.0  # seconds that the server may take to answer: from a cold disk, its tool alone takes over 2
# Seconds to the next look without an event: doubled, for `pactl subscribe` takes a while to start.
_LOOKS = (0.2, 5.0)
_FIELD = re.compile(r"^\t(\w[\w ]*): (.*)$", re.MULTILINE)
# The marks of a sink that plays nowhere, of PulseAudio and of PipeWire.
_NULL_SINKS = ("\tDriver: module-null-sink.c\n", '\t\tfactory.name = "support.null-audio-sink"\n')
_DUMMY = "auto_null.monitor"  # the only source of a server to which nothing is connected


@dataclass(frozen=True, slots=True)
class Source:
    """A source that the clients of the server can capture."""

    name: str  # unique while the source is there
    description: str
    # Whether a watcher attaches it: anything but the monitor of an output, unless that is a null sink, which
    # is made to be captured.
    microphone: bool


def sources() -> list[Source] | None:
    """Return the sound server's sources; None without one, or without its tools.

    Raises SensorUnavailableError if it does not answer.
    """
    tool = shutil.which("pactl")
    if tool is None or shutil.which("parec") is None:
        return None
    try:
        run = subprocess.run(
            [tool, "list", "sources"],
            env=_untranslated(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            process_group=_group(),
        )
    except subprocess.TimeoutExpired as error:
        raise SensorUnavailableError(
            f"the sound server does not answer within {_PATIENCE:g} s; restart it "
            "(`systemctl --user restart pipewire-pulse` or `pulseaudio --kill`)"
        ) from error
    return None if run.returncode else parse(run.stdout.decode(errors="replace"))


def parse(listing: str) -> list[Source]:
    """Return the sources in the English output of `pactl list sources`; its JSON has ASCII alone."""
    parsed = []
    for block in re.split(r"^Source #\d+\n", listing, flags=re.MULTILINE)[1:]:
        # The first of a name counts, because a description may have several lines.
        fields: dict[str, str] = dict(reversed(_FIELD.findall(block)))
        name = fields.get("Name", "")
        played = fields.get("Monitor of Sink", "n/a") != "n/a" and not any(n in block for n in _NULL_SINKS)
        if name:
            parsed.append(Source(name, fields.get("Description", name), not played and name != _DUMMY))
    return parsed


class Capture(Polled):
    """Captures a source, or the default one, by a process of `parec`, until closed.

    PortAudio would take 20 MB and five threads for it. Raises OSError if the system has no process for it.
    """

    def __init__(self, source: str, name: str, spec: InputSpec) -> None:
        # A hop is a whole number of samples, or a window would wait for the rest of one.
        chunk = max(spec.hop / math.ceil(spec.hop / _CHUNK[1]), _CHUNK[0])
        self._modality, self._rate, self._size = spec.modality, spec.rate, 4 * round(chunk * spec.rate)
        self._clock, self._count, self._rest = SourceClock(_STEADY), 0, b""
        self._heard = monotonic()
        form = ("--raw", "--format=float32le", f"--rate={round(spec.rate)}", "--channels=1")
        self._process = _started(
            "parec", *form, f"--latency-msec={round(1000 * chunk)}", f"--device={source}"
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        file, queue = self._process.stdout.fileno(), SampleQueue(_WAITING, continuous=True)
        ended = SensorLostError(f"{name}: gives no more sound; is it still plugged in?")
        super().__init__(name, file, queue, self._samples, ended, owned=False, pause=0.0)
        gone = SensorLostError(f"{name}: was unplugged")
        self._watch: SourceWatch | None = None
        try:
            if source != DEFAULT:
                self._watch = SourceWatch(source, lambda: queue.end(gone))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop capturing."""
        if self._watch is not None:
            self._watch.close()
        self._process.kill()
        self._process.communicate()

    def _samples(self, data: bytes, now: float) -> Iterator[Sample]:
        # A source that is suspended, or exchanged for another, gives nothing for a while.
        cut = now - self._heard - len(data) / (4 * self._rate) > _HOLE
        if cut:
            self._clock, self._rest = SourceClock(_STEADY), b""
        self._heard = now
        self._count += len(data)
        self._rest += data
        end = self._clock.read(self._count / (4 * self._rate), now)
        while len(self._rest) >= self._size:
            piece, self._rest = self._rest[: self._size], self._rest[self._size :]
            wave = np.clip(np.frombuffer(piece, "<f4"), -1, 1)
            wave.flags.writeable = False
            yield Sample(self._modality, wave, end - len(self._rest) / (4 * self._rate), cut)
            cut = False


class SourceWatch:
    """Watches a source from its own thread until closed; calls `gone` once, when the source is removed.

    The server silently moves a client of a removed source to another one. Raises OSError if the system has no
    process or thread for it.
    """

    def __init__(self, source: str, gone: Callable[[], None]) -> None:
        self._source = source
        self._gone = gone
        self._stop = Event()
        # Unlike `parec`, it writes too seldom to notice that its reader was killed. If the thread that starts
        # it ends, it ends too, and the watch still looks now and then.
        lapsing = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        self._changes = _started(*lapsing, "pactl", "subscribe")
        self._thread = Thread(target=self._run, name=f"watch of {source}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._changes.kill()
        self._thread.join(_PATIENCE)
        self._changes.communicate()

    def _run(self) -> None:
        look = _LOOKS[0]
        while not self._stop.is_set():
            try:
                present = sources()
            except SensorUnavailableError:  # it hangs, and gives no sound, which the health check notices
                present = [Source(self._source, "", microphone=True)]
            if self._source not in [source.name for source in present or ()]:
                self._gone()
                return
            self._wait(look)
            look = min(2 * look, _LOOKS[1])

    def _wait(self, timeout: float) -> None:
        changes, until = self._changes.stdout, monotonic() + timeout
        while changes is not None and (left := until - monotonic()) > 0 and readable(changes.fileno(), left):
            events = os.read(changes.fileno(), 1 << 16)
            if b"'remove' on source #" in events:
                return
            if not events:
                self._stop.wait(left)
                return


def _started(tool: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [shutil.which(tool) or tool, *arguments],
        bufsize=0,
        env=_untranslated(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=_group(),
    )


def _group() -> int | None:
    """Return a tool's process group: Ctrl-C is not for it, and a sensor's own process ends as a group."""
    return None if os.getsid(0) == os.getpid() else 0


def _untranslated() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C"}
