"""Run a session in real time: on devices, on a media file, on a recording or on a replay of a dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import EncoderError, SessionError
from sensemble_runtime.events import EncoderEvent, Event, SensorEvent
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices import watcher
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Appeared, Finder, SearchFailed, Watcher
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.degrading import captured
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.example_stream import span
from sensemble_sensors.recording.reader import Recorded, RecordingReplay
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.running.plug_schedule import Phase, phase_at
from sensemble_apps.running.view_events import Change, Opened, Predicted, Stream, view_event

Observe = Callable[[Session], AbstractContextManager[object]]
"""Watches a session while the block runs."""


@dataclass(frozen=True)
class RecordFile:
    """The file that a session is recorded in, and its bounds."""

    path: Path
    retention: Retention


def devices(
    bundle: Bundle,
    sensors: Sequence[Sensor],
    policy: Policy,
    record: RecordFile | None,
    *,
    health: Thresholds | None = DEFAULT,
    conditions: Sequence[Applied] = (),
    adapt: Adapter | None = None,
    observe: Observe = nullcontext,
    finders: Sequence[Finder] = (),
    make: Callable[[Device], Sensor] | None = None,
) -> Stream:
    """Run on `sensors` until the last of them has ended; one that fails is tried again and again.

    A sensor is tried at once when `finders` find a device of its modality, because it is back. For a device
    of another modality, the sensor that `make` makes of it is attached; with `make`, nothing ends the run.

    Raises:
        SensorUnavailableError: none of them can be used at first, and no other will be found; says why.
        InputError: every one of them ended by failure.
        SessionError: the bundle has no encoder for one of them.
        RecordError: the record cannot be opened or written.
    """
    first: dict[str, SensorEvent] = {}
    began = monotonic()
    with ExitStack() as stack:
        session = stack.enter_context(
            _session(bundle, policy, record, health, conditions, adapt, observe, lasting=make is not None)
        )
        yield Opened(monotonic() - began, session)
        named = {session.attach(sensor): sensor.modality for sensor in sensors}
        if finders:
            hotplug = Hotplug(session, make) if make is not None else None
            stack.enter_context(Watcher(finders, partial(_found, session, named, hotplug)))
        for item in _stream(session):
            if isinstance(item, Prediction):
                yield Predicted(item.time - began, item, None)
                continue
            if isinstance(item, SensorEvent):
                if item.name in named:
                    first.setdefault(item.name, item)
                unusable = all(event.kind in ("unavailable", "failed") for event in first.values())
                if make is None and first.keys() == named.keys() and unusable:
                    raise SensorUnavailableError("; ".join(event.reason for event in first.values()))
            yield view_event(item, began)


def _found(
    session: Session, named: Mapping[str, str], hotplug: Hotplug | None, event: watcher.DeviceEvent
) -> None:
    """Retry a named sensor whose device is back, and leave every other device to `hotplug`."""
    if isinstance(event, SearchFailed):
        remark(f"sensemble: {event.reason}")
    elif isinstance(event, Appeared) and event.device.modality in named.values():
        for name, modality in named.items():
            if modality == event.device.modality:
                session.retry(name)
    elif hotplug is not None:
        hotplug(event)


def replay(
    bundle: Bundle,
    examples: Sequence[Example],
    phases: tuple[Phase, ...],
    policy: Policy,
    record: RecordFile | None,
    conditions: Sequence[Applied] = (),
    adapt: Adapter | None = None,
    observe: Observe = nullcontext,
) -> Stream:
    """Play `examples` one after another in real time, with sensors that come and go by `phases`.

    Raises:
        BadDataError: a media file cannot be decoded.
        InputError: every sensor ended by failure, as with a bundle that cannot be used.
        RecordError: the record cannot be opened or written.
    """
    length = span(bundle.specs) * len(examples)
    with _session(bundle, policy, record, None, conditions, adapt, observe) as session:
        began = monotonic()
        player = Replay(examples, {m: captured(conditions, spec) for m, spec in bundle.specs.items()})
        plugged: dict[str, str] = {}
        _plug(session, player, plugged, phases[0])
        with player:
            for item in _stream(session):
                played = (monotonic() - began) / length if length else 1.0  # captions alone take no time
                if played < 1:  # after that, the session may be closed
                    _plug(session, player, plugged, phase_at(phases, played))
                if isinstance(item, Prediction):
                    yield _predicted(item, began, player)
                else:
                    shown = view_event(item, began)
                    # As in a fast replay, without a name: there is one sensor per modality.
                    yield replace(shown, name="") if isinstance(shown, Change) else shown


def _plug(session: Session, player: Replay, plugged: dict[str, str], phase: Phase) -> None:
    """Attach and detach sensors as `phase` says; `plugged` holds the names of the attached by modality."""
    for modality in plugged.keys() - set(phase.plugged):
        session.detach(plugged.pop(modality))
    for modality in phase.plugged:
        if modality not in plugged:
            plugged[modality] = session.attach(player.sensor(modality))


def recording(
    bundle: Bundle,
    recorded: Recorded,
    policy: Policy,
    record: RecordFile | None,
    conditions: Sequence[Applied] = (),
    adapt: Adapter | None = None,
    observe: Observe = nullcontext,
) -> Stream:
    """Play a recording in real time, as the sensors gave it.

    Raises:
        BadDataError: it cannot be read.
        InputError: every sensor ended by failure, as with a bundle that cannot be used.
        RecordError: the record cannot be opened or written.
    """
    player = RecordingReplay(recorded, {m: captured(conditions, spec) for m, spec in bundle.specs.items()})
    with _session(bundle, policy, record, None, conditions, adapt, observe) as session:
        for modality in player.modalities:
            session.attach(player.sensor(modality))
        began = monotonic()
        with player:
            for item in _stream(session):
                if isinstance(item, Prediction):
                    yield _predicted(item, began, player)
                else:
                    yield view_event(item, began)


def _predicted(prediction: Prediction, began: float, player: Replay | RecordingReplay) -> Predicted:
    """Return a prediction with the example that was playing at the end of its newest window."""
    newest = prediction.time - min(prediction.ages.values())
    return Predicted(prediction.time - began, prediction, player.example_at(newest))


@contextmanager
def _session(
    bundle: Bundle,
    policy: Policy,
    record: RecordFile | None,
    health: Thresholds | None,
    conditions: Sequence[Applied],
    adapt: Adapter | None,
    observe: Observe,
    *,
    lasting: bool = False,
) -> Iterator[Session]:
    """Open a session, close it at last, and say how much of its stream was not shown."""
    session = Session(
        bundle,
        policy=policy,
        record=record.path if record else None,
        retention=record.retention if record else None,
        health=health,
        conditions=conditions,
        lasting=lasting,
        adapt=adapt,
    )
    try:
        with observe(session):
            yield session
    finally:
        try:
            _close(session)
        finally:
            missed = session.missed + session.missed_events
            if missed:
                remark(f"sensemble: {missed} predictions and events came too fast to be shown")


def _stream(session: Session) -> Iterator[Prediction | Event]:
    """Yield the stream of a session to its end, and what closing it reports.

    Raises:
        InputError: every sensor ended by failure, as with a bundle that cannot be used; says why.
        EncoderError: nothing was predicted, because the encoders failed.
        Exception: what broke the session.
    """
    last: dict[str, SensorEvent] = {}
    failures: dict[str, str] = {}
    predicted = False
    for item in _to_its_end(session):
        if isinstance(item, SensorEvent):
            last[item.name] = item
        elif isinstance(item, EncoderEvent) and item.reason:
            failures[item.modality] = item.reason
        predicted = predicted or isinstance(item, Prediction)
        yield item
    if last and all(event.kind == "failed" for event in last.values()):
        raise InputError("; ".join(event.reason for event in last.values()))
    if failures and not predicted:
        raise EncoderError("; ".join(failures.values()))


def _to_its_end(session: Session) -> Iterator[Prediction | Event]:
    yield from session.stream()
    _close(session)
    yield from session.stream()


def _close(session: Session) -> None:
    try:
        session.close()
    except SessionError as error:  # a sensor that does not stop changes nothing about how the run ended
        remark(f"sensemble: {error}")
