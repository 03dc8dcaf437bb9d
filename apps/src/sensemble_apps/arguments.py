"""The arguments of each command. Nothing heavy is imported here, so that `sensemble --help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, UseAppendAction


def optional(metavar: str) -> Any:  # noqa: ANN401 - as tyro's
    """Return the form of an option whose help says itself what holds without it, not `(default: None)`."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


Seed = Annotated[int, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
OptionalFolder = Annotated[Path | None, optional("FOLDER")]
OptionalFile = Annotated[Path | None, optional("FILE")]
Texts = UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(metavar="SOURCE")]]
"""An option that may be repeated; each time, it takes one value."""
REPEATABLE = ("--encoder", "--camera", "--microphone", "--captions", "--label", "--teacher", "--condition")
"""The options that are `Texts`. Of any other option, a second value would silently replace the first."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """The options of every command."""

    debug: bool = False
    """Print a traceback with an error."""


@dataclass(frozen=True, kw_only=True)
class Trusting(Common):
    """The options of every command that opens a bundle; a bundle is code."""

    trust: Annotated[Path | None, optional("KEY")] = None
    """Refuse a bundle that was not signed (`bundle sign`) with the private key to this public key (PEM)."""


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """The options of every command that trains."""

    data: OptionalFolder = None
    """A dataset in Sensemble's format; by default, the embedded digits."""
    out: Folder = Path("runs/demo")
    """The run folder; an interrupted run continues in it."""
    train_modalities: Annotated[str | None, optional("SET")] = None
    """The modalities with labels (M_T), such as `audio+text`, or `all` for every set in turn; by default, all
    that most labelled examples have."""
    seed: Seed = 0
    """The seed of everything random."""
    encoder: Annotated[Texts, tyro.conf.arg(metavar="MODALITY=SOURCE")] = ()
    """The pretrained encoder of a modality, frozen behind an adapter that learns: `whisper-tiny.en` (sound),
    `efficientnet-lite0` (pictures), `minilm` (captions), `timm:NAME`, `hf:FOLDER`, or
    `package.module:factory`."""
    effort: Annotated[float, tyro.conf.arg(metavar="X")] = 1.0
    """Multiply the training steps, which follow from the data, by X: below 1 for a quick look, above 1 for
    harder data."""


@dataclass(frozen=True, kw_only=True)
class Train(Training):
    """Pretrain, train specialists and distil them into one model, and score every set of sensors."""

    estimate: bool = False
    """Train nothing: say what the data is too small for, and how long each stage will take here."""
    json: bool = False
    """Print the progress, and then the result or the estimate, as one JSON object per line."""


@dataclass(frozen=True, kw_only=True)
class Demo(Training):
    """Train on three sensors, export, run while sensors come and go, and report: all in one."""

    fast: bool = False
    """Replay as fast as possible instead of in real time."""
    compare: bool = False
    """Also train the paper's methods and rivals, so that the report compares them; it takes much longer."""
    serve: bool = False
    """Then open the live page on the replay, until Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Export(Common):
    """Quantize and lower a trained model of a run into its `bundle/`."""

    run: Positional[Folder]
    """A run folder that `sensemble train` or `sensemble demo` wrote."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = "subset"
    """One of the run's methods."""
    train_modalities: Annotated[str | None, optional("SET")] = None
    """The modalities it was trained on (M_T); by default, the most robust M_T (R_best, Eq. 5)."""
    target: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ("executorch-xnnpack",)
    """The executors to export for: executorch-xnnpack, onnx, coreml."""
    scheme: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TARGET:]MODALITY=SCHEME ...")] = ()
    """The quantization of a modality, such as `audio=int8-static`; by default, the target's usual scheme."""
    budget: Annotated[str | None, optional("LIMITS")] = None
    """Search for the best schemes within limits, for each target on its own, such as
    `size=20MB,latency=30ms,drop=1.0`: the size and the latency of all encoders together, and the points of
    accuracy that may be lost."""
    json: bool = False
    """Print the progress, and then the result, as one JSON object per line."""


@dataclass(frozen=True, kw_only=True)
class ExportVerify(Trusting):
    """Measure the parity of a bundle's artifacts on this machine, such as Core ML's on a Mac."""

    bundle: Positional[Folder]
    """A bundle folder."""


