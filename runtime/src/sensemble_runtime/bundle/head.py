"""The head: a linear classifier of the pooled representation, and its file."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import BundleCorruptError
from sensemble_runtime.executors.executor import LARGEST

Floats = NDArray[np.float32]
KNOWN = math.log(29)  # before any evidence, one window in thirty shows none of the classes
_DOUBT = 0.99  # the most that an opinion is doubted: it still has a likeliest class
_FAMILIAR = ("familiar_weight", "familiar_bias", "familiar_means", "familiar_offset")


@dataclass(frozen=True, slots=True)
class Familiarity:
    """The likeness of a window to those that its encoder was trained on.

    The score is the smaller of two: the log-odds of known against background, linear in the embedding; and
    the nearness to the nearest of some means of each class, on the same scale.
    """

    weight: Floats  # [n, d], by modality, sorted
    bias: Floats  # [n]
    means: Floats | None = None  # [n, C, p, d], p of each class, scaled; None: the linear score alone
    offset: Floats | None = None  # [n], added to their products with an embedding; None as `means`

    def log_odds(self, row: int, embeddings: Floats) -> Floats:
        """Return the linear scores [...] of embeddings float32 [..., d] of the modality in that row."""
        return np.asarray(embeddings @ self.weight[row] + self.bias[row])

    def scores(self, row: int, embeddings: Floats) -> Floats:
        """Return the scores [...] of embeddings, likewise; higher for more familiar."""
        linear = self.log_odds(row, embeddings)
        if self.means is None or self.offset is None:
            return linear
        means = self.means[row].reshape(-1, self.means.shape[-1])
        nearest = (embeddings @ means.T).max(axis=-1) + self.offset[row]
        return np.asarray(np.minimum(linear, nearest))

    def are_far(self, row: int, embeddings: Floats, limit: float) -> NDArray[np.bool_]:
        """Return whether the linear score is below a limit: that of a covered or broken sensor is.

        Without means, it is not known: the linear score then tells what was shown as none of the classes.
        """
        linear = self.log_odds(row, embeddings)
        return np.asarray(linear < limit) if self.means is not None else np.zeros(linear.shape, bool)


@dataclass(frozen=True, slots=True)
class Head:
    """The head h of the paper's Eq. 7, applied to the mean of the live embeddings."""

    weight: Floats  # [C, d]
    bias: Floats  # [C]
    task: Task
    familiarity: Familiarity | None = None  # None if the bundle has none

    def logits(self, pooled: Floats) -> Floats:
        """Return logits float32 [..., C] of pooled representations float32 [..., d]."""
        return pooled @ self.weight.T + self.bias

    def probabilities(self, pooled: Floats, temperature: float = 1.0, power: float = 0.0) -> Floats:
        """Return `scaled` class probabilities [..., C] of pooled representations, both float32."""
        return calibrated(self.logits(pooled), temperature, power, self.task)


def doubted(opinions: Floats, scores: Floats, task: Task) -> Floats:
    """Return opinions float32 [..., C], mixed with no evidence as far as windows may show no class.

    The scores of familiarity [...] count as log-odds, beside those of any window (`KNOWN`).
    """
    unknown = np.exp(-np.logaddexp(0, scores + KNOWN)).clip(max=_DOUBT)[..., np.newaxis]
    nothing = 1 / opinions.shape[-1] if task == "multi-class" else 0.5  # no evidence
    return np.asarray(opinions + unknown * (nothing - opinions), np.float32)


def calibrated(logits: NDArray[np.floating], temperature: float, power: float, task: Task) -> Floats:
    """Return class probabilities float32 [..., C] of logits [..., C], `scaled`; the same arguments."""
    return np.asarray(probabilities(scaled(logits, temperature, power, task), task), dtype=np.float32)


def scaled(
    logits: NDArray[np.floating], temperature: float, power: float, task: Task
) -> NDArray[np.floating]:
    """Return logits [..., C], scaled so that their softmax is calibrated, of their dtype.

    They are multiplied by their own confidence, the largest probability before, to a power (0 if
    multi-label), and divided by a temperature (Guo et al., 2017): one that rises with the doubt (after
    Balanya et al., 2022, who use the entropy). The order of the classes stays the
    same.
    """
    if task == "multi-class":  # for precision
        logits = logits - logits.max(axis=-1, keepdims=True)
    divided = logits / temperature
    if not power:
        return divided
    confidence = 1 / np.exp(logits).sum(axis=-1, keepdims=True)  # of logits whose largest is 0
    return np.asarray(divided * confidence**power)


def probabilities(logits: NDArray[np.floating], task: Task) -> NDArray[np.floating]:
    """Return the softmax (multi-class) or the sigmoids (multi-label) of logits [..., C], of their dtype."""
    if task == "multi-class":
        # Shifting by the largest logit keeps the exponentials from overflowing.
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
    small = np.exp(-np.abs(logits))  # does not overflow, and keeps small probabilities exact
    return np.asarray(np.where(logits < 0, small, 1) / (1 + small))


def load_head(data: bytes, task: Task, path: Path) -> Head:
    """Parse the bytes of a file that `save_head` wrote; `path` names it in errors.

    Raises BundleCorruptError for other tensors than those of a `Head` and its `Familiarity`, and for elements
    that are NaN or exceed `executor.LARGEST`.
    """
    try:
        tensors = load(data)
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # KeyError, TypeError: a dtype that NumPy lacks
        raise BundleCorruptError(f"{path}: not a safetensors file ({error})") from error
    forms = {name: (tensor.dtype.name, tensor.shape) for name, tensor in tensors.items()}
    match forms:
        case {"weight": ("float32", (classes, size)), "bias": ("float32", (rows,)), **more} if (
            classes == rows
        ):
            for name, tensor in tensors.items():
                if not np.all(np.abs(tensor) <= LARGEST):
                    raise BundleCorruptError(
                        f"{path}: {name} holds NaN, infinity or absurd numbers; train the model again"
                    )
            if not more or _are_scores(more, classes, size):
                scores = [tensors[name] for name in _FAMILIAR if name in tensors]
                familiarity = Familiarity(*scores) if scores else None
                return Head(tensors["weight"], tensors["bias"], task, familiarity)
    raise BundleCorruptError(
        f"{path}: expected weight float32 [C, d] and bias float32 [C], with or without familiar_weight "
        f"float32 [n, d] and familiar_bias float32 [n], then with or without familiar_means float32 "
        f"[n, C, p, d] and familiar_offset float32 [n], got {forms}"
    )


def _are_scores(forms: Mapping[str, tuple[str, tuple[int, ...]]], classes: int, size: int) -> bool:
    match forms:
        case {"familiar_weight": ("float32", (n, width)), "familiar_bias": ("float32", (m,)), **near} if (
            n,
            width,
        ) == (m, size):
            match near:
                case {"familiar_means": ("float32", (a, b, p, d)), "familiar_offset": ("float32", (o,))} if (
                    len(near) == 2
                ):
                    return (a, b, d, o) == (n, classes, size, n) and p > 0
            return not near
    return False


def save_head(head: Head, path: Path) -> None:
    """Write the head's tensors as safetensors, `load_head` names them; the manifest holds the task."""
    tensors = {"weight": head.weight, "bias": head.bias}
    if head.familiarity is not None:
        found = astuple(head.familiarity)
        tensors |= {name: one for name, one in zip(_FAMILIAR, found, strict=True) if one is not None}
    content = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    path.write_bytes(content)  # save_file would leave a file that only its owner can read
