"""The artifact store: each artifact of a model is made and measured once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sensemble_runtime.auditing.metrics import score_subsets
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Parity
from sensemble_runtime.executors.executor import missing
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.progress import Progress, no_progress
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from torch import Tensor

from sensemble_export.errors import CalibrationMissingError, ExportError, MeasurementError
from sensemble_export.lowering.cache import fetch, keep, place_of
from sensemble_export.lowering.lowering import lower_all
from sensemble_export.lowering.targets import Job, Lowered, needs_ranges
from sensemble_export.measuring import familiarity
from sensemble_export.measuring.parity import Floats, Measurement, Program, compare, embedded


@dataclass(frozen=True, slots=True)
class BuiltArtifact:
    """An artifact that was made; without `measured` and `parity` where this machine has no executor."""

    lowered: Lowered
    measured: Measurement | None
    parity: Parity | None  # with the float encoder's embeddings


class ArtifactStore:
    """The artifacts of one model, each made once.

    Attributes:
        held_out: the examples to measure on: of the split `calibrate` to choose by, of `eval` to report.
        calibration: modality -> windows [N, ...] of training data.
        windows: modality -> its held-out windows [N, ...].
        expected: modality -> their embeddings by the float encoder, float32 [N, d].
        made: the artifacts, by job.
    """

    def __init__(
        self, model: Model, folder: Path, calibration: Mapping[str, Tensor], held_out: Clips | None = None
    ) -> None:
        self.model, self.folder = model.eval(), folder
        self.calibration = _ranges(model, calibration)
        head = model.head.folded()
        self.head = Head(head.weight.detach().numpy(), head.bias.detach().numpy(), model.description.task)
        self.made: dict[Job, BuiltArtifact] = {}
        if held_out is not None:
            self.hold_out(held_out)

    def hold_out(self, held_out: Clips) -> None:
        """Measure on these examples now; raises CalibrationMissingError for windows that do not fit."""
        self.held_out = held_out
        self.windows = {m: _held_out_windows(self.model, m, held_out) for m in self.model.modalities}
        self.expected = {m: familiarity.embed(self.model, m, held) for m, held in self.windows.items()}
        for modality, held in self.windows.items():
            save_file({"windows": held.contiguous()}, self.folder / f"held_out.{modality}.safetensors")

    def _calibration_windows(self, modality: str) -> Tensor:
        """Return the calibration windows; schemes without ranges also need one window, for its shape."""
        ranges, spec = self.calibration[modality], self.model.description.specs[modality]
        return ranges if len(ranges) else torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))

    def make(
        self,
        jobs: Iterable[Job],
        progress: Progress = no_progress,
        failed: dict[Job, ExportError] | None = None,
        lowered: Mapping[Job, Lowered] | None = None,
    ) -> None:
        """Make and measure those of `jobs`, the longest first, that are not made yet.

        `progress` is called from other threads too. `failed`, if given, receives the NotLowerableError or
        MeasurementError of each job, which otherwise is raised. `lowered` is the result of `lower` for these
        jobs, if they are lowered already. CalibrationMissingError and other ExportErrors are always raised.
        """
        new = [job for job in dict.fromkeys(jobs) if job not in self.made]
        if not new:
            return
        self.check_calibration({job.modality for job in new if needs_ranges(job.scheme)})
        done, total = count(1), (2 if lowered is None else 1) * len(new)

        def step() -> None:
            progress(next(done), total)

        found = self.lower(new, step, failed) if lowered is None else lowered
        self._measure({job: found[job] for job in new if job in found}, step, failed)
        for job in new:
            if job not in found:  # it cannot be lowered
                step()

    def lower(
        self,
        jobs: Sequence[Job],
        done: Callable[[], None],
        failed: dict[Job, ExportError] | None = None,
    ) -> dict[Job, Lowered]:
        """Lower the jobs that are not in the cache; see `lower_all`."""
        windows = {m: self._calibration_windows(m) for m in self.model.modalities}
        places = {
            job: place_of(self.model.encoders[job.modality], windows[job.modality], job) for job in jobs
        }
        known = {job: lowered for job, place in places.items() if (lowered := fetch(place)) is not None}
        for _ in known:
            done()
        rest = [job for job in jobs if job not in known]
        made = lower_all(self.model, windows, rest, done, failed) if rest else {}
        for job, lowered in made.items():
            keep(places[job], lowered)
        return known | made

    def measure_on(self, held_out: Clips, jobs: Iterable[Job], progress: Progress = no_progress) -> None:
        """Measure the artifacts of `jobs` on other held-out examples, and forget all others."""
        wanted = {job: self.made[job].lowered for job in dict.fromkeys(jobs) if job in self.made}
        self.hold_out(held_out)
        self.made, done = {}, count(1)
        self._measure(wanted, lambda: progress(next(done), len(wanted)))

    def running(self, jobs: Iterable[Job]) -> dict[str, Job]:
        """Return each modality's first of `jobs`, made already, that runs here."""
        found: dict[str, Job] = {}
        for job in jobs:
            if self.made[job].measured is not None:
                found.setdefault(job.modality, job)
        return found

    def embed(self, windows: Mapping[str, Sequence[Tensor]], jobs: Iterable[Job]) -> dict[str, Floats]:
        """Embed parts [n, ...] of raw windows of modalities, float32 [N, d], by the artifacts that run here.

        A modality without one is embedded in float.
        """
        running, found, places = self.running(jobs), dict[str, Floats](), dict[str, NDArray[np.int64]]()
        with ExitStack() as stack:
            wanted = dict[str, tuple[Program, Path]]()
            for m, parts in windows.items():
                for part in parts:
                    _check(self.model, m, "further", part)
                rows = torch.cat([*parts])
                if m not in running:
                    found[m] = familiarity.embed(self.model, m, rows)
                    continue
                if rows.dtype == torch.int64:  # captions repeat
                    rows, again = rows.unique(dim=0, return_inverse=True)
                    places[m] = again.numpy()
                path = self.folder / f"encoded.{m}.safetensors"
                save_file({"windows": rows.contiguous()}, path)
                wanted[m] = stack.enter_context(_program(running[m], self.made[running[m]].lowered)), path
            for m, embeddings in embedded(wanted):
                if isinstance(embeddings, MeasurementError):
                    raise embeddings
                found[m] = embeddings[places[m]] if m in places else embeddings
        return found

    def check_calibration(self, modalities: Iterable[str]) -> None:
        """Raise CalibrationMissingError if one of `modalities` has no calibration windows."""
        for modality in sorted(modalities):
            if not len(self.calibration[modality]):
                raise CalibrationMissingError(_no_windows(modality, "calibration"))

    def scores(self, embeddings: Mapping[str, Floats]) -> dict[str, float]:
        """Return the labelled held-out examples' score by each subset, of embeddings float32 [N, d]."""
        if self.held_out.targets is None:
            return {}
        logits, present = self.logits(embeddings, self.held_out)
        return score_subsets(logits, present, self.held_out.targets.numpy(), self.head.task)

    def logits(
        self, embeddings: Mapping[str, Floats], clips: Clips
    ) -> tuple[Floats, dict[str, NDArray[np.bool_]]]:
        """Return logits by `pooling.pool_subsets`, [2^m - 1, N, C], and modality -> presence, bool [N]."""
        present = {modality: clips.present[modality].numpy() for modality in sorted(embeddings)}
        stacked = np.zeros((len(embeddings), len(clips), self.head.weight.shape[1]), dtype=np.float32)
        for row, modality in zip(stacked, present, strict=True):
            row[present[modality]] = embeddings[modality]
        return self.head.logits(pool_subsets(stacked)), present

    def _measure(
        self,
        lowered: Mapping[Job, Lowered],
        done: Callable[[], None],
        failed: dict[Job, ExportError] | None = None,
    ) -> None:
        """Time each artifact that runs here alone; then run them over the held-out windows side by side.

        `done` is called once for each. `failed`, if given, receives the MeasurementError of each.
        """
        timed, wanted = dict[Job, Measurement](), dict[Job, tuple[Program, Path]]()

        def fail(job: Job, error: MeasurementError) -> None:
            if failed is None:
                raise error
            failed[job] = error
            done()

        with ExitStack() as stack:
            for job, one in lowered.items():
                if missing(job.target):
                    self.made[job] = BuiltArtifact(one, None, None)
                    done()
                    continue
                program = stack.enter_context(_program(job, one))
                windows = self.folder / f"held_out.{job.modality}.safetensors"
                try:
                    timed[job], wanted[job] = program.time(windows), (program, windows)
                except MeasurementError as error:
                    fail(job, error)
            for job, found in embedded(wanted, {job: one.embeddings for job, one in timed.items()}):
                if isinstance(found, MeasurementError):
                    fail(job, found)
                    continue
                parity = compare(found, self.expected[job.modality], self.head)
                self.made[job] = BuiltArtifact(lowered[job], Measurement(found, timed[job].costs), parity)
                done()


