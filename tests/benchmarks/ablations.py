"""The parts of subset distillation, its teacher and its steps, one at a time, on `digits`.

    uv run python tests/benchmarks/ablations.py OUT [--seeds 0 1 2] [--train video audio+text+video] [--read]

trains what OUT/seed<N> lacks, a run folder whose `ablations/` holds a cell for each row and M_T; killed, it
goes on. `--read` trains nothing. It prints R / P of each row, without and with WiSE-FT, as the mean over the
seeds that have it, and its difference from `subset` in the same seeds: the rows of a seed and an M_T begin
with the same probe and take the same batches (finetuning and MASD, which are the run's, take others). No row
is trained beside backgrounds but the one that says so. The options of these rows are here because nothing
else needs them.
"""

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from sensemble_apps.commands.data.build import digits
from sensemble_apps.console.progress import stages
from sensemble_runtime.auditing.robustness import per_train
from sensemble_runtime.auditing.scores import score_subsets
from sensemble_runtime.subsets import Subset, name, parse, subsets
from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, Source
from sensemble_train.distributed import alone
from sensemble_train.models.model import Model, load_model
from sensemble_train.objectives.distillation import Distillation, self_distillation_loss
from sensemble_train.objectives.subset_distillation import SubsetDistillation, subset_logits
from sensemble_train.objectives.task import Downstream, Task, task_loss
from sensemble_train.recipe import recipe, run_folder
from sensemble_train.recipe.background_loss import background_loss
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.experiments import EXPERIMENTS
from sensemble_train.recipe.methods import AVERAGED, finetune, linear_probe, wiseft
from sensemble_train.recipe.sources import backgrounds, make_sources
from sensemble_train.recipe.teacher import teach
from sensemble_train.training.loop import Loop, fit
from torch import Tensor, nn
from torch.nn import functional

REFERENCE = "subset"
Scores = dict[str, float]


class VariedMASD(Distillation):
    """Eq. 8 with what App. C tried: a temperature, the teacher's moving average, random student modalities.

    The student's modalities are drawn for each batch from the subsets of those that have no labels.
    """

    def __init__(
        self,
        model: Model,
        train: Sequence[str],
        *,
        temperature: float = 1.0,
        average: float = 0.0,
        sampled: bool = False,
    ) -> None:
        super().__init__(model, train, 0.5)
        self.temperature, self.average, self.sampled = temperature, average, sampled
        self.averaged = copy.deepcopy(model).requires_grad_(requires_grad=False) if average else None

    def forward(self, *batches: Clips) -> Tensor:
        labelled, unlabelled = batches
        task, student = self.task_loss(labelled), self.student
        with torch.no_grad():
            taught = (self.averaged or self.model).classify({m: unlabelled.inputs[m] for m in self.teacher})
        if self.sampled:
            sets = subsets(self.student)
            student = sets[int(torch.randint(len(sets), ()))]
        logits = self.model.classify({m: unlabelled.inputs[m] for m in student})
        t = self.temperature
        distilled = t * t * self_distillation_loss(logits / t, taught / t, self.model.description.task)
        return (task + distilled) / 2

    @torch.no_grad()
    def after_step(self) -> None:
        if self.averaged is not None:
            for kept, new in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1 - self.average)


class LabelledSubsets(Downstream):
    """The subsets of M_T on labels alone."""

    def __init__(self, model: Model, train: Sequence[str]) -> None:
        super().__init__(model)
        self.sets = subsets(train)

    def forward(self, *batches: Clips) -> Tensor:
        (labelled,) = batches
        assert labelled.targets is not None
        logits = subset_logits(self.model, labelled.inputs, self.sets)
        return task_loss(logits.flatten(0, 1), labelled.targets.repeat(len(self.sets)), "multi-class")


class Distilled(Downstream):
    """The teacher's part alone."""

    def forward(self, *batches: Clips) -> Tensor:
        (unlabelled,) = batches
        logits = subset_logits(self.model, unlabelled.inputs, sets := subsets(self.model.modalities))
        assert unlabelled.targets is not None
        return task_loss(logits.flatten(0, 1), unlabelled.targets.repeat(len(sets), 1), "multi-class")