@dataclass(frozen=True, kw_only=True)
class Sources(Trusting):
    """The sensors that `run` and `record` take; `record` takes one of each modality."""

    camera: Texts = ()
    """A camera's number, URL or video file."""
    microphone: Texts = ()
    """A microphone's number or name, or `default`."""
    captions: Texts = ()
    """A caption file (text, .srt, .vtt), a pipe, a socket (tcp://HOST:PORT or its path), or `-` for standard
    input. A file is read once; `tail -f FILE | sensemble ... --captions -` follows one that grows."""
    in_process: bool = False
    """Capture in threads, not in one process per camera and microphone. This takes less memory, but a device
    that hangs is not restarted, and a crash in its driver ends the whole command."""
    media: OptionalFile = None
    """A media file to play as camera and microphone."""


@dataclass(frozen=True, kw_only=True)
class Record(Sources):
    """Record sensors as a dataset until Ctrl-C or until all have ended, or takes of `--classes` in turn."""

    out: Positional[Folder]
    """The dataset's folder; an existing recording is continued."""
    bundle: OptionalFolder = None
    """A bundle whose form of samples is recorded; by default, 16 kHz sound and frames of 128 x 128 pixels."""
    label: Annotated[Texts, tyro.conf.arg(metavar="NAME")] = ()
    """A class that is seen or heard throughout; labels can also be written into `index.jsonl` later."""
    background: bool = False
    """Record a background: none of the classes is seen or heard, so models learn what is unfamiliar."""
    split: Annotated[str, tyro.conf.arg(metavar="NAME")] = "pretrain"
    """The split of the examples: pretrain or, with a label or `--background`, any other."""
    segment: Annotated[float, tyro.conf.arg(metavar="S")] = 1.0
    """Seconds per example; if the command is killed, the last example is lost."""
    seconds: Annotated[float | None, optional("S")] = None
    """Stop S seconds after the first sample; with `--classes`, the length of a take, by default 3."""
    classes: Annotated[str, optional("NAME,NAME")] = ""
    """Record takes of these classes in turn, into the split train, until there are enough of each. Standard
    input answers: Enter goes on, d deletes the last take, q quits; at its end, takes follow by themselves."""
    takes: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Takes of each class that there should be, those of earlier sittings included."""
    backgrounds: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Takes of none of the classes, such as an empty room, so that models learn what is unfamiliar."""
    unlabelled: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Takes of anything, without labels, to pretrain on."""


@dataclass(frozen=True, kw_only=True)
class Running(Sources):
    """The options of `run` and `serve`, which open a session."""

    bundle: Positional[Folder]
    """A bundle folder."""
    watch: bool = False
    """Attach every camera and microphone, now and when connected; a modality given by name is left out."""
    unfamiliar: Literal["leave", "pool"] = "leave"
    """The way of a modality whose window is unlike those of training: to leave the live set, or to be pooled
    all the same."""
    floor: Annotated[float | None, optional("SHARE")] = None
    """The least confidence of a sure answer, from 0 to 1; by default, that of the bundle."""
    rerun: OptionalFile = None
    """Write samples, opinions, answers and events to this new Rerun recording (.rrd), in real time."""


@dataclass(frozen=True, kw_only=True)
class Run(Running):
    """Run a bundle on live sensors, or replay a dataset, a recording or a media file."""

    replay: OptionalFolder = None
    """A dataset whose examples are played one after another, or a recording, which is played as it was."""
    split: Annotated[str | None, optional("NAME")] = None
    """The split to play; by default, eval of a dataset, and all of a recording."""
    budget: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 1.0
    """The share of the time, up to 1, for which encoders may run; if it is too small, they run less often."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """ExecuTorch's threads; 0 for one per performance core, or a single one if all encoders are fast."""
    duty: bool = False
    """Skip windows that differ little from the last one encoded; print the savings and, in a fast replay, the
    cost in right predictions."""
    fast: bool = False
    """Replay as fast as possible, with one prediction per example."""
    unplug: bool = False
    """Unplug sensors and plug them back during the replay."""
    condition: Annotated[Texts, tyro.conf.arg(metavar="SENSOR=NAME:SEVERITY")] = ()
    """Degrade a sensor by a stated amount, such as `microphone=quiet:3` or `video=dark:5`, of severity 1 to
    5; an unknown name is answered by a list."""
    examples: Annotated[int | None, optional("N")] = None
    """Play only the first N examples."""
    limit: Annotated[int | None, optional("N")] = None
    """Stop after N predictions."""
    record: OptionalFile = None
    """Record every prediction in this SQLite file."""
    adapt: bool = False
    """Let sensors teach each other, and use what they learned here or by `sensemble adapt`."""
    keep: Annotated[str | None, optional("BOUNDS")] = None
    """Keep the record within an age, a size or both, such as `30d`, `12h`, `2GB` or `30d,2GB`: its oldest
    part is removed. Without a size, it is kept within 1 GB."""
    json: bool = False
    """Print one JSON object per prediction and, except in a fast replay, one per event of a sensor."""


