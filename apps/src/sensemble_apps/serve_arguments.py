"""The arguments of `sensemble serve` and `studio`; as those of other commands, they import nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from sensemble_apps.arguments import Common, Folder, OptionalFile, OptionalFolder, Running, Texts, optional


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The options of every command that serves a page."""

    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """The address to serve on. Any but this machine's own needs the token of the printed address, and TLS."""
    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8765
    """The port; 0 for a free one."""
    certificate: OptionalFile = None
    """A certificate of your own (PEM, with its chain); by default, a self-signed one is made on the spot."""
    key: OptionalFile = None
    """Its private key, if that is in a file of its own."""


@dataclass(frozen=True, kw_only=True)
class Serve(Serving, Running):
    """Show a running bundle on a live page, whose viewers may give their own camera, microphone and text."""

    replay: OptionalFolder = None
    """A dataset whose examples are played again and again, or a recording, which is played once."""
    split: Annotated[str | None, optional("NAME")] = None
    """The split to play; by default, eval of a dataset, and all of a recording."""
    mqtt: Annotated[str | None, optional("URL")] = None
    """Publish answers and events to an MQTT broker, mqtt://[USER@]HOST[:PORT]; mqtts for TLS. The password is
    read from the environment, SENSEMBLE_MQTT_PASSWORD."""
    device: Annotated[str | None, optional("NAME")] = None
    """The name in MQTT's topics and ids; by default one of this machine and bundle, which stays the same."""
    recordings: Folder = Path("recordings")
    """The folder that the page's button records into."""


@dataclass(frozen=True, kw_only=True)
class Studio(Serving, Common):
    """Name classes, record takes of them, train a model and see it live, all on one page."""

    folder: Positional[Folder]
    """The project's folder, new or not: the recording, the runs and their bundles are kept in it."""
    camera: Texts = ()
    """A camera's number, URL or video file; browsers may give theirs on the page."""
    microphone: Texts = ()
    """A microphone's number or name, or `default`; browsers may give theirs on the page."""
    in_process: bool = False
    """Capture in threads, not in one process per camera and microphone; see `sensemble serve`."""