def _program(job: Job, lowered: Lowered) -> Program:
    return Program(lowered.files, job.file, job.target)


def _ranges(model: Model, calibration: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each modality's calibration windows; some may be empty, for not every scheme needs them."""
    specs = model.description.specs
    ranges = {m: calibration.get(m, torch.zeros(0, *specs[m].shape[1:])) for m in model.modalities}
    for modality, rows in ranges.items():
        if len(rows):
            _check(model, modality, "calibration", rows)
    return ranges


def _held_out_windows(model: Model, modality: str, held_out: Clips) -> Tensor:
    if modality not in held_out.inputs or not held_out.present[modality].any():
        raise CalibrationMissingError(_no_windows(modality, "held-out"))
    rows = held_out.inputs[modality][held_out.present[modality]]
    _check(model, modality, "held-out", rows)
    return rows


def _check(model: Model, modality: str, kind: str, rows: Tensor) -> None:
    spec = model.description.specs[modality]
    found = (str(rows.dtype).removeprefix("torch."), tuple(rows.shape[1:]))
    if found != (spec.dtype, spec.shape[1:]):
        raise CalibrationMissingError(
            f"{modality}: {kind} windows are {found[0]} {list(found[1])}, the encoder takes "
            f"{spec.dtype} {list(spec.shape[1:])}; give the sensor's raw windows"
        )


def _no_windows(modality: str, kind: str) -> str:
    return f"{modality}: no {kind} windows; give some, or a dataset whose examples have {modality}"
