"""The teacher of subset distillation: a trained model, frozen and in evaluation mode, that labels examples.

It sees an example's window and crop as the student does, but before they are augmented.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from sensemble_runtime.subsets import measured
from torch import Tensor

from sensemble_train.data.clips import Clips, Source, features
from sensemble_train.models.model import Model
from sensemble_train.recipe.evaluate import embed
from sensemble_train.recipe.fusion import LateFusion
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast


@torch.no_grad()
def teach(teacher: Model, source: Source, loop: Loop) -> Source:
    """Return `source` with the probabilities of a teacher, which reads all modalities, as its targets.

    They are float32 [N, C] or, of late fusion, [N, S, C]: one for each subset of the modalities. All examples
    of `source` have all modalities.

    Examples in memory are labelled now, once: their features are the same at every step. Streamed ones are
    labelled as they are loaded, because each step draws other windows and crops.
    """
    teacher.eval()
    if not isinstance(source, Clips):
        return Taught(source, teacher, loop)
    embedded = embed({"": teacher}, source, loop)[""].inputs
    return replace(source, targets=_targets(teacher, embedded))


@dataclass(frozen=True, slots=True)
class Taught:
    """A streamed source that yields features, with the teacher's probabilities as targets (see `teach`)."""

    source: Source
    teacher: Model
    loop: Loop

    @property
    def raw(self) -> bool:
        """The teacher's front ends have made features."""
        return False

    @property
    def targets(self) -> Tensor | None:
        """There are none before an example is loaded."""
        return None

    def __len__(self) -> int:
        return len(self.source)

    def having(self, modalities: Sequence[str], *, some: bool = False) -> "Taught":
        """See `Source`."""
        return replace(self, source=self.source.having(modalities, some=some))

    def take(self, rows: Tensor) -> "Taught":
        """See `Source`."""
        return replace(self, source=self.source.take(rows))

    @torch.no_grad()
    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator[Clips]:
        """Yield a batch for each sequence of rows; see `Source`."""
        self.teacher.to(device)
        for clips in self.source.load(order, device, workers, step):
            seen = features(self.teacher, self.source, clips)
            size = self.loop.scale.micro_batch or len(seen)
            parts = [seen.take(rows) for rows in torch.arange(len(seen)).split(size)]
            with autocast(self.loop.scale, self.loop.world):
                read = [self.teacher.embed(part.inputs) for part in parts]
            targets = [_targets(self.teacher, embedded) for embedded in read]
            yield replace(seen, targets=torch.cat(targets))


def _targets(model: Model, embedded: Mapping[str, Tensor]) -> Tensor:
    """Return distributions over the classes, or each class's own: float32 [N, C], or [N, S, C] of subsets."""
    if isinstance(model, LateFusion):
        logits = model.opinions(embedded, measured(model.modalities))
    else:
        logits = model.head(torch.stack([embedded[m] for m in model.modalities]).mean(dim=0))
    logits = logits.float()
    return logits.softmax(dim=-1) if model.description.task == "multi-class" else logits.sigmoid()
