"""`sensemble trial`: what is lost without a sensor, or with a worse one, on the same scenes."""

from dataclasses import asdict, dataclass
from typing import Annotated
from unicodedata import normalize

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import MARGIN, SetComparison, check_margin
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import counted
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.console.columns import table
from sensemble_apps.console.output import check_writable, remark, say_executors, say_json
from sensemble_apps.console.wording import sensor_words
from sensemble_apps.errors import InputError
from sensemble_apps.options import Folder, OptionalFolder, Positional, Seed, Sources, Texts
from sensemble_apps.running import trial
from sensemble_apps.running.inputs import examples_of
from sensemble_apps.running.trial import (
    SETTLE,
    Outcome,
    ReplayedScenes,
    Scenes,
    ShownScenes,
    arms_of,
    on_devices,
)
from sensemble_apps.tables import comparison_table


@dataclass(frozen=True, kw_only=True)
class Trial(Sources):
    """Measure what is lost without a sensor, or with a degraded one, on the same scenes in random order."""

    bundle: Positional[Folder]
    """A bundle folder."""
    unplug: Annotated[Texts, "SENSOR"] = ()
    """An arm without a sensor or a device; join several with `+`."""
    condition: Annotated[Texts, "SENSOR=NAME:SEVERITY"] = ()
    """An arm with a sensor degraded by a stated amount, such as `camera=occlusion:5`."""
    repeat: int = 1
    """The number of blocks."""
    seed: Seed = 0
    """The seed of the order."""
    show: Annotated[str | None, "CLASSES"] = None
    """With devices or a media file: the classes to show, such as `three,seven`, one in each block in turn."""
    seconds: float = 20.0
    """With devices, the length of a period, whose first 5 s do not count; with a media file, its greatest
    length."""
    replay: OptionalFolder = None
    """A dataset whose examples are the scenes."""
    split: Annotated[str, "NAME"] = "eval"
    """The split to play."""
    examples: int | None = None
    """Play only N examples, evenly from the whole split."""
    fast: bool = False
    """Replay as fast as possible: a dry run of one block, as all blocks would be equal."""
    margin: float = MARGIN
    """The difference in accuracy below which an arm counts as equivalent to all sensors."""
    out: OptionalFolder = None
    """Write the answers of each arm to a record in this folder, for `sensemble compare`."""
    json: bool = False
    """Print the outcome as JSON."""


def main(arguments: Trial) -> None:
    """Run the periods and print each arm beside the control."""
    _check(arguments)
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    arms = arms_of(arguments.unplug, arguments.condition, bundle.specs)
    say_executors(bundle.executors)
    scenes = _scenes(arguments, bundle)
    total = arguments.repeat * (1 + len(arms))

    def began(period: int, block: int) -> None:  # the arm is not said: who shows the scenes is blind to it
        shown = f": show {scenes.shown(block)[0].labels[0]}" if isinstance(scenes, ShownScenes) else ""
        remark(f"period {period + 1} of {total}{shown}")

    outcome = trial.run(bundle, scenes, arms, arguments.repeat, arguments.seed, began)
    found = outcome.comparisons(bundle, arguments.margin)
    if arguments.json:
        said = {title: asdict(one) | {"differs": one.differs} for title, one in found.items()}
        shared = {"seed": arguments.seed, "order": outcome.order, "sensors": outcome.subset}
        say_json(shared | {"margin": arguments.margin, "arms": said}, indent=2)
    else:
        _print(arguments, outcome, found)
    if arguments.out:
        data = arguments.replay.resolve().name if arguments.replay else "devices"
        for path in trial.write(arguments.out, bundle, outcome, data):
            remark(str(path))


def _print(arguments: Trial, outcome: Outcome, found: dict[str, SetComparison]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"seed {arguments.seed}: {'; '.join(outcome.order)}", style="dim", soft_wrap=True)
    console.print(_table(found))
    sensors = sensor_words(subsets.parse(outcome.subset))
    console.print(f"A: {sensors}; B: the same scenes in the arm of the row", soft_wrap=True)
    one = next(iter(found.values()))
    if len(one.groups) < one.n:
        console.print(
            f"The scenes are of {counted(len(one.groups), 'group')}, which every number allows for."
        )
    for title, one in found.items():
        verdict = comparison_table.verdict(one, arguments.margin)
        said = f"{title[0].upper()}{title[1:]}, {verdict}. {comparison_table.sureness(one)}"
        console.print(said, soft_wrap=True)


def _check(arguments: Trial) -> None:
    if not arguments.unplug and not arguments.condition:
        raise InputError("give an arm: --unplug SENSOR or --condition SENSOR=NAME:SEVERITY")
    devices = arguments.names_devices or arguments.media is not None
    if devices == (arguments.replay is not None):
        raise InputError("give --replay FOLDER or devices, such as --camera 0; not both")
    if devices and not arguments.show:
        raise InputError("--show CLASSES is missing: with devices, it names the true classes")
    if not devices and (arguments.show or arguments.seconds != Trial.seconds):
        raise InputError("--show and --seconds are for devices and a media file; leave them out of a replay")
    if arguments.fast and (devices or arguments.repeat > 1):
        raise InputError("--fast is for a replay in one block; every other block would be alike")
    if arguments.repeat < 1 or (arguments.examples is not None and arguments.examples < 1):
        raise InputError("--repeat and --examples: give 1 or more")
    check_margin(arguments.margin)
    classes = len((arguments.show or "").split(","))
    if arguments.show and arguments.repeat % classes:
        raise InputError(f"--repeat {arguments.repeat}: give a multiple of {classes}, the classes of --show")
    if arguments.out:
        check_writable(arguments.out)


def _scenes(arguments: Trial, bundle: Bundle) -> Scenes:
    if arguments.replay is not None:
        every = examples_of(arguments.replay, arguments.split)
        examples = trial.spread(every, arguments.examples or len(every))
        return ReplayedScenes(bundle, examples, arguments.fast)
    live = arguments.media is None  # a file opens at once, and has its own gaps
    period = on_devices(bundle, lambda: arguments.sensors(bundle.specs), DEFAULT if live else None)
    labels = normalize("NFC", arguments.show or "").split(",")
    return ShownScenes(bundle, period, labels, arguments.seconds, SETTLE if live else 0.0)


def _table(found: dict[str, SetComparison]) -> Table:
    columns = "scenes", *comparison_table.COLUMNS
    drawn = table(("arm",), columns, caption=comparison_table.CAPTION, whole=True)
    for title, one in found.items():
        drawn.add_row(title, str(one.n), *comparison_table.cells(one))
    return drawn
