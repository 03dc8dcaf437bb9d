"""The paper's recipe: pretrain, then probe, finetune, MASD and WiSE-FT for each M_T, and the matrix.

What is finished in a run folder is never done again, so an interrupted run goes on where it stopped, and
several jobs may work on one folder: each takes a set M_T that no other has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import LOG, Clips, Source, decode
from sensemble_train.data.packed_index import pack
from sensemble_train.data.streamed import Streamed
from sensemble_train.distributed import World, alone, join
from sensemble_train.models.model import Model
from sensemble_train.recipe import run_folder
from sensemble_train.recipe.config import Config, claim
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.initialization import new_model
from sensemble_train.recipe.methods import METHODS, finetune, linear_probe, wiseft
from sensemble_train.recipe.preflight import check
from sensemble_train.recipe.pretrain import pretrain
from sensemble_train.recipe.run_folder import Matrix, read_matrix
from sensemble_train.training.loop import Loop


def run(config: Config, out: Path | str, progress: Stages = no_progress) -> Matrix:
    """Train every method for every M_T of `config`, and score each on every M_E.

    Args:
        config: what to train.
        out: the run folder; an unfinished run of the same configuration in it is continued.
        progress: reports each stage, on rank 0.

    Returns:
        The matrix on the split `eval`, which `matrix.json` holds too.

    Raises:
        ConfigurationError: the configuration does not fit the data, or the folder holds another one.
        BadDataError: the dataset is not what the data format says.
    """
    out = Path(out)
    dataset = read(config.data, config)
    chosen = choose(config, dataset)
    wanted = check(config, dataset, chosen["train"])
    with join() as world:
        with run_folder.claimed(out, "config", world, wait=True):
            if world.rank == 0:
                claim(out, config)
            world.barrier()
        if not world.agree(run_folder.scored(out, methods(config), wanted)):
            job = _Run(config, out, world, progress)
            start = job.begin(dataset, chosen)
            del dataset, chosen  # perhaps millions of objects, which streamed sources hold packed
            job.train(start, wanted)
        world.barrier()
        return read_matrix(out)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a run has before it trains: the model, its temperature, and the examples by what they are for."""

    model: Model
    log_scale: float
    sources: dict[str, Source]


