"""The head: a linear classifier of the pooled representation, and its file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import BundleCorruptError
from sensemble_runtime.executors.executor import LARGEST

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """The head h of the paper's Eq. 7, applied to the mean of the live embeddings.

    Attributes:
        weight: float32 [C, d].
        bias: float32 [C].
        task: `multi-class` (softmax) or `multi-label` (one sigmoid per class).
    """

    weight: Floats
    bias: Floats
    task: Task

    def logits(self, pooled: Floats) -> Floats:
        """Return logits float32 [..., C] of pooled representations float32 [..., d]."""
        return pooled @ self.weight.T + self.bias

    def probabilities(self, pooled: Floats) -> Floats:
        """Return class probabilities float32 [..., C] of pooled representations float32 [..., d]."""
        logits = self.logits(pooled)
        if self.task == "multi-class":
            # Shifting by the largest logit keeps the exponentials from overflowing.
            shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
            return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)
        # A sigmoid by tanh, which saturates where an exponential would overflow.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), dtype=np.float32)


def load_head(data: bytes, task: Task, path: Path) -> Head:
    """Parse the bytes of a file that `save_head` wrote; `path` names it in errors.

    Raises:
        BundleCorruptError: they are not safetensors, the tensors are not `weight` float32 [C, d] and `bias`
            float32 [C], or an element is NaN or exceeds `executor.LARGEST`.
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
        case {"weight": ("float32", (classes, _)), "bias": ("float32", (rows,))} if (
            len(forms) == 2 and classes == rows
        ):
            for name, tensor in tensors.items():
                if not np.all(np.abs(tensor) <= LARGEST):
                    raise BundleCorruptError(
                        f"{path}: {name} holds NaN, infinity or absurd numbers; train the model again"
                    )
            return Head(tensors["weight"], tensors["bias"], task)
    raise BundleCorruptError(f"{path}: expected weight float32 [C, d] and bias float32 [C], got {forms}")


def save_head(head: Head, path: Path) -> None:
    """Write `weight` and `bias` as safetensors; the manifest holds the task."""
    tensors = {"weight": np.ascontiguousarray(head.weight), "bias": np.ascontiguousarray(head.bias)}
    path.write_bytes(save(tensors))  # save_file would leave a file that only its owner can read
