"""A session: a bundle running on live sensors, which come and go.

One thread reads each sensor, one encodes each modality, one serves each subscriber, and one keeps the record.
They share a `SessionState`.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sensemble_sensors.conditioned import captured
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import AdaptError, RecordError, SessionError
from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.background import BackgroundWriter
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session import sensor_thread
from sensemble_runtime.session.adaptation import Adaptation
from sensemble_runtime.session.encoder_threads import EncoderThreads
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.sensor_host import SensorHost
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import join
from sensemble_runtime.session.state import SessionState

if TYPE_CHECKING:  # its codecs are loaded by the first replay
    from sensemble_sensors.recording.replay import Player


class Session(SensorHost):
    """Sensors in, predictions and events out; a context manager.

    `stream` yields predictions and events; iterating the session yields predictions alone. Both read one
    bounded queue: when the consumer is slow, old predictions are dropped, long before the first event is.
    Both end when the session is closed or, unless it is `lasting`, its last sensor has ended. They raise the
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

    Raises:
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
    ) -> None:
        policy = policy or Policy()
        bundle.threads = policy.threads
        self._lasting = lasting
        self._adapter = adapt
        self._state = SessionState(bundle, policy, adapt)
        super().__init__(self._state, SensorSet(self._state, health, conditions))
        self._conditions = conditions
        self._players: list[Player] = []
        self._encoders = EncoderThreads(bundle, self._state, self._sensors, policy)
        self._stuck: set[object] = set()  # sensors, encoders and subscribers that did not return
        self._raised = False
        self._writer: BackgroundWriter | None = None
        if record is not None:
            try:
                self._writer = BackgroundWriter(
                    bundle,
                    Path(record),
                    retention or Retention(),
                    report=self._state.report,
                    failed=self._state.fail,
                )
            except RecordError:
                if adapt is not None:
                    adapt.close()
                raise
            self._state.subscribers.append(self._writer.queue)
        self._adaptation = Adaptation(adapt, self._state) if adapt is not None else None
        self._encoders.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Prediction]:
        return (item for item in self.stream() if isinstance(item, Prediction))

    def stream(self) -> Iterator[Prediction | Event]:
        """Yield each prediction and each event once, in order; raise the error that ended the session."""
        while (item := self._state.wait_for_item(self._is_over)) is not None:
            yield item
        self._raise_once()

    @property
    def bundle(self) -> Bundle:
        """The bundle that answers."""
        return self._state.live_set.bundle

    def replace_head(self, other: Bundle) -> bool:
        """Answer with the head, labels and audit of another bundle from now on.

        False if its encoders are others, or the sensors teach each other by the head that is there.
        """
        with self._state.changed:
            made = None if self._adapter else self.bundle.with_head(other)
            if made is not None:
                self._state.live_set.replace_head(made)
        return made is not None

    @property
    def live(self) -> tuple[str, ...]:
        """The live set now, sorted."""
        with self._state.changed:
            return self._state.live_set.live(time.monotonic())

    @property
    def retries(self) -> dict[str, float]:
        """The time at which each lost or unavailable sensor is tried again, by name, on `time.monotonic`."""
        with self._state.changed:
            return self._sensors.retries

    @property
    def missed(self) -> int:
        """The number of predictions dropped because the consumer was slow."""
        return self._state.queue.missed

    @property
    def missed_events(self) -> int:
        """The number of events dropped because the consumer was slow."""
        return self._state.queue.missed_events

    def replay(self, path: Path | str) -> "Player":
        """Play a recording, a dataset or a media file in real time, by a sensor for each of its modalities.

        Raises BadDataError if it cannot be read, or has nothing for this bundle, and as `attach`.
        """
        from sensemble_sensors.media.dataset import read_dataset
        from sensemble_sensors.recording.reader import Recorded, RecordingReplay, is_recording
        from sensemble_sensors.recording.replay import MediaReplay, Replay

        path, specs = Path(path), self._state.specs
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
        player.start()
        return player

    def lose(self, name: str, reason: str) -> bool:
        """Close a sensor, report it as lost for `reason`, and try it again; False if it is not attached."""
        with self._state.changed:
            return self._sensors.lose(name, reason)

    def teach(self, label: str) -> None:
        """Teach every live sensor that its newest window shows `label`; AdaptError if that cannot be."""
        with self._state.changed:
            if self._adapter is None:
                raise AdaptError("teach: this session does not adapt; open it with adapt=Adapter(bundle)")
            now = time.monotonic()
            self._adapter.label(label, self._state.live_set.newest(now), now)

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
        state, bundle, again = self._state, self.bundle, bool(self._stuck)
        deadline = time.monotonic() + (0.0 if again else sensor_thread.CLOSE)
        rest = 0.0 if again else sensor_thread.KILL  # seconds for subscribers that waited for a stuck sensor
        with state.changed:
            state.closed = True
            state.wake()
            threads = [thread for thread in self._sensors.stop() if thread not in self._stuck]
        encoding = self._encoders.join(deadline)
        left = join(threads, deadline)
        self._stuck |= {*left}
        state.clear(keep=encoding)
        freed = bundle.settle(max(deadline, time.monotonic() + sensor_thread.KILL))
        for player in self._players:
            try:
                player.close()
            except BadDataError as error:
                state.error = state.error or error
        if self._adaptation is not None:
            unsaved = self._adaptation.finish()
            state.error = state.error or unsaved
        if self._writer is not None:
            unwritten = self._writer.finish(complete=state.error is None)
            state.error = state.error or unwritten
        for subscriber in self._subscribers:
            subscriber.close()
        if any(subscriber.is_current_thread for subscriber in self._subscribers):
            return  # a subscriber closes the session; its thread ends when it returns
        deadline = max(deadline, time.monotonic() + rest)
        busy = [s for s in self._subscribers if not s.join(max(0.0, deadline - time.monotonic()))]
        stuck: set[object] = {*encoding, *left, *busy} | (set() if freed else {bundle})
        new, self._stuck = stuck - self._stuck, self._stuck | stuck  # each is waited for and named once
        self._raise_once()
        running = [
            *_counted("the {} encoder", "encoders ({})", sorted(encoding & new)),
            *(["the freeing of encoders"] if bundle in new else []),
            *_counted("a subscriber", "subscribers", [""] * len(new & {*busy})),
            *_counted("{}", "sensors ({})", [thread.name for thread in left]),
        ]
        if running:
            what, seconds = ", ".join(running), sensor_thread.CLOSE
            raise SessionError(f"{what}: did not stop within {seconds:g} s; what runs on is left behind")

    def _is_over(self) -> bool:
        return self._sensors.over and not self._lasting

    def _raise_once(self) -> None:
        error = self._state.error
        if error is not None and not self._raised:
            self._raised = True
            raise error


def _counted(one: str, several: str, names: Sequence[str]) -> list[str]:
    if len(names) > 1:
        return [f"{len(names)} {several.format(', '.join(names))}"]
    return [one.format(name) for name in names]
