"""The artifact store: each artifact of a model is made and measured once."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from sensemble_export.measuring.parity import Floats, Measurement, compare, measure


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
        for job in new:
            try:
                if job in found:
                    self.made[job] = self._measured(job, found[job])
            except MeasurementError as error:
                if failed is None:
                    raise
                failed[job] = error
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
        wanted = {job: self.made[job] for job in dict.fromkeys(jobs) if job in self.made}
        self.hold_out(held_out)
        self.made = {}
        for done, (job, made) in enumerate(wanted.items(), start=1):
            self.made[job] = self._measured(job, made.lowered)
            progress(done, len(wanted))

    def running(self, jobs: Iterable[Job]) -> dict[str, Job]:
        """Return each modality's first of `jobs`, made already, that runs here."""
        found: dict[str, Job] = {}
        for job in jobs:
            if self.made[job].measured is not None:
                found.setdefault(job.modality, job)
        return found

    def encode(self, clips: Clips, jobs: Sequence[Job]) -> dict[str, Floats]:
        """Return the embeddings, float32 [n, d], of each modality that some of other, raw examples have."""
        having = [m for m in self.model.modalities if m in clips.inputs and clips.present[m].any()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each is encoded in a separate process
            rows = pool.map(lambda m: self.embed(m, clips.inputs[m][clips.present[m]], jobs), having)
            return dict(zip(having, rows, strict=True))

    def embed(self, modality: str, windows: Tensor, jobs: Iterable[Job]) -> Floats:
        """Embed raw windows [n, ...], float32 [n, d], by the artifact that runs here, or in float."""
        _check(self.model, modality, "further", windows)
        job = self.running(jobs).get(modality)
        if job is None:
            return familiarity.embed(self.model, modality, windows)
        path, made = self.folder / f"encoded.{modality}.safetensors", self.made[job]
        save_file({"windows": windows.contiguous()}, path)
        threads = made.measured.threads if made.measured else None
        return measure(made.lowered.files, job.file, job.target, path, threads).embeddings

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

    def _measured(self, job: Job, lowered: Lowered) -> BuiltArtifact:
        if missing(job.target):
            return BuiltArtifact(lowered, None, None)
        windows = self.folder / f"held_out.{job.modality}.safetensors"
        found = measure(lowered.files, job.file, job.target, windows)
        return BuiltArtifact(
            lowered, found, compare(found.embeddings, self.expected[job.modality], self.head)
        )


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
