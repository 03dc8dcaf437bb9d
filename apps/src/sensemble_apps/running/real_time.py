"""Run a session in real time: on devices, on a media file, on a recording or on a replay of a dataset."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.errors import EncoderError, SessionError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.sensor_host import SensorHost
from sensemble_runtime.session.session import Session
from sensemble_runtime.subsets import Subset
from sensemble_sensors.degraded import captured
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Appeared, DeviceEvent, Finder, SearchFailed, Watcher
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import span
from sensemble_sensors.recording.reader import Recorded, RecordingReplay
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec, together
from sensemble_sensors.supervision.events import STATES, Event
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.inputs import player_of
from sensemble_apps.running.view_events import Opened, ViewEvents, view_event

_STOPS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM  # the last is a late one of the others

Schedule = Sequence[Subset]
"""The modalities that are plugged in, in each part of the stream; all parts are equally long."""


@dataclass(frozen=True)
class Options:
    """Options of a run on any source, named as those of `Session`; the record is of real time only.

    Attributes:
        retention: the bounds of the record.
        conditions: the degradations of the samples.
    """

    policy: Policy = field(default_factory=Policy)
    record: Path | None = None
    retention: Retention | None = None
    conditions: Sequence[Applied] = ()
    adapt: Adapter | None = None


@contextmanager
def opened(
    bundle: Bundle, options: Options, health: Thresholds | None = None, *, lasting: bool = False
) -> Iterator[Session]:
    """Open a session, close it at the end, and remark how much of its stream was not shown."""
    with ExitStack() as stack:
        with _signals_held():  # or a run would be in the record that nobody ends
            session = Session(bundle, health=health, lasting=lasting, **vars(options))
            stack.callback(_end, session)
        yield session


def devices(
    bundle: Bundle,
    sensors: Sequence[Sensor],
    options: Options,
    *,
    health: Thresholds | None = DEFAULT,
    finders: Sequence[Finder] = (),
    make: Callable[[Device], Sensor] | None = None,
) -> ViewEvents:
    """Run on `sensors` until the last of them has ended; one that fails is tried again and again.

    A device that `finders` find is back: its named sensor is tried at once, or `make` makes one, which is
    attached. With `make`, nothing ends the run.

    Raises:
        SensorUnavailableError: none of them can be used at first, and no other will be found; says why.
        InputError: every one of them ended by failure.
        SessionError: the bundle has no encoder for one of them.
        RecordError: the record cannot be opened or written.
    """
    first: dict[str, Event] = {}
    with ExitStack() as stack:
        session = stack.enter_context(opened(bundle, options, health, lasting=make is not None))
        began = session.clock.now()
        yield Opened(began, session.view, session)
        named = {session.attach(sensor): sensor.modality for sensor in sensors}
        if make is not None and not sensors:
            remark("waiting for devices: what is here or is plugged in is used; `sensemble doctor` lists it")
        if finders:
            hotplug = Hotplug(session, make) if make is not None else None
            stack.enter_context(
                Watcher(finders, partial(retry, session, named, hotplug), clock=session.clock)
            )
        for item in whole_stream(session):
            if isinstance(item, Event):
                if item.sensor in named:
                    first.setdefault(item.sensor, item)
                unusable = all(event.kind in ("unavailable", "failed") for event in first.values())
                if make is None and first.keys() == named.keys() and unusable:
                    raise SensorUnavailableError("; ".join(event.text for event in first.values()))
            yield view_event(item, began)


def retry(host: SensorHost, named: Mapping[str, str], hotplug: Hotplug | None, event: DeviceEvent) -> None:
    """Retry a named sensor whose device is back, and leave every other device to `hotplug`."""
    if isinstance(event, SearchFailed):
        remark(f"sensemble: {event.reason}")
    elif isinstance(event, Appeared) and event.device.modality in named.values():
        for name, modality in named.items():
            if modality == event.device.modality:
                host.retry(name)
    elif hotplug is not None:
        hotplug(event)


def replay(
    bundle: Bundle,
    played: Sequence[Example] | Recorded,
    options: Options,
    schedule: Schedule | None = None,
) -> ViewEvents:
    """Play examples one after another, or a recording, in real time; sensors come and go by `schedule`.

    Raises:
        BadDataError: a media file cannot be decoded.
        InputError: every sensor ended by failure, as with a bundle that cannot be used.
        RecordError: the record cannot be opened or written.
    """
    specs = {m: captured(options.conditions, spec) for m, spec in bundle.specs.items()}
    player = player_of(played, specs)
    length = 0.0 if isinstance(played, Recorded) else span(bundle.specs) * len(played)
    schedule = schedule or [player.modalities]
    attached: dict[str, str] = {}  # names by modality
    with opened(bundle, options) as session:
        began = session.clock.now()
        yield Opened(began, session.view, session)
        _plug(session, player, attached, schedule[0])
        with player:
            for item in whole_stream(session):
                share = (
                    (session.clock.now() - began) / length if length else 1.0
                )  # captions alone take no time
                if share < 1:  # after that, the session may be closed
                    _plug(session, player, attached, plugged_at(schedule, share))
                shown = view_event(item, began, player.example_at)
                # A dataset has one sensor of each modality, without a name, as in a fast replay.
                if isinstance(shown, Event) and isinstance(player, Replay):
                    shown = replace(shown, sensor="")
                yield shown


def come_and_go(specs: Mapping[str, InputSpec]) -> Schedule:
    """Start with all sensors, unplug all but the last one by one, and plug them back in the same order.

    The most important sensor goes first, and those of a device go together. Every sensor is there in the
    first part and in the last.
    """
    leaving = sorted(together(specs), key=lambda unit: -words_of(unit[0]).weight)[:-1]
    gone = [leaving[:i] for i in range(len(leaving) + 1)] + [leaving[i:] for i in range(1, len(leaving) + 1)]
    return [tuple(m for m in specs if not any(m in unit for unit in absent)) for absent in gone]


def plugged_at(schedule: Schedule, fraction: float) -> Subset:
    """Return the modalities that are plugged in at `fraction` of the stream."""
    return schedule[min(int(fraction * len(schedule)), len(schedule) - 1)]


def _plug(
    session: Session, player: Replay | RecordingReplay, attached: dict[str, str], plugged: Subset
) -> None:
    for modality in attached.keys() - set(plugged):
        session.detach(attached.pop(modality))
    for modality in plugged:
        if modality not in attached:
            attached[modality] = session.attach(player.sensor(modality))


def whole_stream(session: Session) -> Iterator[Prediction | Event]:
    """Yield the stream of a session to its end, with the reports of its closing.

    Raises:
        InputError: every sensor ended by failure, as with a bundle that cannot be used; says why.
        EncoderError: nothing was predicted, because the encoders failed.
    """
    last: dict[str, Event] = {}
    failures: dict[str, str] = {}
    predicted = False
    for item in _to_its_end(session):
        if isinstance(item, Prediction):
            predicted = True
        elif item.kind in STATES and not item.label:
            last[item.sensor] = item
        elif item.kind == "encoder failed":
            failures[item.modality] = item.text
        yield item
    if last and all(event.kind == "failed" for event in last.values()):
        raise InputError("; ".join(event.text for event in last.values()))
    if failures and not predicted:
        raise EncoderError("; ".join(failures.values()))


def _to_its_end(session: Session) -> Iterator[Prediction | Event]:
    yield from session.stream()
    _close(session)
    yield from session.stream()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let a signal that comes in the block act after it."""
    held: list[int] = []
    handlers = {number: handler for number in _STOPS if callable(handler := signal.getsignal(number))}
    if threading.current_thread() is not threading.main_thread():  # which alone they meet
        handlers = {}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: held.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _end(session: Session) -> None:
    try:
        _close(session)
    finally:
        missed = session.missed + session.missed_events
        if missed:
            remark(f"sensemble: {missed} predictions and events came too fast to be shown")


def _close(session: Session) -> None:
    try:
        session.close()
    except SessionError as error:  # a sensor that does not stop changes nothing about how the run ended
        remark(f"sensemble: {error}")