class Minimax(SubsetDistillation):
    """The worst subsets weigh more: w_S is half uniform, half the softmax of an averaged KL(q || f_S)."""

    def __init__(self, model: Model, train: Sequence[str]) -> None:
        super().__init__(model, train, 0.5)
        self.average = torch.zeros(len(self.unlabelled))

    def forward(self, *batches: Clips) -> Tensor:
        labelled, unlabelled = batches
        assert unlabelled.targets is not None
        task = LabelledSubsets.forward(self, labelled)  # type: ignore[arg-type]
        predicted = subset_logits(self.model, unlabelled.inputs, self.unlabelled).log_softmax(dim=2)
        q = unlabelled.targets
        crosses = -(q * predicted).sum(dim=2).mean(dim=1)
        entropy = torch.special.entr(q).sum(dim=1).mean()
        self.average = self.average.lerp(crosses.detach() - entropy, 0.1)
        weights = 0.5 / len(crosses) + 0.5 * self.average.softmax(dim=0)
        return 0.5 * task + 0.5 * (weights * crosses).sum()

    @property
    def sets(self) -> list[Subset]:
        return self.labelled


class Biased(Downstream):
    """Subset distillation with a learned bias of each subset, f_S = W mean e + b + b_S."""

    def __init__(self, model: Model, train: Sequence[str]) -> None:
        super().__init__(model)
        self.every = subsets(model.modalities)
        self.labelled = [self.every.index(subset) for subset in subsets(train)]
        self.bias = nn.Parameter(torch.zeros(len(self.every), 1, len(model.description.labels)))

    def forward(self, *batches: Clips) -> Tensor:
        labelled, unlabelled = batches
        own = [self.every[row] for row in self.labelled]
        assert labelled.targets is not None
        assert unlabelled.targets is not None
        task = subset_logits(self.model, labelled.inputs, own) + self.bias[self.labelled]
        taught = subset_logits(self.model, unlabelled.inputs, self.every) + self.bias
        return 0.5 * task_loss(task.flatten(0, 1), labelled.targets.repeat(len(own)), "multi-class") + (
            0.5
            * task_loss(taught.flatten(0, 1), unlabelled.targets.repeat(len(self.every), 1), "multi-class")
        )


class DroppedModalities(Task):
    """Finetuning on a random subset of M_T for each example: modality dropout."""

    def __init__(self, model: Model, train: Sequence[str]) -> None:
        super().__init__(model, train)
        self.sets = subsets(train)

    def forward(self, *batches: Clips) -> Tensor:
        (labelled,) = batches
        assert labelled.targets is not None
        logits = subset_logits(self.model, labelled.inputs, self.sets)
        drawn = torch.randint(len(self.sets), (len(labelled),))
        return functional.cross_entropy(logits[drawn, torch.arange(len(labelled))], labelled.targets)


@dataclass(frozen=True)
class Bench:
    """One seed and one M_T: the sources, the models of the run, and the way to train another."""

    run: Path
    config: Config
    sources: dict[str, Source]
    backgrounds: Clips | None
    train: Subset

    def model(self, method: str) -> Model:
        """Return a model of the run, or of an earlier row."""
        of_run = run_folder.cell(self.run, method, self.train)
        return load_model(of_run if of_run.exists() else self.cell(method))

    def cell(self, row: str) -> Path:
        return self.run / "ablations" / row.replace(" ", "_") / name(self.train)

    @property
    def probed(self) -> Model:
        return self.model("linear_probe")

    @property
    def labelled(self) -> Source:
        return self.sources["train"].having(self.train)

    @property
    def unlabelled(self) -> Source:
        return self.sources["distill"].having(self.probed.modalities)

    def loop(self, row: str) -> Loop:
        seed = seeded(self.config.seed, f"{REFERENCE} {name(self.train)}").initial_seed()  # as in the run
        return Loop(self.cell(row), seed, self.config.scale, alone(), self.config.augment)

    def taught(self, teacher: str, inputs: Sequence[str] | None = None) -> Source:
        model = self.model(teacher)
        return teach(model, inputs or model.modalities, self.unlabelled, self.loop(teacher))

    def longer(self, times: int) -> "Bench":
        tuning = self.config.finetune
        longer = replace(tuning, steps=times * tuning.steps, warmup=times * tuning.warmup)
        return replace(self, config=replace(self.config, finetune=longer))

    def masd(self, row: str, **varied: object) -> Model:
        objective = VariedMASD(self.probed, self.train, **varied)  # type: ignore[arg-type]
        return fit(objective, [self.labelled, self.unlabelled], self.config.finetune, self.loop(row))

    def subset(
        self, row: str, teacher: str, inputs: Sequence[str] | None = None, background: float = 0.0
    ) -> Model:
        sources = [self.labelled, self.taught(teacher, inputs)]
        model, loop = self.probed, self.loop(row)
        strange = background_loss(model, self.backgrounds, background, loop)
        objective = SubsetDistillation(model, self.train, 0.5, strange)
        return fit(objective, sources, self.config.finetune, self.loop(row))

    def finetuned(self, row: str, *, unlabelled: bool) -> Model:
        extra = self.sources["distill"] if unlabelled else None
        labelled, tuning = self.sources["train"], self.config.finetune
        return finetune(self.probed, labelled, self.train, tuning, self.loop(row), extra)


