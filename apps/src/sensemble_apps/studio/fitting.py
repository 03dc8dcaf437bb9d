"""The process that fits a project's instant head: `python -m sensemble_apps.studio.fitting DATA RUN OPTIONS`.

It keeps torch, the encoders and the embeddings of the takes in memory, and fits the head again for each line
of its standard input. First it lowers the encoders, for this machine and then for browsers, which takes a
while once on a machine. It prints a line of JSON for each stage, for what it says of takes left out
(`right`, `hardest`, `none`, `mistaken`, `sets`), for a bundle that is written (`bundle`) and for a failure
(`reason`). `answered` counts the answered lines.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from sensemble_export.instant import export_instant, lower_ahead
from sensemble_export.lowering.targets import Job
from sensemble_export.measuring.artifact_store import BuiltArtifact
from sensemble_runtime.progress import Progress
from sensemble_sensors.errors import SensembleError
from sensemble_sensors.spec import Modality
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained import sources
from sensemble_train.recipe.instant import FrozenEncoders, instant

from sensemble_apps.console.output import say_json
from sensemble_apps.console.progress import stages
from sensemble_apps.running.inputs import FORM
from sensemble_apps.studio.between_takes import BETWEEN
from sensemble_apps.tables.run_folder import BUNDLE

_FRAMES = 4  # of a window
_SECONDS = 1.0  # of a window, as of a segment of a take
_HERE, _BROWSERS, _OVER = "executorch-xnnpack", "onnx", "over"


def main(data: Path, run: Path, options: Sequence[str]) -> None:
    """Fit for each line of standard input, until that is closed."""
    bundle = run / BUNDLE
    proved: dict[Job, BuiltArtifact] = {}
    answered, head, again = 0, None, False
    targets: list[str] = []  # that the encoders are lowered for
    with stages(in_json=True) as advance:
        frozen = _frozen(options)
        for lines, lowered in _requests(frozen, partial(advance, "lower")):
            answered += lines
            targets += lowered
            again |= bool(lines or lowered)
            try:
                if lines:
                    head = None
                    head = instant(data, frozen, advance, data.with_name(BETWEEN))
                    message = {"right": head.right(), "hardest": head.hardest()}
                    say_json(message | {"none": head.none, "mistaken": head.mistaken})
                if head is not None and targets and again:
                    name = data.parent.resolve().name
                    manifest = export_instant(head, bundle, name, proved=proved, targets=targets)
                    sets = {name: asdict(score) for name, score in manifest.audited.items()}
                    say_json({"bundle": str(bundle), "sets": sets, "answered": answered})
                    again = False
            except SensembleError as error:
                shutil.rmtree(bundle, ignore_errors=True)
                say_json({"reason": str(error), "answered": answered})


def _requests(frozen: FrozenEncoders, progress: Progress) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of new lines, and the targets that the encoders were lowered for meanwhile."""
    waiting: SimpleQueue[str] = SimpleQueue()

    def lower() -> None:
        with suppress(SensembleError):  # which the export also raises
            lower_ahead(frozen, progress)
        waiting.put(_HERE)
        with suppress(SensembleError):  # where browsers get none, this machine answers all the same
            lower_ahead(frozen, target=_BROWSERS)
            waiting.put(_BROWSERS)

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        waiting.put(_OVER)

    for work in (lower, read):
        Thread(target=work, daemon=True).start()
    while True:
        items = [waiting.get()]
        while not waiting.empty():
            items.append(waiting.get())
        if _OVER in items:
            return
        lowered = [item for item in items if item in (_HERE, _BROWSERS)]
        yield len(items) - len(lowered), lowered


def _frozen(options: Sequence[str]) -> FrozenEncoders:
    """Return the encoders of the studio's sensors: those that the options name, else the installed ones."""
    named = dict(option.split("=", 1) for option in options if "=" in option)
    specs, encoders = {}, {}
    for m, form in FORM.items():
        if form.hop > 0 and (m in named or "--from-scratch" not in options):
            shape = ModelConfig(seconds=_SECONDS, frames=_FRAMES, side=min(form.shape[2:4], default=0))
            specs[m] = kind_of(form).spec(Modality(m), shape, _SECONDS / 2)
            encoders[m] = named.get(m) or sources.installed(specs[m])
    return FrozenEncoders({m: source for m, source in encoders.items() if source}, specs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
