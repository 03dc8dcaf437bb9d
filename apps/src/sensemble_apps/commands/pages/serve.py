"""`sensemble serve`: the live page of a bundle on this machine's sensors, a replay, or those of browsers."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Annotated

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.reader import Recorded, RecordingReplay
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.arguments import Folder, Running, Serving
from sensemble_apps.console.output import say, say_executors
from sensemble_apps.errors import InputError, until_stopped
from sensemble_apps.running.device_factory import plug
from sensemble_apps.running.real_time import Options, opened, retry
from sensemble_apps.running.sources import playable
from sensemble_apps.runs.run_folder import CONFIG
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.tour import Tour
from sensemble_apps.web.site import write_site
from sensemble_apps.web.switchboard import Switchboard


@dataclass(frozen=True, kw_only=True)
class Serve(Serving, Running):
    """Show a running bundle on a live page, whose viewers may give their own camera, microphone and text.

    The examples of a dataset are played again and again, a recording once.
    """

    demo: bool = False
    """Play by itself: sensors come, go and lie until somebody presses a button. Without --replay, play the
    split eval of the dataset that the bundle's run folder names."""
    mqtt: Annotated[str | None, "URL"] = None
    """Publish answers and events to an MQTT broker, mqtt://[USER@]HOST[:PORT]; mqtts for TLS. The password is
    read from the environment, SENSEMBLE_MQTT_PASSWORD."""
    device: Annotated[str | None, "NAME"] = None
    """The name in MQTT's topics and ids; by default one of this machine and bundle, which stays the same."""
    recordings: Folder = Path("recordings")
    """The folder that the page's button records into."""
    phone: bool = False
    """Serve the page of `sensemble web` instead, which runs the bundle on the phone that opens the printed QR
    code."""


def main(arguments: Serve) -> None:
    """Serve the page until Ctrl-C."""
    if arguments.phone:
        _serve_phone(arguments)
        return
    # An extra, which `--help` does without.
    from sensemble_apps.serve.api import Api
    from sensemble_apps.serve.controls import Controls
    from sensemble_apps.web.clients import largest_message
    from sensemble_apps.web.server import Server, listen

    _check(arguments)
    if arguments.demo and arguments.replay is None:
        arguments = replace(arguments, replay=_dataset_of(arguments.bundle))
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust, floor=arguments.floor)
    say_executors(bundle.executors)
    with ExitStack() as stack:
        listening = listen(arguments.host, arguments.port)
        stack.callback(listening.close)
        policy = Policy(unfamiliar=arguments.unfamiliar)
        options = Options(policy, observe=arguments.observe(bundle))
        session = stack.enter_context(opened(bundle, options, DEFAULT, lasting=True))
        switchboard = Switchboard(session, bundle.specs)
        stack.callback(switchboard.stop_recording)
        example_at = stack.enter_context(_sources(arguments, bundle, session, switchboard))
        board = Board(bundle, switchboard, example_at)
        controls = Controls(board, switchboard, arguments.recordings)
        access, tls, lines = arguments.admit(listening.getsockname()[1], "the live page")
        if arguments.mqtt is not None:
            from sensemble_apps.serve.mqtt import Publisher

            stack.enter_context(Publisher(arguments.mqtt, board, arguments.device))
        routes, largest = Api(board, controls, demo=arguments.demo).routes, largest_message(bundle.specs)
        stack.enter_context(Server(listening, access, routes, largest, tls))
        if arguments.demo:
            stack.enter_context(Tour(switchboard, controls.used))
        for line in lines:
            say(line)
        with until_stopped():
            for item in session.stream():
                board.add(item)


def _serve_phone(arguments: Serve) -> None:
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    from sensemble_apps.web.server import Server, listen

    if arguments.host == Serving.host:  # a phone is another machine
        arguments = replace(arguments, host="0.0.0.0")  # noqa: S104 - it needs the token
    with TemporaryDirectory() as folder, ExitStack() as stack:
        site = Path(folder, "site")
        write_site(arguments.bundle, site, arguments.trust)
        listening = listen(arguments.host, arguments.port)
        stack.callback(listening.close)
        access, tls, lines = arguments.admit(listening.getsockname()[1], "the page for a phone")
        routes = [Mount("/", StaticFiles(directory=site, html=True))]
        # The page says itself what may run; it needs WebAssembly.
        stack.enter_context(Server(listening, access, routes, 1, tls, policy="frame-ancestors 'none'"))
        for line in lines:
            say(line)
        with until_stopped():
            Event().wait()


def _check(arguments: Serve) -> None:
    given = (
        arguments.names_devices or arguments.watch,
        arguments.media is not None,
        arguments.replay is not None or arguments.demo,
    )
    if sum(given) > 1:
        raise InputError(
            "give one of --replay FOLDER, --demo, --media FILE, and --sensor, --camera, --microphone, "
            "--captions, --watch"
        )
    if arguments.split is not None and arguments.replay is None and not arguments.demo:
        raise InputError("--split: only for --replay; leave it out, or replay a dataset")
    if arguments.device is not None and arguments.mqtt is None:
        raise InputError("--device: only for --mqtt; leave it out, or name the broker")


def _dataset_of(bundle: Path) -> Path:
    """Return the dataset that a bundle was trained on, as the run folder around it says."""
    config = bundle.resolve().parent / CONFIG
    try:
        data = Path(json.loads(config.read_bytes())["data"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"--demo: {config} names no dataset; name one by --replay FOLDER") from None
    return data


@contextmanager
def _sources(
    arguments: Serve, bundle: Bundle, session: Session, switchboard: Switchboard
) -> Iterator[Callable[[float], Example | None] | None]:
    if arguments.replay is not None:
        played = playable(arguments.replay, arguments.split, bundle.specs)
        if isinstance(played, Recorded):
            player: Replay | RecordingReplay = RecordingReplay(played, bundle.specs)
        else:
            player = Replay(played, bundle.specs, repeated=True)
        for modality in player.modalities:
            switchboard.add(player.sensor(modality))
        with player:
            yield player.example_at
        return
    with arguments.sensors(bundle.specs) as sensors, ExitStack() as stack:
        named = {switchboard.add(sensor): sensor.modality for sensor in sensors}
        if search := arguments.finders(bundle.specs):
            make = switchboard.maker(partial(plug, bundle.specs, in_process=arguments.in_process))
            stack.enter_context(Watcher(search, partial(retry, session, named, Hotplug(session, make))))
        yield None
