"""Run a session in real time: on devices, on a media file, or on a replay with sensors that come and go."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from time import monotonic

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import EncoderError, SessionError
from sensemble_runtime.events import (
    EncoderEvent,
    Event,
    LiveSetEvent,
    SensorEvent,
)
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices import watcher
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Appeared, Blind, Finder, Watcher
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.example_stream import span
from sensemble_sensors.recording.reader import Recorded, RecordingReplay
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.live.inbox import Inbox
from sensemble_apps.live.plug_schedule import Phase, phase_at
from sensemble_apps.live.view_events import Change, LiveSet, Said, Stream, change


@dataclass(frozen=True)
class RecordFile:
    """Where a session is recorded, and the bounds of that."""

    path: Path
    retention: Retention


def devices(
    bundle: Bundle,
    sensors: Sequence[Sensor],
    policy: Policy,
    record: RecordFile | None,
    *,
    health: Thresholds | None = DEFAULT,
    finders: Sequence[Finder] = (),
    make: Callable[[Device], Sensor] | None = None,
) -> Stream:
    """Run on `sensors` until the last of them has ended; one that fails is tried again and again.

    A sensor is tried at once when `finders` find something of its modality: it is back. What they find of
    other modalities is attached, too, as the sensor that `make` makes of it; then nothing ends the run.

    Raises:
        SensorUnavailableError: not one of them can be used at first, and no other will be found; says why.
        InputError: every one of them ended by failure.
        SessionError: the bundle has no encoder for one of them.
        RecordError: the record cannot be opened or written.
    """
    first: dict[str, SensorEvent] = {}
    began = monotonic()
    with ExitStack() as stack:
        session, items = stack.enter_context(
            _running(bundle, policy, record, health, lasting=make is not None)
        )
        named = {session.attach(sensor): sensor.modality for sensor in sensors}
        if finders:
            hotplug = Hotplug(session, make) if make is not None else None
            stack.enter_context(Watcher(finders, partial(_found, session, named, hotplug)))
        for news in items:
            if isinstance(news, Prediction):
                yield Said(news.time - began, news, None)
                continue
            if isinstance(news, SensorEvent):
                if news.name in named:
                    first.setdefault(news.name, news)
                unusable = all(event.kind in ("unavailable", "failed") for event in first.values())
                if make is None and first.keys() == named.keys() and unusable:
                    raise SensorUnavailableError("; ".join(event.reason for event in first.values()))
            yield _told(news, began)


def _found(session: Session, named: Mapping[str, str], hotplug: Hotplug | None, news: watcher.News) -> None:
    if isinstance(news, Blind):
        remark(f"sensemble: {news.reason}")
    elif isinstance(news, Appeared) and news.device.modality in named.values():
        for name, modality in named.items():
            if modality == news.device.modality:
                session.retry(name)
    elif hotplug is not None:
        hotplug(news)


def replay(
    bundle: Bundle,
    examples: Sequence[Example],
    phases: tuple[Phase, ...],
    policy: Policy,
    record: RecordFile | None,
) -> Stream:
    """Play `examples` one after another in real time, with sensors that come and go by `phases`.

    Raises:
        BadDataError: a media file cannot be decoded.
        InputError: every sensor ended by failure, as with a bundle that cannot be used.
        RecordError: the record cannot be opened or written.
    """
    length = span(bundle.specs) * len(examples)
    began = monotonic()
    with ExitStack() as stack:
        session, items = stack.enter_context(_running(bundle, policy, record, health=None))
        player = Replay(examples, bundle.specs)
        plugged: dict[str, str] = {}
        _plug(session, player, plugged, phases[0])
        stack.enter_context(player)
        for news in items:
            played = (monotonic() - began) / length
            if played < 1:  # after that, the session may be closed
                _plug(session, player, plugged, phase_at(phases, played))
            if isinstance(news, Prediction):
                heard = news.time - min(news.ages.values())
                yield Said(news.time - began, news, player.example_at(heard))
            else:
                shown = _told(news, began)
                # As a fast replay tells it: there is one sensor a modality.
                yield replace(shown, name="") if isinstance(shown, Change) else shown


def _plug(session: Session, player: Replay, plugged: dict[str, str], phase: Phase) -> None:
    """Attach and detach sensors until those of `phase` are there; `plugged` holds their names by modality."""
    for modality in plugged.keys() - set(phase.plugged):
        session.detach(plugged.pop(modality))
    for modality in phase.plugged:
        if modality not in plugged:
            plugged[modality] = session.attach(player.sensor(modality))


def _told(event: Event, began: float) -> Change | LiveSet:
    if isinstance(event, LiveSetEvent):
        return LiveSet(event.time - began, event.live)
    return change(event, began)


def recording(bundle: Bundle, recorded: Recorded, policy: Policy, record: RecordFile | None) -> Stream:
    """Play a recording in real time, as the sensors gave it.

    Raises:
        BadDataError: it cannot be read.
        InputError: every sensor ended by failure, as with a bundle that cannot be used.
        RecordError: the record cannot be opened or written.
    """
    player = RecordingReplay(recorded, bundle.specs)
    with ExitStack() as stack:
        session, items = stack.enter_context(_running(bundle, policy, record, health=None))
        for modality in player.modalities:
            session.attach(player.sensor(modality))
        began = monotonic()
        stack.enter_context(player)
        for news in items:
            if isinstance(news, Prediction):
                heard = news.time - min(news.ages.values())
                yield Said(news.time - began, news, player.example_at(heard))
            else:
                yield _told(news, began)


@contextmanager
def _running(
    bundle: Bundle,
    policy: Policy,
    record: RecordFile | None,
    health: Thresholds | None,
    *,
    lasting: bool = False,
) -> Iterator[tuple[Session, Iterator[Prediction | Event]]]:
    """Open a session and give it with all that it tells; see `_until_over`. At last it is closed."""
    inbox = Inbox()

    def pump() -> None:
        try:
            for prediction in session:
                inbox.put(prediction)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader of the inbox gets it
            inbox.end(error)
        else:
            inbox.end()

    session = Session(
        bundle,
        policy=policy,
        record=record.path if record else None,
        retention=record.retention if record else None,
        health=health,
        lasting=lasting,
        on_event=inbox.put,
    )
    thread = Thread(target=pump, name="sensemble pump")
    thread.start()
    try:
        yield session, _until_over(session, inbox)
    finally:
        try:
            _close(session)
        finally:
            thread.join()
            missed = session.missed + session.untold + inbox.missed
            if missed:
                remark(f"sensemble: {missed} predictions and events came too fast to be shown")


def _until_over(session: Session, inbox: Inbox) -> Iterator[Prediction | Event]:
    """Yield what the inbox gets of the session, to the last of it.

    Raises:
        InputError: every sensor ended by failure, as with a bundle that cannot be used; says why.
        EncoderError: nothing was predicted, for the encoders failed.
        Exception: what broke the session.
    """
    last: dict[str, SensorEvent] = {}
    said, failures = False, dict[str, str]()
    for news in _to_the_last(session, inbox):
        if isinstance(news, SensorEvent):
            last[news.name] = news
        elif isinstance(news, EncoderEvent) and news.reason:
            failures[news.modality] = news.reason
        said = said or isinstance(news, Prediction)
        yield news
    if last and all(event.kind == "failed" for event in last.values()):
        raise InputError("; ".join(event.reason for event in last.values()))
    if failures and not said:
        raise EncoderError("; ".join(failures.values()))


def _to_the_last(session: Session, inbox: Inbox) -> Iterator[Prediction | Event]:
    yield from inbox
    # Events come by a thread of their own. Closing waits for it, so that they are all in the inbox then.
    try:
        _close(session)
    finally:
        inbox.end()
        yield from inbox


def _close(session: Session) -> None:
    try:
        session.close()
    except SessionError as error:  # a sensor that does not stop changes nothing of how the run ended
        remark(f"sensemble: {error}")
