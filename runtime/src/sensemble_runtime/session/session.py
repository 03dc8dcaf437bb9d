"""A session: a bundle running on live sensors, which come and go.

An `Engine` decides. One thread reads each sensor, one encodes each modality, one keeps the time, one serves
each subscriber, and one keeps the record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sensemble_sensors.clock import REAL, Clock, Patience
from sensemble_sensors.degraded import captured
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.supervision.events import Event, describe
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.engine import EncodeOrder, Engine, FreeOrder
from sensemble_runtime.engine.live_set import WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.view import View
from sensemble_runtime.errors import RecordError, SessionError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.background import BackgroundWriter
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session import sensor_host
from sensemble_runtime.session.adaptation import Adaptation
from sensemble_runtime.session.sensor_host import SensorHost
from sensemble_runtime.session.stream_queue import StreamQueue
from sensemble_runtime.session.window_encoder import EncoderThread, WindowEncoder

if TYPE_CHECKING:  # its codecs are loaded by the first replay
    from sensemble_sensors.recording.replay import Player


class Session(SensorHost):
    """Sensors in, predictions and events out; a context manager.

    `stream` yields predictions and events; `moments` what begins and ends, a word or an activity; iterating
    the session yields predictions alone. All read one
    bounded queue: when the consumer is slow, old predictions are dropped, long before the first event is.
    They end when the session is closed or, unless it is `lasting`, its last sensor has ended. They raise the
    errors of subscribers. Failures of sensors, encoders and the record are events, and are tried again.

    Sensors attach and detach at any time, from any thread. Of several sensors of one modality, the one
    attached last is active: its samples are used. While it is lost or unhealthy, the one before takes over.

    Args:
        bundle: an open bundle; a modality's encoder is loaded when its sensor is opened.
        record: a record file to which to add a run, within the bounds of `retention` (1 GB).
        health: when a sensor counts as unhealthy, so that its samples are not used; None: never.
        conditions: degrade the samples of each sensor by those of its modality.
        lasting: go on when the last sensor has ended.
        adapt: lets the sensors teach each other; closed with the session.
        clock: the time of all that waits but sensors themselves.

    Raises:
        PolicyError: sensors should sleep, and the bundle has no policy for that.
        RecordError: the record cannot be opened or written at first.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: Policy | None = None,
        record: Path | str | None = None,
        retention: Retention | None = None,
        health: Thresholds | None = DEFAULT,
        conditions: Sequence[Applied] = (),
        lasting: bool = False,
        adapt: Adapter | None = None,
        clock: Clock = REAL,
    ) -> None:
        policy = policy or Policy()
        self._engine = Engine(bundle, policy, adapt, health, conditions)
        self._lasting = lasting
        self._players: list[Player] = []
        self._queue = StreamQueue()
        self._ended: float | None = None  # when it was closed
        self._error: Exception | None = None  # which ended the session
        self._raised = False
        self._stuck: set[object] = set()  # sensors, encoders and subscribers that did not return
        self._encoders: dict[str, EncoderThread] = {}
        super().__init__(self._engine, conditions, clock)
        self._writer: BackgroundWriter | None = None
        if record is not None:
            keep = retention or Retention()
            try:
                self._writer = BackgroundWriter(
                    bundle, Path(record), keep, report=self._report, failed=self._fail, clock=clock
                )
            except RecordError:
                with self._lock:
                    self._stop()
                self._timekeeper.join()
                if adapt is not None:
                    adapt.close()
                raise
            self._item_queues.append(self._writer.queue)
        self._adaptation: Adaptation | None = None
        if adapt is not None:
            self._adaptation = Adaptation(adapt, self._studied, self._report, self._fail, clock)
            self._item_queues.append(self._adaptation.queue)
        encode = WindowEncoder(bundle, policy)
        self._encoders |= {
            m: EncoderThread(m, encode, self._encoded, self._unencoded) for m in bundle.modalities
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        """Write it in a few lines: what each sensor does, and the newest answer."""
        view = self.view()
        own = [f"  {one.modality}: {one.name}, {one}" for one in view.sensors if one.attached]
        lines = own or ["  no sensor is attached"]
        return "\n".join(
            (f"<Session of {view.bundle.path}", *lines, f"  {view.prediction or 'nothing is live'}>")
        )

    def __iter__(self) -> Iterator[Prediction]:
        return (item for item in self.stream() if isinstance(item, Prediction))

    def stream(self) -> Iterator[Prediction | Event]:
        """Yield each prediction and each event once, in order; raise the error that ended the session."""
        while (item := self._next()) is not None:
            yield item
        self._raise_once()

    def moments(self) -> Iterator[Event]:
        """Yield what begins and ends: the events `began` and `ended` of the stream, in order."""
        return (item for item in self.stream() if isinstance(item, Event) and item.label)

    @property
    def bundle(self) -> Bundle:
        """The bundle that answers."""
        return self._engine.bundle

    def replace_head(self, other: Bundle) -> bool:
        """Answer with the head, labels and audit of another bundle from now on.

        False if its encoders are others, or the sensors teach each other by the head that is there.
        """
        return bool(self._call(self._engine.replace_head, other))

    @property
    def live(self) -> tuple[str, ...]:
        """The live set now, sorted."""
        with self._lock:
            return () if self._ended is not None else self._engine.live(self.clock.now())

    def view(self) -> View:
        """Return the state of each sensor, the newest answer, and the faults: all of this moment."""
        with self._lock:
            view = self._engine.view(self.clock.now() if self._ended is None else self._ended)
        if self._writer is None or self._writer.failure is None:
            return view
        return replace(view, faults=(*view.faults, self._writer.failure))

    @property
    def missed(self) -> int:
        """The number of predictions dropped because the consumer was slow."""
        return self._queue.missed

    @property
    def missed_events(self) -> int:
        """The number of events dropped because the consumer was slow."""
        return self._queue.missed_events

    def replay(self, path: Path | str) -> "Player":
        """Play a recording, a dataset or a media file in real time, by a sensor for each of its modalities.

        Raises BadDataError if it cannot be read, or has nothing for this bundle, and as `attach`.
        """
        from sensemble_sensors.media.dataset import read_dataset
        from sensemble_sensors.recording.reader import Recorded, RecordingReplay, is_recording
        from sensemble_sensors.recording.replay import MediaReplay, Replay

        path, specs = Path(path), self._engine.specs
        if not path.exists():
            raise BadDataError(f"{path}: no such file or folder; name a dataset, a recording or a media file")
        forms = {modality: captured(self._conditions, spec) for modality, spec in specs.items()}
        player: Player
        if not path.is_dir():
            player = MediaReplay(path, forms)
        elif is_recording(path):
            player = RecordingReplay(Recorded(path, read_dataset(path).examples, specs), forms)
        else:
            player = Replay(read_dataset(path).examples, forms)
        for modality in player.modalities:
            self.attach(player.sensor(modality))
        self._players.append(player)
        player.start(self.clock)
        return player

    def teach(self, label: str) -> None:
        """Teach every live sensor that its newest window shows `label`; AdaptError if that cannot be."""
        self._call(self._engine.label, label)

    def wake(self) -> None:
        """Wake all sensors that sleep (`Policy.sparing`), for a minute."""
        self._call(self._engine.wake)

    def close(self) -> None:
        """Stop every thread, finish the record and free the encoders; closing twice is allowed.

        All sensors, encoders and subscribers together have 5 s to return, and up to 3 s more to clean up. The
        disk has 30 s for the record and 10 s for corrections.

        Raises:
            SessionError: a thread did not return in time. It is left behind, and keeps no process from
                ending, unless it frees an encoder.
            RecordError, AdaptError: the record, or corrections, could not be written.
            BadDataError: a replayed file could not be decoded.
            Exception: the error of a subscriber, if no consumer has got it.
        """
        bundle, again = self.bundle, bool(self._stuck)
        patience = Patience(self.clock, 0.0 if again else sensor_host.CLOSE)
        rest = 0.0 if again else sensor_host.KILL  # seconds for subscribers that waited for a stuck sensor
        with self._lock:
            self._ended = self.clock.now() if self._ended is None else self._ended
            self._stop()
        for encoder in self._encoders.values():
            patience.join(encoder.thread)
        encoding = {m for m, encoder in self._encoders.items() if encoder.thread.is_alive()}
        left = [reader for reader in self._join(patience) if reader not in self._stuck]
        with self._lock:
            for modality in {*bundle.modalities} - encoding:
                bundle.unload(modality)
        freed = bundle.settle(Patience(self.clock, max(patience.left, sensor_host.KILL)))
        for player in self._players:
            try:
                player.close()
            except BadDataError as error:
                self._error = self._error or error
        if self._adaptation is not None:
            unsaved = self._adaptation.finish()
            self._error = self._error or unsaved
        if self._writer is not None:
            unwritten = self._writer.finish(complete=self._error is None)
            self._error = self._error or unwritten
        for subscriber in self._subscribers:
            subscriber.close()
        if any(subscriber.is_current_thread for subscriber in self._subscribers):
            return  # a subscriber closes the session; its thread ends when it returns
        patience = Patience(self.clock, max(patience.left, rest))
        busy = [subscriber for subscriber in self._subscribers if not subscriber.join(patience.left)]
        stuck: set[object] = {*encoding, *left, *busy} | (set() if freed else {bundle})
        new, self._stuck = stuck - self._stuck, self._stuck | stuck  # each is waited for and named once
        self._raise_once()
        running = [
            *_counted("the {} encoder", "encoders ({})", sorted(encoding & new)),
            *(["the freeing of encoders"] if bundle in new else []),
            *_counted("a subscriber", "subscribers", [""] * len(new & {*busy})),
            *_counted("{}", "sensors ({})", [reader.name for reader in left]),
        ]
        if running:
            what, seconds = ", ".join(running), sensor_host.CLOSE
            raise SessionError(f"{what}: did not stop within {seconds:g} s; still running and left behind")

    def _next(self) -> Prediction | Event | None:
        """Wait for the next item; return None at the end."""
        with self._lock:
            self._arrived.wait_for(
                lambda: self._queue or self._stopped or (self._suite.over and not self._lasting)
            )
            return self._queue.get() if self._queue else None

    def _raise_once(self) -> None:
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error

    # Called by the threads.

    def _prepare(self, modality: str) -> None:
        self.bundle.load(modality)
        if kind_of(self._engine.specs[modality]).tokenized:
            self.bundle.tokenize("")
        self._call(self._engine.loaded, modality)

    def _encoded(self, window: WindowEmbedding) -> None:
        self._call(self._engine.encoded, window)

    def _unencoded(self, modality: str, error: BaseException) -> None:
        self._call(self._engine.encoder_failed, modality, error)

    def _studied(self) -> None:
        self._call(self._engine.studied)

    def _report(self, event: Event) -> None:
        """Give an event of the record or of the adaptation to the consumer and to every subscriber."""
        with self._lock:
            self._deliver(event)

    def _fail(self, error: BaseException) -> None:
        """End the session with an error, which the consumer gets."""
        if not isinstance(error, Exception):  # it would silently end the consumer's thread
            error, cause = SessionError(f"{describe(error)}, from a subscriber or an encoder"), error
            error.__cause__ = cause
        with self._lock:
            self._error = self._error or error
            self._stop()

    # With the lock held.

    def _handle(self, output: Any) -> None:  # noqa: ANN401 - whatever an engine returns
        if isinstance(output, EncodeOrder):
            self._encoders[output.window.modality].put(output.window)
        elif isinstance(output, FreeOrder):
            self.bundle.unload(output.modality)
        else:
            super()._handle(output)

    def _deliver(self, item: Prediction | Event) -> None:
        item = replace(item, at=self.clock.wall(item.time))
        self._queue.put(item)
        super()._deliver(item)

    def _stop(self) -> None:
        super()._stop()
        for encoder in self._encoders.values():
            encoder.end()


def _counted(one: str, several: str, names: Sequence[str]) -> list[str]:
    if len(names) > 1:
        return [f"{len(names)} {several.format(', '.join(names))}"]
    return [one.format(name) for name in names]
