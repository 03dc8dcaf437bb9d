"""The options that several commands share; those of one command stand beside its `main`.

`parsing` reads the dataclasses: the text below a field is its help, a text in its annotation the name of its
value there, a function in it reads the value. Nothing heavy is imported here.
"""

from argparse import ArgumentTypeError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from sensemble_apps.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sensemble_sensors.devices.watcher import Finder
    from sensemble_sensors.sensor import Sensor
    from sensemble_sensors.spec import InputSpec

_MAX_EFFORT = 1e6


class OptionForm(Enum):
    """The form of a field that is not an option given once."""

    POSITIONAL = "without a name"
    REPEATED = "several times, each time with one value"
    INLINE = "by its own fields"


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise ArgumentTypeError(f"{text}: give a whole number from 0 to {(1 << 32) - 1}")
    return int(text)


def _effort(text: str) -> float:
    with suppress(ValueError):
        if 0 < (effort := float(text)) <= _MAX_EFFORT:
            return effort
    raise ArgumentTypeError(f"{text}: give a number above 0, at most {_MAX_EFFORT:g}")


def _written(text: str) -> Path:
    from sensemble_apps.console.output import check_file

    check_file(path := Path(text))
    return path


def _bundle(text: str) -> Path:
    """Return the folder of a bundle, or of the one in a run."""
    path, inside = Path(text), Path(text) / "bundle"
    if not path.exists():
        raise ArgumentTypeError(f"{text}: there is no bundle there; give the folder of one, or of a run")
    is_run = (inside / "manifest.json").exists() and not (path / "manifest.json").exists()
    return inside if is_run else path


_Value = TypeVar("_Value")
Positional = Annotated[_Value, OptionForm.POSITIONAL]
Inline = Annotated[_Value, OptionForm.INLINE]
Folder = Annotated[Path, "FOLDER"]
BundleFolder = Annotated[Path, "FOLDER", _bundle]
OptionalBundle = Annotated[Path | None, "FOLDER", _bundle]
Seed = Annotated[int, "N", _seed]
OptionalSeed = Annotated[int | None, "N", _seed]
File = Annotated[Path, "FILE"]
OptionalFolder = Annotated[Path | None, "FOLDER"]
OptionalFile = Annotated[Path | None, "FILE"]
OptionalOut = Annotated[Path | None, "FILE", _written]
"""A file that is written at the end, and checked before anything is done."""
Texts = Annotated[tuple[str, ...], "SOURCE", OptionForm.REPEATED]


@dataclass(frozen=True, kw_only=True)
class Common:
    """The options of every command."""

    debug: bool = False
    """Print a traceback with an error."""


@dataclass(frozen=True, kw_only=True)
class Trusting(Common):
    """The options of every command that opens a bundle; a bundle is code."""

    trust: Annotated[Path | None, "KEY"] = None
    """Refuse a bundle that was not signed (`bundle sign`) with the private key to this public key (PEM)."""


@dataclass(frozen=True, kw_only=True)
class Judging(Common):
    """The options of every command that judges an audit."""

    require: Annotated[str | None, "CRITERIA"] = None
    """Require minimum scores and maximum losses, such as `P>=0.8,drop.microphone<=0.1,wrong<=0.05`, or a
    file that lists them (`gate.toml`). Each is compared with the worse end of its interval. Exit with 3 if
    one fails, and with 4 if none fails but the examples are too few to tell."""
    junit: OptionalOut = None
    """Write the judgements as JUnit's XML, for a build."""

    def __post_init__(self) -> None:
        """Refuse a build's file that would judge nothing."""
        if self.junit is not None and self.require is None:
            raise InputError(f"--junit {self.junit}: nothing is required; add --require CRITERIA")


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """The options of every command that trains."""

    data: OptionalFolder = None
    """A dataset in Sensemble's format; by default, the embedded digits."""
    out: Folder = Path("runs/demo")
    """The run folder; an interrupted run continues in it."""
    train_modalities: Annotated[str | None, "SET"] = None
    """The modalities with labels (M_T), such as `audio+text`, or `all` for every set in turn; by default,
    those that most labelled examples have."""
    seed: Seed = 0
    """The seed of everything random."""
    encoder: Annotated[Texts, "MODALITY=SOURCE"] = ()
    """The pretrained encoder of a modality, frozen behind an adapter that learns: `whisper-tiny.en` (sound),
    `efficientnet-lite0` (pictures), `minilm` (captions), `timm:NAME`, `hf:FOLDER`, or
    `package.module:factory`. By default, those of these names that are installed, but none for
    pictures of 48 pixels or less."""
    unfreeze: Annotated[Texts, "MODALITY=BLOCKS"] = ()
    """The last blocks of a pretrained encoder that learn with its adapter, such as `text=2`, or `all`. This
    needs more labels, and the whole encoder runs in every step."""
    from_scratch: bool = False
    """Train every encoder that `--encoder` does not name from scratch, as the paper does."""
    effort: Annotated[float, "X", _effort] = 1.0
    """Multiply the training steps, which follow from the data, by X: below 1 for a quick look, above 1 for
    harder data."""


