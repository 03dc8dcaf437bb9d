"""The sensors of a session: which are attached, which of a modality feeds its windows, what becomes of each.

It runs nothing but its readers' threads, and shares the session's composition under the session's lock.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import count

from sensemble_sensors.errors import SampleError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import kind_name
from sensemble_sensors.thresholds import Thresholds

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.events import Event, FeedEvent, Kind, explain
from sensemble_runtime.session.live_set import Composition
from sensemble_runtime.session.sensor_thread import Reader


class Suite:
    """Keeps the sensors of a session, each read by a `Reader`, and pushes what they give.

    Of several sensors of one modality the one attached last feeds it; while that one is lost or unwell, the
    one before takes over.

    Args:
        bundle: says which modalities there are, and loads their encoders.
        composition: takes the samples.
        health: when a sensor counts as unwell; None: never.
        changed: the session's lock, notified whenever something changes. The properties, `attach`, `detach`,
            `retry`, `lose` and `stop` need it held.
        pending: whether a window of a modality is still to be encoded, or being so.
        left: called, with the lock held, when a modality left the composition.
        send: called, with the lock held, with each event.
        ended: called, with the lock held, when the last sensor has ended by itself.
    """

    def __init__(
        self,
        bundle: Bundle,
        composition: Composition,
        health: Thresholds | None,
        changed: threading.Condition,
        *,
        pending: Callable[[str], bool],
        left: Callable[[], None],
        send: Callable[[Event], None],
        ended: Callable[[], None],
    ) -> None:
        self._bundle = bundle
        self._composition = composition
        self._health = health
        self._changed = changed
        self._pending, self._left, self._send, self._ended = pending, left, send, ended
        self._readers: dict[str, Reader] = {}  # attached, in the order of attaching
        self._running: list[Reader] = []  # whose threads may still run
        self._giving: set[Reader] = set()  # have given a sample since they were opened
        self._feeding: dict[str, Reader] = {}  # by modality, whose samples are in its ring
        self._fed: dict[str, str] = {}  # by modality, the name that was last told of it
        self._mute: set[Reader] = set()  # whose first sample was waited for once, in vain
        self._over = False

    @property
    def over(self) -> bool:
        """Whether the last sensor has ended by itself."""
        return self._over

    @property
    def modalities(self) -> set[str]:
        """Those of the attached sensors, without what is lost, cannot be opened or is unwell."""
        here = ("", "attached", "well", "doubtful")
        return {r.modality for r in self._readers.values() if r.told[0] in here}

    @property
    def starting(self) -> set[str]:
        """The modalities of sensors that are open, and whose first sample is to be waited for.

        Not captions, which come when they come; and none that was waited for before, or a dead sensor would
        cost the others time.
        """
        here = self._composition.modalities
        return {r.modality for r in self._opened_only if r.modality not in here and r not in self._mute}

    def await_no_longer(self, modalities: Collection[str]) -> None:
        """Note that the sensors of `modalities` that are starting were waited for in vain."""
        self._mute |= {reader for reader in self._opened_only if reader.modality in modalities}

    @property
    def _opened_only(self) -> set[Reader]:
        """The sensors, but for captions, that are open and have given nothing yet."""
        silent = set(self._readers.values()) - self._giving
        return {r for r in silent if r.told[0] == "attached" and self._bundle.specs[r.modality].hop > 0}

    def attach(self, sensor: Sensor) -> str:
        """Start reading `sensor`, and return the name by which to detach it; see `Session.attach`."""
        if sensor.modality not in self._bundle.specs:
            raise SessionError(
                f"{sensor.name}: the bundle has no encoder for {sensor.modality!r}; "
                f"it has {', '.join(self._bundle.modalities)}"
            )
        if any(reader.sensor is sensor for reader in self._readers.values()):
            raise SessionError(f"{sensor.name}: already attached; detach it first")
        names = (sensor.name if n == 1 else f"{sensor.name} ({n})" for n in count(1))
        name = next(name for name in names if name not in self._readers)
        self._running = [reader for reader in self._running if reader.thread.is_alive()]
        before = [reader.thread for reader in self._running if reader.sensor is sensor]
        spec = self._bundle.specs[sensor.modality]
        reader = Reader(
            name,
            sensor,
            spec,
            self._health,
            before,
            opened=self._opened,
            gave=self._gave,
            felt=self._felt,
            beside=self._beside,
            failed=self._failed,
        )
        self._over = False
        self._readers[name] = reader
        self._running.append(reader)
        if (feeding := self._feeding.get(reader.modality)) is not None:
            self._tell_feeding(feeding)  # now that it is one of several
        reader.thread.start()
        return name

    def detach(self, name: str) -> bool:
        """Stop reading a sensor; see `Session.detach`."""
        reader = self._readers.pop(name, None)
        if reader is None:
            return False
        reader.stop()
        self._tell(reader, "detached", "")
        self._leave(reader)
        self._mute.discard(reader)
        self._changed.notify_all()
        return True

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; see `Session.retry`."""
        reader = self._readers.get(name)
        if reader is not None and reader.told[0] in ("lost", "unavailable"):
            reader.retry()
        return reader is not None

    def lose(self, name: str, reason: str) -> bool:
        """Take a sensor for lost; see `Session.lose`."""
        reader = self._readers.get(name)
        if reader is not None:
            reader.lose(reason)
        return reader is not None

    def stop(self) -> list[Reader]:
        """Stop reading every sensor; return the readers whose threads may still run."""
        for reader in self._readers.values():
            reader.stop()
        self._changed.notify_all()
        return list(self._running)

    # What the readers tell, from their own threads.

    def _opened(self, reader: Reader) -> None:
        self._load(reader)
        with self._changed:
            if not reader.stopped.is_set():
                self._tell(reader, "attached", "")

    def _gave(self, reader: Reader, sample: Sample) -> None:
        modality = reader.modality
        if sample.modality != modality:
            raise SampleError(f"{modality}: gave a sample of {sample.modality}")
        with self._changed:
            absent = modality not in self._composition.modalities and not reader.stopped.is_set()
        if absent:
            self._load(reader)
        with self._changed:
            if reader.stopped.is_set():
                return
            first = reader not in self._giving
            self._giving.add(reader)
            self._mute.discard(reader)
            givers = [r for r in self._readers.values() if r in self._giving and r.modality == modality]
            if givers[-1] is not reader:
                return
            self._composition.add(modality)
            if self._feeding.get(modality) is not reader:
                self._feeding[modality] = reader
                self._tell_feeding(reader)
                sample = replace(sample, cut=True)
            self._composition.push(sample)
            if first or self._composition.ready:
                self._changed.notify_all()

    def _felt(self, reader: Reader, kind: Kind, reason: str) -> None:
        with self._changed:
            if reader.stopped.is_set():
                return
            self._tell(reader, kind, reason)
            if kind == "unwell":
                self._leave(reader)
            self._changed.notify_all()

    def _beside(self, reader: Reader) -> float | None:
        partner = kind_of(reader.modality).partner
        return next((r.lag for m, r in self._feeding.items() if kind_name(m) == partner), None)

    def _failed(self, reader: Reader, error: BaseException) -> None:
        kind, reason = explain(error)
        with self._changed:
            if kind == "ended":
                self._changed.wait_for(lambda: reader.stopped.is_set() or not self._has_window(reader))
            if kind == "failed" or not reader.stopped.is_set():
                self._tell(reader, kind, reason)
            self._leave(reader, ended=kind == "ended")
            if kind in ("ended", "failed"):
                reader.stop()
                self._mute.discard(reader)
                if self._readers.get(reader.name) is reader:
                    del self._readers[reader.name]
                    self._over = not self._readers
                    if self._over:
                        self._ended()
            self._changed.notify_all()

    def _load(self, reader: Reader) -> None:
        """Load what encoding needs in the reader's thread, so that neither the encoder nor the lock waits."""
        modality = reader.modality
        self._bundle.load(modality)
        if kind_of(modality).tokenized:
            self._bundle.tokenize("")
        with self._changed:
            if reader.stopped.is_set() and not self._has_other(reader):  # detached while it loaded
                self._bundle.unload(modality)

    # What is done with the lock held.

    def _has_window(self, reader: Reader) -> bool:
        return self._feeding.get(reader.modality) is reader and self._pending(reader.modality)

    def _leave(self, reader: Reader, *, ended: bool = False) -> None:
        modality = reader.modality
        self._giving.discard(reader)
        feeds = self._feeding.get(modality) is reader
        if feeds:
            del self._feeding[modality]
        if modality not in self._feeding:
            # What a source said last, before it was over, holds as long as if it had gone on; and one that
            # never fed takes back nothing.
            leave = self._composition.remove if feeds and not ended else self._composition.end
            leave(modality, keep=self._has_other(reader))
            self._left()

    def _has_other(self, reader: Reader) -> bool:
        """Whether another attached sensor needs the same encoder."""
        others = (r for r in self._readers.values() if r is not reader and not r.stopped.is_set())
        return any(other.modality == reader.modality for other in others)

    def _tell_feeding(self, reader: Reader) -> None:
        """Tell that a sensor feeds its modality, unless that is known: who never had company does."""
        told = self._fed.get(reader.modality)
        if told != reader.name and (told is not None or self._has_other(reader)):
            self._fed[reader.modality] = reader.name
            self._send(FeedEvent(time.monotonic(), reader.name, reader.modality))

    def _tell(self, reader: Reader, kind: Kind, reason: str) -> None:
        """Tell what became of a sensor, before it leaves the live set for that: the cause comes first."""
        if (news := reader.news(kind, reason)) is not None:
            self._send(news)
