"""Run a session in real time: on devices, on a media file, or on a replay with sensors that come and go."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic

from sensemble_runtime.bundle import Bundle
from sensemble_runtime.events import Event, LiveSetEvent, SensorEvent
from sensemble_runtime.hotplug import Hotplug
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session import Session
from sensemble_sensors import watcher
from sensemble_sensors.dataset import Example
from sensemble_sensors.devices import Device
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.health import DEFAULT, Thresholds
from sensemble_sensors.replay import MediaReplay, Replay, span
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.watcher import Blind, Finder, Watcher

from sensemble_apps.schedule import Phase, phase_at
from sensemble_apps.stream import Change, Said, Stream

_WORDS = {"attached": "plugged in", "detached": "unplugged"}

News = Prediction | Event | Exception | None


def devices(
    bundle: Bundle,
    sensors: Sequence[Sensor],
    record: Path | None,
    *,
    health: Thresholds | None = DEFAULT,
    finders: Sequence[Finder] = (),
    make: Callable[[Device], Sensor] | None = None,
) -> Stream:
    """Run on `sensors` until the last of them has ended; one that fails is tried again and again.

    What `finders` find is attached, too, as the sensor that `make` makes of it, whenever it is there.

    Raises:
        SensorUnavailableError: not one of them can be opened at first, and no other will be found; says why.
        SessionError: the bundle has no encoder for one of them.
        RecordError: the record cannot be opened or written.
    """
    first: dict[str, SensorEvent] = {}
    began = monotonic()
    with ExitStack() as stack:
        session, queue = stack.enter_context(_running(bundle, record, health))
        names = {session.attach(sensor) for sensor in sensors}
        if make is not None and finders:
            stack.enter_context(Watcher(finders, partial(_found, Hotplug(session, make))))
        for news in _until_over(queue):
            if isinstance(news, Prediction):
                yield Said(news.time - began, news, None)
            elif isinstance(news, SensorEvent):
                if news.name in names:
                    first.setdefault(news.name, news)
                unavailable = all(event.kind == "unavailable" for event in first.values())
                if not finders and first.keys() == names and unavailable:
                    raise SensorUnavailableError("; ".join(event.reason for event in first.values()))
                yield _change(news, began)


def _found(hotplug: Hotplug, news: watcher.News) -> None:
    if isinstance(news, Blind):
        sys.stderr.write(f"sensemble: {news.reason}\n")
    hotplug(news)


def media(bundle: Bundle, path: Path, record: Path | None) -> Stream:
    """Play a media file as the camera and microphone that recorded it.

    Raises:
        BadDataError: it cannot be read, or has no track for the bundle.
        RecordError: the record cannot be opened or written.
    """
    player = MediaReplay(path, bundle.specs)
    # Before it plays, for the first frame comes at once.
    sensors = [player.sensor(m) for m in player.modalities]
    with player:
        yield from devices(bundle, sensors, record, health=None)


def replay(
    bundle: Bundle, examples: Sequence[Example], phases: tuple[Phase, ...], record: Path | None
) -> Stream:
    """Play `examples` one after another in real time, with sensors that come and go by `phases`.

    Raises:
        BadDataError: a media file cannot be decoded.
        RecordError: the record cannot be opened or written.
    """
    length = span(bundle.specs) * len(examples)
    began = monotonic()
    with ExitStack() as stack:
        session, queue = stack.enter_context(_running(bundle, record, health=None))
        player = Replay(examples, bundle.specs)
        plugged: dict[str, str] = {}
        _plug(session, player, plugged, phases[0])
        stack.enter_context(player)
        for news in _until_over(queue):
            _plug(session, player, plugged, phase_at(phases, (monotonic() - began) / length))
            if isinstance(news, Prediction):
                heard = news.time - min(news.ages.values())
                yield Said(news.time - began, news, player.example_at(heard))
            elif isinstance(news, SensorEvent):
                yield _change(news, began)


def _plug(session: Session, player: Replay, plugged: dict[str, str], phase: Phase) -> None:
    """Attach and detach sensors until those of `phase` are there; `plugged` holds their names by modality."""
    for modality in plugged.keys() - set(phase.plugged):
        session.detach(plugged.pop(modality))
    for modality in phase.plugged:
        if modality not in plugged:
            plugged[modality] = session.attach(player.sensor(modality))


def _change(event: SensorEvent, began: float) -> Change:
    told = _WORDS.get(event.kind, event.kind)
    return Change(event.time - began, event.modality, f"{told}: {event.reason}" if event.reason else told)


@contextmanager
def _running(
    bundle: Bundle, record: Path | None, health: Thresholds | None
) -> Iterator[tuple[Session, SimpleQueue[News]]]:
    """Open a session and a queue of its predictions and events; an exception or None is the last item."""
    queue: SimpleQueue[News] = SimpleQueue()

    def pump(session: Session) -> None:
        last = None
        try:
            for prediction in session:
                queue.put(prediction)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader of the queue gets it
            last = error
        queue.put(last)

    with Session(bundle, record=record, health=health, on_event=queue.put) as session:
        thread = Thread(target=pump, args=(session,), name="sensemble pump")
        thread.start()
        try:
            yield session, queue
        finally:
            session.close()
            thread.join()


def _until_over(queue: SimpleQueue[News]) -> Iterator[Prediction | SensorEvent | LiveSetEvent]:
    while (news := queue.get()) is not None:
        if isinstance(news, Exception):
            raise news
        yield news