@dataclass(frozen=True, slots=True)
class _Run:
    """One job's work on a run folder."""

    config: Config
    out: Path
    world: World
    progress: Stages

    def begin(self, dataset: Dataset, chosen: Mapping[str, Sequence[Example]]) -> _Start:
        """Make the model and the sources of examples."""
        torch.manual_seed(self.config.seed)
        model, log_scale = new_model(self.config, dataset, self.world)
        sources = {what: self._source(model, what, examples) for what, examples in chosen.items()}
        if "distill" not in sources:
            sources["distill"] = self._sample(sources["pretrain"].having(model.modalities))
        return _Start(model, log_scale, sources)

    def _sample(self, complete: Source) -> Source:
        """Draw D_SD from pretraining's examples that have all modalities (Sec. 5)."""
        order = torch.randperm(len(complete), generator=seeded(self.config.seed, "distill"))
        return complete.take(order[: self.config.distill])

    def train(self, start: _Start, wanted: Sequence[tuple[str, ...]]) -> None:
        """Pretrain, and do all that the run folder lacks for each M_T."""
        model = self._pretrained(start.model, start.sources["pretrain"], start.log_scale)
        sources = start.sources
        embedded = embed({"": model}, sources["train"], self._loop("embed"))[""]
        # Whatever no other job has, first; then what others had, in case one of them died.
        for wait in (False, True):
            for train in wanted:
                if self.world.agree(run_folder.scored(self.out, methods(self.config), [train])):
                    continue
                with run_folder.claimed(self.out, name(train), self.world, wait=wait) as ours:
                    if ours:
                        self._downstream(model, embedded, sources, train)

    def _source(self, model: Model, what: str, examples: Sequence[Example]) -> Source:
        """Return examples as a source: streamed, or decoded and put through the front ends once."""
        config, description = self.config, model.description
        if config.stream:
            seed = self._seed(f"windows {what}") % 2**32
            packed = pack(examples)
            return Streamed(packed, description, model.tokenizer, config.sampling, seed, config.skip_bad)
        raw = decode(
            examples,
            description.specs,
            model.tokenizer,
            description.labels,
            description.task,
            partial(self._tell, f"decode {what}"),
            skip_bad=config.skip_bad,
        )
        if raw.skipped:
            LOG.warning("skipped %d of %d examples of %s", raw.skipped, len(raw), what)
        parts = [model.front(raw.take(rows).inputs) for rows in torch.arange(len(raw)).split(200)]
        features = {m: torch.cat([part[m] for part in parts]) for m in raw.inputs}
        return Clips(features, raw.present, raw.targets)

    def _pretrained(self, model: Model, unlabelled: Source, log_scale: float) -> Model:
        folder, config = self.out / "pretrained", self.config.pretrain
        loop = self._loop("pretrain", folder)
        with run_folder.claimed(self.out, "pretrained", self.world, wait=True):
            return run_folder.model_of(
                folder, self.world, lambda: pretrain(model, unlabelled, config, loop, log_scale)
            )

    def _downstream(
        self, model: Model, embedded: Clips, sources: Mapping[str, Source], train: tuple[str, ...]
    ) -> None:
        """Train and score every method for one M_T, as far as the run folder lacks them."""
        config, labelled = self.config.finetune, sources["train"]
        made: dict[str, Model] = {}

        def cell(method: str, make: Callable[[], Model]) -> Model:
            # So that what is drawn does not depend on which cells were there before.
            torch.manual_seed(self._seed(f"{method} {name(train)}"))
            made[method] = run_folder.model_of(run_folder.cell(self.out, method, train), self.world, make)
            return made[method]

        def loop(method: str) -> Loop:
            return self._loop(f"{method} {name(train)}", run_folder.cell(self.out, method, train))

        seed = self._seed(f"linear_probe {name(train)}")
        probed = cell("linear_probe", lambda: linear_probe(model, embedded, train, self.config.probe, seed))
        tuned = cell("finetune", lambda: finetune(probed, labelled, train, config, loop("finetune")))
        cell("wiseft", lambda: wiseft(tuned, probed, config.alpha))
        # Where M_T is everything, there is no student, and MASD is finetuning (Table 9).
        whole = set(train) == set(model.modalities)
        student = cell(
            "masd",
            lambda: (
                tuned
                if whole
                else finetune(probed, labelled, train, config, loop("masd"), sources["distill"])
            ),
        )
        cell("masd+wiseft", lambda: wiseft(student, probed, config.alpha))
        if self.config.everything:
            cell(
                "finetune_everything",
                lambda: finetune(probed, sources["everything"], train, config, loop("finetune_everything")),
            )
        for split in run_folder.SCORED:
            self._score(made, sources, train, split)

    def _score(
        self, made: Mapping[str, Model], sources: Mapping[str, Source], train: tuple[str, ...], split: str
    ) -> None:
        """Score what has no score yet, decoding each example once for all methods, and write the matrix."""
        paths = {
            method: run_folder.scores(run_folder.cell(self.out, method, train), split) for method in made
        }
        rest = {m: model for m, model in made.items() if not self.world.agree(paths[m].exists())}
        loop = self._loop(f"evaluate {name(train)} on {split}")
        embedded = embed(rest, sources[split], loop) if rest else {}
        if self.world.rank == 0:
            for method, clips in embedded.items():
                run_folder.write_json(paths[method], evaluate(rest[method], clips))
            with run_folder.claimed(self.out, "matrix", alone(), wait=True):
                found = run_folder.collect(self.out, methods(self.config), split)
                run_folder.write_json(run_folder.matrix(self.out, split), {"methods": found})

    def _loop(self, stage: str, folder: Path | None = None) -> Loop:
        return Loop(
            folder or self.out,
            self._seed(stage),
            self.config.scale,
            self.world,
            self.config.augment,
            partial(self._tell, stage),
        )

    def _seed(self, purpose: str) -> int:
        return seeded(self.config.seed, purpose).initial_seed()

    def _tell(self, stage: str, done: int, count: int) -> None:
        if self.world.rank == 0:
            self.progress(stage, done, count)


def methods(config: Config) -> tuple[str, ...]:
    """Return the rows of the matrix that `config` asks for."""
    return (*METHODS, "finetune_everything") if config.everything else METHODS
