"""`sensemble studio`: a page that trains your own model from your own sensors."""

from collections.abc import Container, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Annotated

from sensemble_sensors.devices.registry import returning
from sensemble_sensors.devices.watcher import Watcher

from sensemble_apps.commands.train import encoder_choice
from sensemble_apps.errors import InputError, until_stopped
from sensemble_apps.options import Folder, Positional, Serving, Texts
from sensemble_apps.running.inputs import FORM, named, sensor_on
from sensemble_apps.running.real_time import retry
from sensemble_apps.studio.project import Project


@dataclass(frozen=True, kw_only=True)
class Arguments(Serving):
    """Name classes, record takes of them, train a model and see it live, all on one page."""

    folder: Positional[Folder]
    """The project's folder, which may exist: it holds the recording, the runs and their bundles."""
    camera: Texts = ()
    """A camera's number, URL or video file; browsers may give theirs on the page."""
    microphone: Texts = ()
    """A microphone's number or name, or `default`; browsers may give theirs on the page."""
    encoder: Annotated[Texts, "MODALITY=SOURCE"] = ()
    """The pretrained encoder of a modality, as in `sensemble train`; by default those installed."""
    from_scratch: bool = False
    """Train every encoder that `--encoder` does not name from scratch. Then no model answers before
    training."""
    in_process: bool = False
    """Capture in threads, not in one process per camera and microphone; see `sensemble serve`."""


def _check_encoders(choices: Sequence[str], known: Container[str]) -> None:
    """Raise InputError for an encoder that no training would take: it would fail behind the page."""
    for modality, source in map(encoder_choice, choices):
        if modality not in known:
            raise InputError(f"--encoder {modality}={source}: the studio has video and audio; name one")
        if ":" not in source:
            from sensemble_train.models.pretrained.sources import NAMES  # PyTorch takes seconds

            if source not in NAMES:
                raise InputError(
                    f"--encoder {modality}={source}: no such encoder; give {', '.join(NAMES)}, timm:NAME, "
                    "hf:FOLDER, or package.module:factory"
                )


def main(arguments: Arguments) -> None:
    """Serve the studio until Ctrl-C."""
    # Extras, which `--help` does without.
    from sensemble_apps.studio.api import routes
    from sensemble_apps.studio.studio import SPECS, Studio
    from sensemble_apps.web.clients import largest_message
    from sensemble_apps.web.server import listen, published

    _check_encoders(arguments.encoder, SPECS)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(arguments.address, arguments.port))
        project = stack.enter_context(Project(arguments.folder))
        options = [option for source in arguments.encoder for option in ("--encoder", source)]
        options += ["--from-scratch"] * arguments.from_scratch
        studio = stack.enter_context(closing(Studio(project, options=options)))
        short = (("video", arguments.camera), ("audio", arguments.microphone))
        devices = named(FORM, [(modality, source) for modality, sources in short for source in sources])
        for spec, source in devices:
            studio.sensors.add(sensor_on(spec, source, in_process=arguments.in_process))
        given = {sensor.name: sensor.modality for sensor in studio.sensors.all}
        stack.enter_context(Watcher(returning(devices), partial(retry, studio.capture, given, None)))
        # Also of a live page: a bundle's samples are no larger than those that it was trained on.
        largest = largest_message(SPECS)
        page = published(listening, "the studio", arguments.address, routes(studio), largest)
        with page, until_stopped():
            Event().wait()
