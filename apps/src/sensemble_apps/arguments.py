"""What each command takes. Nothing heavy is imported here, so that `sensemble --help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

Seed = Annotated[int, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Texts = UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(metavar="SOURCE")]]
"""An option that adds up when it is given again, and swallows nothing that follows its value."""
REPEATABLE = ("--camera", "--microphone", "--captions", "--label")
"""The options that are `Texts`. Of any other option, a second value would silently replace the first."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes."""

    debug: bool = False
    """Show a traceback when something goes wrong."""


@dataclass(frozen=True, kw_only=True)
class Trusting(Common):
    """What every command that opens a bundle takes, for a bundle is code."""

    trust: Annotated[Path | None, tyro.conf.arg(metavar="KEY")] = None
    """Refuse a bundle that the owner of this public key (a PEM file) did not sign; `bundle sign` does."""


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Pretrain, probe, finetune and distil into a run folder, and score every set of sensors."""

    data: OptionalFolder = None
    """A dataset in Sensemble's format; without it, the embedded digits."""
    out: Folder = Path("runs/demo")
    """The run folder; a run that was interrupted goes on in it."""
    train_modalities: Annotated[str, tyro.conf.arg(metavar="SET")] = "video"
    """The labelled modalities M_T, such as `audio+text`, or `all` for every set in turn."""
    seed: Seed = 0
    """Draws everything that is random."""
    effort: Annotated[float, tyro.conf.arg(metavar="X")] = 1.0
    """Train X times as many steps as the preset's: less for a quick look, more for harder data."""


@dataclass(frozen=True, kw_only=True)
class Demo(Train):
    """Train on three sensors, export, run while sensors come and go, and report: all in one."""

    fast: bool = False
    """Replay as fast as possible instead of in real time."""


@dataclass(frozen=True, kw_only=True)
class DataBuild(Common):
    """Build the embedded digits dataset, once, and print its folder."""

    seed: Seed = 0
    """Draws the people, the split and every rendering."""


@dataclass(frozen=True, kw_only=True)
class DataPrepare(Common):
    """Bring a published dataset, as it is stored, into Sensemble's format, and count what is missing."""

    dataset: Positional[Literal["audioset", "kinetics", "imagenet-captions"]]
    """Which one."""
    source: Positional[Folder]
    """The folder with its lists and, somewhere in it, its media."""
    out: Positional[Folder]
    """Where the dataset goes: another folder on the same disk, or SOURCE itself; a stopped run goes on."""
    shards: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Write WebDataset shards of up to N examples, with the segments cut out, instead of linking files."""
    skip_bad: bool = False
    """Leave bad examples out and name them in `bad.txt`, instead of failing."""
    jobs: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """How many processes; without it, one for each core."""


@dataclass(frozen=True, kw_only=True)
class DataShow(Common):
    """Count a dataset's examples, labels and modalities, and name its bad lines."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`."""
    check: bool = False
    """Open every media file too, and decode its beginning."""
    sheet: OptionalFile = None
    """Draw some examples of each split on this page (.html): frames, sound and caption."""


@dataclass(frozen=True, kw_only=True)
class Export(Common):
    """Quantize and lower a trained model of a run into its `bundle/`."""

    run: Positional[Folder]
    """A run folder that `sensemble train` or `sensemble demo` wrote."""
    method: str = "masd+wiseft"
    """Which of the run's methods."""
    train_modalities: Annotated[str | None, tyro.conf.arg(metavar="SET")] = None
    """Which M_T; without it, that of the greatest robustness (R_best, Eq. 5)."""
    target: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ("executorch-xnnpack",)
    """For what: executorch-xnnpack, onnx, coreml, executorch-coreml."""
    scheme: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TARGET:]SENSOR=SCHEME ...")] = ()
    """How to quantize which modality, such as `audio=int8-static`; the rest as is usual for the target."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="LIMITS")] = None
    """Search for the best schemes within limits, each for every target on its own, such as
    `size=20MB,latency=30ms,drop=1.0`: of all its encoders' files and times, and points of accuracy."""


@dataclass(frozen=True, kw_only=True)
class ExportVerify(Trusting):
    """Measure the parity of a bundle's artifacts on this machine, such as Core ML's on a Mac."""

    bundle: Positional[Folder]
    """A bundle folder."""


@dataclass(frozen=True, kw_only=True)
class Sources(Trusting):
    """The sensors that `run` and `record` can be given; `record` takes one of a kind."""

    camera: Texts = ()
    """A camera's number, URL or video file."""
    microphone: Texts = ()
    """A microphone's number or name, or `default`."""
    captions: Texts = ()
    """A caption file (text, .srt, .vtt), a pipe, a socket (tcp://HOST:PORT, or its path), or `-`: a file is
    read once, and `tail -f FILE | sensemble ... --captions -` follows one that grows."""
    in_process: bool = False
    """Capture in threads, not in a process for each camera and microphone: less memory, but one that
    hangs stays so, and one that crashes takes all with it."""
    media: OptionalFile = None
    """A media file to play as camera and microphone."""


