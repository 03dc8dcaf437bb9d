"""`sensemble serve`: the live page of a bundle on this machine's sensors, a replay, or those of browsers."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.sparing import NOT_FITTED
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import say_executors
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError, until_stopped
from sensemble_apps.options import BundleFolder, Folder, Positional, Running, Serving
from sensemble_apps.running.inputs import playable, player_of, sensor_of
from sensemble_apps.running.outputs import open_output
from sensemble_apps.running.real_time import Options, opened, retry
from sensemble_apps.running.view_events import ExampleAt
from sensemble_apps.tables.run_folder import CONFIG, data_of

if TYPE_CHECKING:
    from sensemble_apps.live_page.session_page import SessionPage


@dataclass(frozen=True, kw_only=True)
class Serve(Serving, Running):
    """Show a running bundle on a live page, whose viewers may give their own camera, microphone and text.

    The examples of a dataset are played again and again, a recording once.
    """

    bundle: Positional[BundleFolder] = Path()
    """A bundle folder. Without it, a page offers the bundles below the current folder."""
    demo: bool = False
    """Play by itself: sensors come, go and lie until somebody presses a button. Without --replay, play the
    split eval of the dataset that the bundle's run folder names."""
    recordings: Folder = Path("recordings")
    """The folder that the page's button records into."""
    phone: bool = False
    """Serve the page of `sensemble web` instead, which runs the bundle on the phone that scans the printed QR
    code; with --sparing its sensors sleep from the first on."""


def main(arguments: Serve) -> None:
    """Serve the page until Ctrl-C."""
    if arguments == replace(Serve(), host=arguments.host, port=arguments.port, debug=arguments.debug):
        _serve_gallery(arguments)
        return
    if arguments.phone:
        _serve_phone(arguments)
        return
    # An extra, which `--help` does without.
    from sensemble_apps.live_page.api import routes
    from sensemble_apps.live_page.demonstration import demonstration
    from sensemble_apps.live_page.examples import examples_of_classes
    from sensemble_apps.live_page.session_page import SessionPage
    from sensemble_apps.web.clients import largest_message
    from sensemble_apps.web.server import listen, published

    data = arguments.replay or data_of(arguments.bundle)
    if arguments.demo:
        if data is None:
            raise InputError(
                f"--demo: {arguments.bundle.parent / CONFIG} names no dataset; name one by --replay FOLDER"
            )
        arguments = replace(arguments, replay=data)
    arguments.check_sources(needed=False)
    if arguments.split is not None and arguments.replay is None:
        raise InputError("--split: only for --replay; leave it out, or replay a dataset")
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    say_executors(bundle.executors)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(arguments.address, arguments.port))
        others = [stack.enter_context(open_output(text, bundle)) for text in arguments.output]
        options = Options(Policy(unfamiliar=arguments.unfamiliar, sparing=arguments.sparing))
        session = stack.enter_context(opened(bundle, options, DEFAULT, lasting=True))
        page = SessionPage(session, arguments.recordings, session.clock.now(), others)
        stack.callback(page.recorder.stop)
        example_at = stack.enter_context(_sources(arguments, bundle, session, page))
        if data is not None:
            page.session_state.examples = examples_of_classes(data, bundle.manifest.labels, bundle.specs)
        replayed = arguments.replay is not None
        shown = routes(page, replayed=replayed)
        largest = largest_message(bundle.specs)
        stack.enter_context(published(listening, "the live page", arguments.address, shown, largest))
        if arguments.demo:
            stack.enter_context(demonstration(page))
        with until_stopped():
            page.follow(example_at)


def _serve_gallery(arguments: Serve) -> None:
    from sensemble_apps.live_page.gallery import Gallery
    from sensemble_apps.web.server import serve

    with closing(Gallery(arguments.bundle, arguments.address)) as gallery:
        serve("the gallery", arguments.address, arguments.port, gallery.routes)


def _serve_phone(arguments: Serve) -> None:
    from sensemble_apps.web.handlers import EVERYWHERE, PHONE_POLICY, phone_routes
    from sensemble_apps.web.server import serve

    used = {"bundle", "trust", "host", "port", "phone", "sparing", "debug"}
    others = [field for field in fields(arguments) if field.name not in used]
    if unused := [field for field in others if getattr(arguments, field.name) != field.default]:
        names = words(f"--{field.name.replace('_', '-')}" for field in unused)
        raise InputError(f"{names}: not with --phone, which runs the bundle on the phone alone; leave it out")
    fragment = "#sparing" if arguments.sparing else ""
    if fragment and read_manifest(arguments.bundle / FILE_NAME).calibration.sparing is None:
        raise InputError(f"{arguments.bundle}: no sensor may sleep; {NOT_FITTED}")
    routes = phone_routes(arguments.bundle, arguments.trust)
    host, title = arguments.host or EVERYWHERE, "the page for a phone"
    serve(title, host, arguments.port, routes, PHONE_POLICY, fragment)


@contextmanager
def _sources(
    arguments: Serve, bundle: Bundle, session: Session, page: "SessionPage"
) -> Iterator[ExampleAt | None]:
    """Add the requested sensors; yield the lookup of a replay's examples by time."""
    if arguments.replay is not None:
        played = playable(arguments.replay, arguments.split, bundle.specs)
        player = player_of(played, bundle.specs, repeated=True)
        for modality in player.modalities:
            page.sensors.rename(page.sensors.add(player.sensor(modality)), words_of(modality).sensor)
        with player:
            yield player.example_at
        return
    with arguments.sensors(bundle.specs) as sensors, ExitStack() as stack:
        named = {page.sensors.add(sensor): sensor.modality for sensor in sensors}
        if search := arguments.finders(bundle.specs):
            make = page.sensors.maker(partial(sensor_of, bundle.specs, in_process=arguments.in_process))
            stack.enter_context(Watcher(search, partial(retry, session, named, Hotplug(session, make))))
        yield None