@dataclass(frozen=True, kw_only=True)
class Sources(Trusting):
    """The sensors that `run`, `serve` and `record` take; `record` takes one of each modality."""

    sensor: Annotated[Texts, "NAME=SOURCE"] = ()
    """The source of a modality by its name: `video.rear=1`, `imu=iio:0`, `imu.wrist=tcp://HOST:PORT` (lines
    of JSON or CSV; also udp://, pipe: and serial:), `watch.acc=http://:PORT/watch` (a phone's logger)."""
    camera: Texts = ()
    """Short for `--sensor video=SOURCE`: a camera's number, URL or video file."""
    microphone: Texts = ()
    """Short for `--sensor audio=SOURCE`: a microphone's number or name, or `default`."""
    captions: Texts = ()
    """Short for `--sensor text=SOURCE`: a caption file (text, .srt, .vtt), a pipe, a socket (tcp://HOST:PORT
    or its path), or `-` for standard input. A file is read once; `tail -f FILE | sensemble ... --captions -`
    follows one that grows."""
    in_process: bool = False
    """Capture in threads, not in one process per camera and microphone. This takes less memory, but a device
    that hangs is not restarted, and a crash in its driver ends the whole command."""
    media: OptionalFile = None
    """A media file to play as camera and microphone."""

    @property
    def names_devices(self) -> bool:
        """True if a device is named."""
        return bool(self.sensor or self.camera or self.microphone or self.captions)

    @property
    def sources(self) -> list[tuple[str, str]]:
        """The modality and the source of each device that is named."""
        short = (("video", self.camera), ("audio", self.microphone), ("text", self.captions))
        named = [(m, source) for m, sources in short for source in sources]
        for text in self.sensor:
            modality, _, source = text.partition("=")
            if not modality or not source:
                raise InputError(f"--sensor {text}: give NAME=SOURCE, such as video.rear=1")
            named.append((modality, source))
        return named

    @contextmanager
    def sensors(self, specs: "Mapping[str, InputSpec]") -> "Iterator[list[Sensor]]":
        """Yield a sensor for each named device, or those of a media file, which plays meanwhile."""
        from sensemble_sensors.recording.replay import MediaReplay

        from sensemble_apps.running.inputs import named, sensor_on

        if self.media is None:
            devices = named(specs, self.sources)
            yield [sensor_on(spec, source, in_process=self.in_process) for spec, source in devices]
            return
        if self.media.is_dir():
            raise InputError(f"--media {self.media}: is a folder; name a file, or play a dataset by --replay")
        player = MediaReplay(self.media, specs)
        # Before it plays, because the first frame comes at once.
        sensors = [player.sensor(modality) for modality in player.modalities]
        with player:
            yield sensors

    def returning(self, specs: "Mapping[str, InputSpec]") -> "list[Finder]":
        """See `sensemble_sensors.devices.registry.returning`."""
        from sensemble_sensors.devices.registry import returning

        from sensemble_apps.running.inputs import named

        return returning(named(specs, self.sources))


@dataclass(frozen=True, kw_only=True)
class Running(Sources):
    """The options of `run` and `serve`, which open a session."""

    bundle: Positional[BundleFolder]
    """A bundle folder, or a run that has one."""
    watch: bool = False
    """Attach every camera and microphone, now and when connected; a modality given by name is left out."""
    unfamiliar: Literal["leave", "pool"] = "leave"
    """Leave a modality out of the live set while its windows are unlike those of training, or pool its
    windows like others."""
    sparing: bool = False
    """Let sensors sleep that the others make needless, their devices released, by the policy that the export
    fitted."""
    output: Annotated[Texts, "NAME=ARGUMENT"] = ()
    """Also send the output to another program: `rerun=FILE` (a new Rerun recording of samples, opinions,
    answers and events), `heartbeats=FOLDER` (sums by hour for `sensemble fleet`, without data),
    `mqtt=mqtt://[USER@]HOST[:PORT][/DEVICE]` (answers and events; mqtts for TLS; the password is in the
    environment, SENSEMBLE_MQTT_PASSWORD), `otlp=http://HOST:4318/v1/metrics` (the counts of heartbeats, to a
    receiver of OpenTelemetry), or one that a package adds."""
    replay: OptionalFolder = None
    """A dataset whose examples are played, or a recording, which is played with its gaps and losses."""
    split: Annotated[str | None, "NAME"] = None
    """The split to play; by default, a dataset's eval, and a whole recording."""

    def check_sources(self, *, needed: bool) -> None:
        """Refuse several of devices, a media file and a replay; where one is `needed`, also none."""
        given = (self.names_devices or self.watch, self.media is not None, self.replay is not None)
        if sum(given) > 1 or (needed and not any(given)):
            raise InputError(
                "give one of --replay FOLDER, --media FILE, and --sensor, --camera, --microphone, "
                "--captions, --watch"
            )

    def finders(self, specs: "Mapping[str, InputSpec]") -> "list[Finder]":
        """Return the finders of named sources and, with `--watch`, of devices for the other modalities."""
        from sensemble_sensors.devices.registry import finders

        from sensemble_apps.running.inputs import named

        known = named(specs, self.sources)
        given = {spec.modality for spec, _ in known}
        unnamed = [spec for m, spec in specs.items() if m not in given]
        return [*self.returning(specs), *(finders(unnamed, known) if self.watch else ())]


@dataclass(frozen=True, kw_only=True)
class Serving(Common):
    """The options of every command that serves a page."""

    host: Annotated[str | None, "ADDRESS"] = None
    """The address to serve on; by default 127.0.0.1, or for a phone 0.0.0.0. On any address but this
    machine's own (loopback), clients need the token in the printed address, and TLS."""
    port: int = 8765
    """The port; 0 for a free one."""

    @property
    def address(self) -> str:
        """The address to serve on."""
        return self.host or "127.0.0.1"