@dataclass(frozen=True, kw_only=True)
class Record(Sources):
    """Record sensors as a dataset, segment by segment, until Ctrl-C or the last of them has ended."""

    out: Positional[Folder]
    """The dataset's folder; a recording that is there is continued."""
    bundle: OptionalFolder = None
    """A bundle that shall later take the recording bit for bit; without it, 16 kHz and 128 x 128 pixels."""
    label: Annotated[Texts, tyro.conf.arg(metavar="NAME")] = ()
    """A class that is seen or heard all the while; it can also be written into `index.jsonl` later."""
    split: str = "pretrain"
    """Of which split the examples are: pretrain, or with a label train, calibrate or eval."""
    segment: Annotated[float, tyro.conf.arg(metavar="S")] = 1.0
    """Seconds of an example; a kill loses the last one."""
    seconds: Annotated[float | None, tyro.conf.arg(metavar="S")] = None
    """Stop so long after the first sample."""


@dataclass(frozen=True, kw_only=True)
class Run(Sources):
    """Run a bundle on live sensors, or replay a dataset, a recording or a media file."""

    bundle: Positional[Folder]
    """A bundle folder."""
    watch: bool = False
    """Attach every camera and microphone that is there or comes, but those of a kind that is named."""
    replay: OptionalFolder = None
    """A dataset whose examples to play as all sensors, or a recording, which is played as it was."""
    split: str | None = None
    """Which examples; without it, eval of a dataset, and all of a recording."""
    budget: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 1.0
    """The share of the time for which it may encode; where that is not enough, it encodes less often."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Threads that encode; 0 for one each performance core."""
    duty: bool = False
    """Encode nothing that is like what was encoded last; say what that saved and, in a fast replay, cost."""
    fast: bool = False
    """Replay as fast as possible, one prediction an example."""
    unplug: bool = False
    """Unplug sensors and plug them back during the replay."""
    examples: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Play only this many examples."""
    limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after this many predictions."""
    record: OptionalFile = None
    """Record every prediction in this SQLite file."""
    keep: Annotated[str | None, tyro.conf.arg(metavar="BOUNDS")] = None
    """Remove the oldest of the record beyond an age, a size or both, such as `30d`, `12h`, `2GB` or
    `30d,2GB`; without it, and where it names no size, beyond 1 GB."""
    json: bool = False
    """Print one JSON object a prediction and, but in a fast replay, one a change of a sensor."""


@dataclass(frozen=True, kw_only=True)
class Audit(Trusting):
    """Measure a bundle on labelled data, with every set of sensors."""

    bundle: Positional[Folder]
    """A bundle folder."""
    data: Folder
    """A dataset in Sensemble's format."""
    split: str = "eval"
    """Which of its examples."""
    record: OptionalFile = None
    """Record the result in this SQLite file."""
    duty: bool = False
    """Score it a second time as `run --duty` would do, the examples in order as one stream."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, kw_only=True)
class BundleSign(Common):
    """Vouch for a bundle with a private key, for those who run it with `--trust` and the public one."""

    bundle: Positional[Folder]
    """A bundle folder; the signature goes into it."""
    key: Annotated[Positional[Path], tyro.conf.arg(metavar="KEY")]
    """An Ed25519 private key, a PEM file: `openssl genpkey -algorithm ed25519 -out KEY` makes one, and
    `openssl pkey -in KEY -pubout -out PUBLIC` the public key to it."""


@dataclass(frozen=True, kw_only=True)
class BundleCheck(Trusting):
    """Verify a bundle and run each encoder in a process of its own, to see whether one crashes or hangs.

    It is no prison: run what strangers made under another user, or in a container.
    """

    bundle: Positional[Folder]
    """A bundle folder."""


@dataclass(frozen=True, kw_only=True)
class History(Common):
    """Say what a record holds: from which sensors each session predicted, and how long which were away."""

    record: Positional[File]
    """The SQLite file that `run --record` or `audit --record` wrote; it may still be written."""
    json: bool = False
    """Print it as JSON."""


@dataclass(frozen=True, kw_only=True)
class Report(Common):
    """Make the page of a run, of a matrix, or of an experiment's several pretrainings."""

    run: Annotated[Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """A run folder, or a folder of such, one a pretraining."""
    matrix: OptionalFile = None
    """A matrix file, instead of a run folder."""
    out: OptionalFile = None
    """Where the page goes; without it, `report.html` in the run folder or here."""
    json: bool = False
    """Print the metrics of each method as JSON instead of writing the page."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Common):
    """Say what this machine has, and what to install for the rest."""

    watch: bool = False
    """Tell which cameras and microphones come and go, until Ctrl-C."""
    camera: Texts = ()
    """The URL of a camera to watch, too."""
    captions: Texts = ()
    """A caption file, pipe or local socket to watch, too."""
