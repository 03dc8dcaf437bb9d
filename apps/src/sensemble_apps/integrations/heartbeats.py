"""Keep heartbeats of a session in a folder of Parquet files, a day each; `sensemble fleet` reads them.

It needs the extra `fleet`. Nothing is sent anywhere.
"""

import bisect
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Self

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import (
    RecordedEvent,
    RecordedPrediction,
    read_events,
    read_predictions,
    read_runs,
)
from sensemble_runtime.session.session import Session
from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.supervision.events import STATES, Event

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.outputs import machine_id
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvent
from sensemble_apps.tables.heartbeats import (
    CONFIDENCES,
    LATENCIES,
    Heartbeat,
    HeldError,
    add,
    add_apart,
    merged,
    schema,
)

HOUR = 3600.0
EVERY = 300.0  # seconds between two writes; a power cut loses what came since
_KEPT = ("asleep", "attached", "recovered", "doubtful", "woken")  # all others neither sleep nor work
_MODELS = ("/sys/firmware/devicetree/base/model", "/sys/class/dmi/id/product_name")


class Beats:
    """Sums up predictions and events; times are in seconds since 1970.

    Attributes:
        live: the live set since the newest item.
        states: of the sensors that sleep or work, by modality and name. A modality sleeps while one of its
            sensors does and none works.
    """

    def __init__(self, device: str, model: str, bundle: str) -> None:
        self._names = device, model, bundle
        self.live = ""
        self.states: dict[tuple[str, str], str] = {}
        self._rows: list[Heartbeat] = []

    def note(
        self,
        item: Prediction | RecordedPrediction | Event,
        faults: Iterable[Event],
        at: float,
        passed: float,
    ) -> None:
        """Add an item, `passed` seconds after the one before; `faults` last, the oldest first."""
        self.advance(at, passed)
        if isinstance(item, Event) and item.kind in STATES:
            self.states.pop((item.modality, item.sensor), None)
            if item.kind in _KEPT:
                self.states[item.modality, item.sensor] = item.kind
        if not isinstance(item, Event):
            self._predicted(item, faults, at)
        elif item.kind == "live":
            self.live = item.text
        elif item.kind == "began":
            self._rows.append(self._row(at, self.live, moments=1))
        elif item.is_fault:
            self._rows.append(self._row(at, self.live, faults={_name(item): 1}))

    def advance(self, at: float, passed: float) -> None:
        """Let the live set last for `passed` seconds, until `at`."""
        for hour, seconds in _hours(at - passed, at):
            asleep = dict.fromkeys(self._asleep(), seconds)
            self._rows.append(self._row(hour, self.live, seconds=seconds, asleep=asleep))

    def taken(self) -> list[Heartbeat]:
        """Return the sums, and begin anew."""
        rows, self._rows = merged(self._rows), []
        return rows

    def _asleep(self) -> set[str]:
        working = {modality for (modality, _), state in self.states.items() if state != "asleep"}
        return {modality for modality, _ in self.states} - working

    def _predicted(
        self, prediction: Prediction | RecordedPrediction, faults: Iterable[Event], at: float
    ) -> None:
        newest = {
            fault.modality: _name(fault) for fault in faults if fault.modality not in ("", *prediction.live)
        }
        latencies, confidences = [0] * (len(LATENCIES) + 1), [0] * CONFIDENCES
        latencies[bisect.bisect_right(LATENCIES, 1e3 * sum(prediction.latencies.values()))] = 1
        confidences[min(int(CONFIDENCES * prediction.confidence), CONFIDENCES - 1)] = 1
        self._rows.append(
            self._row(
                at,
                subsets.name(prediction.live),
                answers=1,
                unsure=int(not prediction.sure),
                without=dict.fromkeys(newest.values(), 1),
                latencies=latencies,
                confidences=confidences,
            )
        )
        if len(self._rows) > 1 << 10:
            self._rows = merged(self._rows)

    def _row(self, at: float, live: str, **sums: object) -> Heartbeat:
        hour = datetime.fromtimestamp(at // HOUR * HOUR, UTC)
        return Heartbeat(hour, *self._names, live, **sums)  # type: ignore[arg-type]


def _name(fault: Event) -> str:
    return f"{fault.modality} {fault.kind}".strip()


class Counting:
    """Counts the items of a session by a clock; any thread may add one."""

    def __init__(self, bundle: Bundle, clock: Clock = REAL) -> None:
        self._beats = Beats(device(), model(), bundle.fingerprint)
        self._clock, self._last = clock, clock.now()
        self._view: Callable[[], View] | None = None
        self._lock = threading.Lock()

    def follow(self, session: Session) -> None:
        """Count what a session does from now on."""
        self._follow(session.view)
        session.subscribe(self.add)

    def show(self, event: ViewEvent) -> None:
        """Count an item of a stream."""
        if isinstance(event, Opened):
            self._follow(event.view)
        else:
            self.add(event.prediction if isinstance(event, Predicted) else event)

    def add(self, item: Prediction | Event) -> None:
        """Count a prediction or an event of the session that is followed."""
        faults = () if self._view is None else self._view().faults
        with self._lock:
            self._beats.note(item, faults, *self._times())

    def _follow(self, view: Callable[[], View]) -> None:
        with self._lock:
            self._view, now = view, view()
            self._beats.live = subsets.name(now.live)
            kept = (one for one in now.sensors if one.state in _KEPT)
            self._beats.states = {(one.modality, one.name): one.state for one in kept}

    def taken(self) -> list[Heartbeat]:
        """Return the sums until now, and begin anew."""
        with self._lock:
            self._beats.advance(*self._times())
            return self._beats.taken()

    def _times(self) -> tuple[float, float]:
        """Return the seconds since 1970, or of a virtual clock, and those since the last call."""
        now = self._clock.now()
        passed, self._last = now - self._last, now
        wall = self._clock.wall(now)
        return now if wall is None else wall, passed


class Heartbeats(Counting):
    """Adds the heartbeats of a session to a folder every five minutes, and at the end of the block.

    In Python: `with Heartbeats(FOLDER, bundle) as beats: beats.follow(session)`. Where another process holds
    the folder's lock, they wait, and the last ones get a file of their own. Raises InputError if the folder
    cannot be written.
    """

    def __init__(self, folder: str, bundle: Bundle, clock: Clock = REAL) -> None:
        if not folder:
            raise InputError("--output heartbeats: give heartbeats=FOLDER")
        schema()  # a missing package is said at once, not by a thread in five minutes
        self._folder = Path(folder)
        with suppress(HeldError):
            add(self._folder, [])
        super().__init__(bundle, clock)
        self._waiting: list[Heartbeat] = []  # could not be written yet
        self._over, self._written = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sensemble heartbeats", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        try:
            self._written.wait()
        except KeyboardInterrupt:  # a second Ctrl-C: the last write takes a moment
            self._written.wait()  # a join would not wait: Python takes a thread for ended if it breaks off
            raise
        self._thread.join()

    def _run(self) -> None:
        failed = False
        try:
            while not self._clock.wait(self._over, EVERY):
                failed = self._write(failed=failed)
            self._write(last=True)
        finally:
            self._written.set()

    def _write(self, *, failed: bool = False, last: bool = False) -> bool:
        self._waiting = merged([*self._waiting, *self.taken()])
        try:
            try:
                add(self._folder, self._waiting)
            except HeldError:
                if not last:
                    raise
                add_apart(self._folder, self._waiting)
        except (InputError, OSError) as error:
            if not failed:
                remark(f"sensemble: heartbeats are not written: {error}")
            return True
        return False


def device() -> str:
    """Return a hash that names this machine, and tells nothing of it."""
    return sha256(f"sensemble heartbeats {machine_id()}".encode()).hexdigest()[:12]


def model() -> str:
    """Return the model of this machine, `Raspberry Pi 4 Model B Rev 1.4`, or else its architecture."""
    for path in map(Path, _MODELS):
        with suppress(OSError):
            if found := path.read_text(errors="replace").strip("\0\n "):
                return found[:80]
    return platform.machine()


def recorded(record: Path, device: str, machine: str = "") -> list[Heartbeat]:
    """Return the heartbeats of a record's sessions, in order."""
    rows: list[Heartbeat] = []
    for run in read_runs(record):
        if run.kind == "session":
            beats, last = Beats(device, machine, run.bundle), run.began
            lasting: dict[str, Event] = {}  # the newest fault of each modality that gives nothing since
            items: list[RecordedEvent | RecordedPrediction] = [*read_events(record, run.id)]
            items += read_predictions(record, run.id)
            for item in sorted(items, key=lambda one: one.at):  # of one time, events come first: causes
                live = item.live if not isinstance(item, Event) or item.kind == "live" else ()
                for modality in live:
                    lasting.pop(modality, None)
                if isinstance(item, Event) and item.is_fault and item.modality:
                    lasting[item.modality] = item
                elif isinstance(item, Event) and item.kind in ("detached", "ended"):
                    lasting.pop(item.modality, None)  # no fault is to blame from here on
                beats.note(item, lasting.values(), item.at, max(0.0, item.at - last))
                last = max(last, item.at)
            beats.advance(run.ended or last, max(0.0, (run.ended or last) - last))
            rows += beats.taken()
    return merged(rows)


def _hours(start: float, stop: float) -> Iterator[tuple[float, float]]:
    """Yield the start of each hour in a span, and how much of it lies there."""
    while start < stop:
        hour = start // HOUR * HOUR
        yield hour, min(stop, hour + HOUR) - start
        start = hour + HOUR