Row = Callable[[Bench, str], Model]
ROWS: dict[str, Row] = {
    "labelled subsets alone": lambda b, row: fit(
        LabelledSubsets(b.probed, b.train), [b.labelled], b.config.finetune, b.loop(row)
    ),
    "distillation alone": lambda b, row: fit(
        Distilled(b.probed), [b.taught("masd")], b.config.finetune, b.loop(row)
    ),
    "both, taught by finetuning": lambda b, row: b.subset(row, "finetune"),
    "both, taught by MASD on M_T": lambda b, row: b.subset(row, "masd", b.train),
    "both, beside backgrounds": lambda b, row: b.subset(row, "masd", background=0.5),
    "second round": lambda b, row: b.subset(row, "subset"),
    "MASD, twice the steps": lambda b, row: b.longer(2).finetuned(row, unlabelled=True),
    "finetuning, twice the steps": lambda b, row: b.longer(2).finetuned(row, unlabelled=False),
    "finetuning, modality dropout": lambda b, row: fit(
        DroppedModalities(b.probed, b.train), [b.labelled], b.config.finetune, b.loop(row)
    ),
    "both, minimax weights": lambda b, row: fit(
        Minimax(b.probed, b.train), [b.labelled, b.taught("masd")], b.config.finetune, b.loop(row)
    ),
    "MASD, temperature 2": lambda b, row: b.masd(row, temperature=2.0),
    "MASD, moving average": lambda b, row: b.masd(row, average=0.99),
    "MASD, random student": lambda b, row: b.masd(row, sampled=True),
    "third round": lambda b, row: b.subset(row, "second round"),
}
MASD_ROWS = [row for row in ROWS if row.startswith("MASD") or row == "both, taught by MASD on M_T"]
"""Not run where all is labelled: there, MASD is finetuning, and reads M_T."""
OTHERS = ("both, learned subset bias", "specialists, mean of logits")
RUN = {"finetune": "finetune", "MASD": "masd", REFERENCE: "subset"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--train", nargs="*", default=["video", "audio+text+video"])
    parser.add_argument("--read", action="store_true")
    arguments = parser.parse_args()
    runs = {seed: arguments.out / f"seed{seed}" for seed in arguments.seeds}
    if not arguments.read:
        for seed, run in runs.items():
            train_missing(run, seed, tuple(arguments.train))
    for train in arguments.train:
        print_table(list(runs.values()), parse(train))


def train_missing(run: Path, seed: int, trained: tuple[str, ...]) -> None:
    config = replace(EXPERIMENTS["digits"](str(digits(0).resolve())), train_modalities=trained, seed=seed)
    config = replace(config, finetune=replace(config.finetune, background=0.0))
    with stages() as advance:
        recipe.run(config, run, advance)
    dataset = read(config.data, config)
    model = load_model(run / "pretrained")
    sources = make_sources(config, model, choose(config, dataset), lambda _stage: lambda *_: None)
    strange = backgrounds(config, model, dataset, lambda _stage: lambda *_: None)
    for train in map(parse, trained):
        bench = Bench(run, config, sources, strange, train)
        every = set(train) == set(model.modalities)
        for row in (*ROWS, *OTHERS):
            folder = bench.cell(row)
            if (folder / "scores.json").exists() or (every and row in MASD_ROWS):
                continue
            folder.mkdir(parents=True, exist_ok=True)
            torch.manual_seed(0)
            found = dict(zip(OTHERS, (biased, specialists), strict=True)).get(row, trained_row)(bench, row)
            run_folder.write_json(folder / "scores.json", found)
            print(f"{run.name} {name(train)} {row}", flush=True)


def trained_row(bench: Bench, row: str) -> dict[str, Scores]:
    model = ROWS[row](bench, row)
    run_folder.save(model, bench.cell(row), alone())
    averaged = wiseft(model, bench.probed, bench.config.finetune.alpha)
    models = {"plain": model, "wiseft": averaged}
    embedded = embed(models, bench.sources["eval"], bench.loop(row))
    return {form: evaluate(models[form], clips) for form, clips in embedded.items()}


def biased(bench: Bench, row: str) -> dict[str, Scores]:
    objective = Biased(bench.probed, bench.train)
    sources = [bench.labelled, bench.taught("masd")]
    model = fit(objective, sources, bench.config.finetune, bench.loop(row))
    alpha = bench.config.finetune.alpha
    models = {"plain": model, "wiseft": wiseft(model, bench.probed, alpha)}
    bias = {"plain": objective.bias.detach(), "wiseft": alpha * objective.bias.detach()}
    embedded = embed(models, bench.sources["eval"], bench.loop(row))
    return {form: of_logits(head_logits(models[form], c) + bias[form], c) for form, c in embedded.items()}


def specialists(bench: Bench, row: str) -> dict[str, Scores]:
    """Finetune on each of M_T alone, and average logits; all of their heads read the other modalities."""
    evaluated, probes = bench.sources["eval"], bench.sources["train"]
    pretrained = load_model(bench.run / "pretrained")
    clips = embed({"": pretrained}, probes, bench.loop(row))[""]
    models = {}
    for m in bench.train:
        probed = linear_probe(pretrained, clips, (m,), bench.config.probe, bench.config.seed)
        loop = replace(bench.loop(row), folder=bench.cell(row) / m)
        models[m] = finetune(probed, probes, (m,), bench.config.finetune, loop)
    embedded = embed(models, evaluated, bench.loop(row))
    alone_logits = {
        m: torch.stack(
            [models[s].head(embedded[s].inputs[m]).detach() for s in ((m,) if m in models else bench.train)]
        ).mean(dim=0)
        for m in pretrained.modalities
    }
    logits = torch.stack(
        [torch.stack([alone_logits[m] for m in s]).mean(dim=0) for s in subsets(alone_logits)]
    )
    return {"plain": of_logits(logits, next(iter(embedded.values())))}


@torch.no_grad()
def head_logits(model: Model, embedded: Clips) -> Tensor:
    sets = subsets(embedded.inputs)
    return torch.stack([model.head(torch.stack([embedded.inputs[m] for m in s]).mean(dim=0)) for s in sets])


def of_logits(logits: Tensor, embedded: Clips) -> Scores:
    assert embedded.targets is not None
    present = {m: embedded.present[m].numpy() for m in sorted(embedded.present)}
    return score_subsets(logits.numpy(), present, embedded.targets.numpy(), "multi-class")


def print_table(runs: Sequence[Path], train: Subset) -> None:
    """Print a row for each method, of the seeds that have it, and how it differs from `subset` in these."""
    print(f"\nM_T = {name(train)}; R / P in %\n")
    print("| | seeds | R / P | with WiSE-FT | R and P less those of subset, by seed |")
    print("| --- | --- | --- | --- | --- |")
    reference = found(runs, REFERENCE, train)
    for row in (*RUN, *ROWS, *OTHERS):
        scores = found(runs, row, train)
        if not scores:
            continue
        cells = [
            " / ".join(f"{100 * fmean(rp[form][i] for rp in scores.values()):.1f}" for i in (1, 0))
            if all(form in rp for rp in scores.values())
            else ""
            for form in ("plain", "wiseft")
        ]
        both = [seed for seed in scores if seed in reference]
        gains = ", ".join(
            " ".join(f"{100 * (scores[s]['plain'][i] - reference[s]['plain'][i]):+.1f}" for i in (1, 0))
            for s in both
        )
        print(
            f"| {row} | {', '.join(scores)} | {cells[0]} | {cells[1]} | {'' if row == REFERENCE else gains} |"
        )


def found(runs: Sequence[Path], row: str, train: Subset) -> dict[str, dict[str, tuple[float, float]]]:
    """Return (P, R) by seed and form, of the runs that have the row."""
    results = {}
    for run in runs:
        if row in RUN:
            averaged = next(method for method, of in AVERAGED.items() if of == RUN[row])
            files = {
                form: run_folder.scores(run_folder.cell(run, m, train), "eval")
                for form, m in (("plain", RUN[row]), ("wiseft", averaged))
            }
            forms = {form: json.loads(file.read_text()) for form, file in files.items() if file.exists()}
        else:
            file = run / "ablations" / row.replace(" ", "_") / name(train) / "scores.json"
            forms = json.loads(file.read_text()) if file.exists() else {}
        if forms:
            results[run.name.removeprefix("seed")] = {
                form: per_train({name(train): scores})[name(train)] for form, scores in forms.items()
            }
    return results


if __name__ == "__main__":
    main()