@dataclass(frozen=True, kw_only=True)
class Audit(Trusting):
    """Score a bundle on labelled data, with every set of sensors."""

    bundle: Positional[Folder]
    """A bundle folder."""
    data: Folder
    """A dataset in Sensemble's format."""
    split: Annotated[str, tyro.conf.arg(metavar="NAME")] = "eval"
    """The split to score."""
    record: OptionalFile = None
    """Record the result in this SQLite file."""
    conditions: Annotated[tuple[str, ...] | None, optional("[SENSOR[=NAME[:SEVERITY]] ...]")] = None
    """Also score it while one sensor at a time is degraded: by all of its conditions at five severities, or
    by some, such as `microphone=quiet,camera=dark:3`. With a record, an interrupted audit goes on."""
    duty: bool = False
    """Score it a second time as `run --duty` would run it, with the examples in order as one stream."""
    require: Annotated[str | None, optional("CRITERIA")] = None
    """Require least scores and largest losses, such as `audio>=0.6,P>=0.8,R>=0.5,drop.microphone<=0.1`, each
    judged by the pessimistic end of its interval: exit with 3 if one fails, and with 4 if none does but the
    examples are too few to tell."""
    csv: OptionalFile = None
    """Write every score, with its interval and number of examples, to this CSV file."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True, kw_only=True)
class History(Common):
    """Print what a record holds: predictions by set of sensors, and how long each sensor was live or away."""

    record: Positional[File]
    """The SQLite file that `run --record` or `audit --record` wrote; it may still be in use."""
    json: bool = False
    """Print it as JSON."""


@dataclass(frozen=True, kw_only=True)
class Report(Common):
    """Write the page of a run, of a matrix, or of several pretrainings of one experiment."""

    run: Annotated[Positional[Path | None], optional("RUN")] = None
    """A run folder, or a folder of run folders, one per pretraining."""
    matrix: OptionalFile = None
    """A matrix file, instead of a run folder."""
    out: OptionalFile = None
    """The page to write; by default, `report.html` in the run folder or, for a matrix, here."""
    json: bool = False
    """Print the metrics of each method as JSON, and write no page."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Common):
    """List what this machine has, and what to install for the rest."""

    bundle: Annotated[Positional[Path | None], optional("BUNDLE")] = None
    """A bundle folder, for `--hear`."""
    hear: OptionalFolder = None
    """Then play clips of this dataset on the loudspeaker, hear them on the microphone, and report whether the
    bundle answers as in an audit of the same clips, and what is likely wrong."""
    microphone: Annotated[str, tyro.conf.arg(metavar="SOURCE")] = "default"
    """The microphone to hear with: its number or name."""
    split: Annotated[str, tyro.conf.arg(metavar="NAME")] = "eval"
    """The split of the clips."""
    examples: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """The number of clips to play."""
    trust: Annotated[Path | None, optional("KEY")] = None
    """Refuse a bundle that was not signed (`bundle sign`) with the private key to this public key (PEM)."""
    watch: bool = False
    """Then print cameras and microphones as they come and go, until Ctrl-C."""
    camera: Texts = ()
    """The URL of a camera to watch as well."""
    captions: Texts = ()
    """A caption file, pipe or local socket to watch as well."""
