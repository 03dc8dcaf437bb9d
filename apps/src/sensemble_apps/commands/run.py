"""`sensemble run`: a bundle on live sensors, on a media file or on a replay of a dataset."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path

from sensemble_runtime.bundle import Bundle
from sensemble_sensors.captions import Captions
from sensemble_sensors.dataset import Example, read_dataset
from sensemble_sensors.sensor import Sensor

from sensemble_apps import live, stream
from sensemble_apps.arguments import Run
from sensemble_apps.errors import InputError
from sensemble_apps.plugs import capture, finders, plug
from sensemble_apps.schedule import come_and_go, steady
from sensemble_apps.stream import Change, Said, Stream
from sensemble_apps.views import JsonView, LineView, View


def main(arguments: Run) -> None:
    """Show what the bundle says until its sensors end, the limit is reached or Ctrl-C.

    Raises:
        InputError, BundleError, BadDataError, SensorUnavailableError: something given cannot be used.
    """
    _check(arguments)
    bundle = Bundle.open(arguments.bundle)
    # Closing the generator closes its session, also when the limit ends it early.
    with closing(_stream(arguments, bundle)) as news, _view(arguments, bundle) as view:
        for item in _limited(news, arguments.limit):
            view.show(item)


def _check(arguments: Run) -> None:
    devices = (arguments.camera, arguments.microphone, arguments.captions)
    sources = (any(devices) or arguments.watch, arguments.media is not None, arguments.replay is not None)
    if sum(sources) != 1:
        raise InputError("give --replay FOLDER, --media FILE, or --camera, --microphone, --captions, --watch")
    if (arguments.fast or arguments.unplug) and arguments.replay is None:
        raise InputError("--fast and --unplug are for --replay")
    if arguments.fast and arguments.record is not None:
        raise InputError("--record is for real time; the times of a fast replay are made up")
    for name, count in (("--limit", arguments.limit), ("--examples", arguments.examples)):
        if count is not None and count < 1:
            raise InputError(f"{name} {count}: give 1 or more")


def _stream(arguments: Run, bundle: Bundle) -> Stream:
    if arguments.media is not None:
        return live.media(bundle, arguments.media, arguments.record)
    if arguments.replay is None:
        sensors = _sensors(arguments)
        unnamed = bundle.specs.keys() - {sensor.modality for sensor in sensors}
        return live.devices(
            bundle,
            sensors,
            arguments.record,
            finders=finders(unnamed) if arguments.watch else (),
            make=partial(plug, in_process=arguments.in_process),
        )
    examples = _examples(arguments.replay, arguments.split)[: arguments.examples]
    phases = (come_and_go if arguments.unplug else steady)(bundle.modalities)
    if arguments.fast:
        return stream.fast(bundle, examples, phases)
    return live.replay(bundle, examples, phases, arguments.record)


def _sensors(arguments: Run) -> list[Sensor]:
    sensors: list[Sensor] = []
    if arguments.camera is not None:
        sensors.append(capture("video", arguments.camera, in_process=arguments.in_process))
    if arguments.microphone is not None:
        sensors.append(capture("audio", arguments.microphone, in_process=arguments.in_process))
    if arguments.captions is not None:
        sensors.append(Captions(arguments.captions))
    return sensors


def _examples(folder: Path, split: str) -> Sequence[Example]:
    examples = read_dataset(folder).split(split)
    if not examples:
        raise InputError(f"{folder}: no example in split {split}; --split takes another")
    return examples


def _limited(news: Iterator[Change | Said], limit: int | None) -> Iterator[Change | Said]:
    """Yield `news` until `limit` predictions are out."""
    said = 0
    for item in news:
        yield item
        said += isinstance(item, Said)
        if said == limit:
            return


def _view(arguments: Run, bundle: Bundle) -> AbstractContextManager[View]:
    labels = bundle.manifest.labels
    if arguments.json:
        return nullcontext(JsonView(labels))
    if sys.stdout.isatty():
        from sensemble_apps.terminal import TerminalView  # only a terminal needs rich

        return TerminalView(bundle)
    return nullcontext(LineView(labels))
