"""The sensitivity of layers to quantization: the most sensitive ones can stay float (mixed precision)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from sensemble_runtime.bundle.manifest import Scheme
from torch import Tensor, nn
from torch.nn import functional

from sensemble_export.rewrite import centred
from sensemble_export.targets import COREML_LEAST, INT4_GROUP, TARGETS, is_int4

_LAYERS = (nn.Linear, nn.Embedding, nn.Conv2d)  # the last float in ONNX's int8-dynamic
_PALETTES: dict[Scheme, int] = {"palette-6bit": 6, "palette-4bit": 4}  # bits


@torch.no_grad()
def sensitivity(encoder: nn.Module, windows: Tensor, target: str, scheme: Scheme) -> dict[str, float]:
    """Return the error of quantizing each module of `encoder` alone: 1 minus the mean cosine of embeddings.

    The weights of the module's layers, and their inputs unless the scheme quantizes weights only, are rounded
    as `scheme` rounds them for `target`; the rest stays float. An attention or a perceptron is one module,
    every other layer is a module of its own. All windows [N, ...] are encoded at once.
    """
    if "coreml" not in target:
        encoder = centred(encoder, windows)  # as the export quantizes it
    expected = encoder(windows)
    groups: dict[str, list[nn.Module]] = {}
    swept = _LAYERS[:2] if (target, scheme) == ("onnx", "int8-dynamic") else _LAYERS
    for name, module in encoder.named_modules():
        if isinstance(module, swept) and not _stays(module, target):
            groups.setdefault(_group(name), []).append(module)
    errors = {}
    for name, layers in groups.items():
        with _rounded(layers, target, scheme):
            errors[name] = 1 - float(functional.cosine_similarity(encoder(windows), expected).mean())
    return errors


def most_sensitive(errors: Mapping[str, float]) -> tuple[str, ...]:
    """Return the fewest modules that cause half of all errors, and at most a quarter of the modules."""
    kept: list[str] = []
    for name in sorted(errors, key=errors.__getitem__, reverse=True)[: max(1, len(errors) // 4)]:
        if sum(errors[module] for module in kept) >= sum(errors.values()) / 2:
            break
        kept.append(name)
    return tuple(sorted(kept))


def _stays(layer: nn.Module, target: str) -> bool:
    assert isinstance(layer.weight, Tensor)  # noqa: S101 - all of `_LAYERS` have one
    return target == "coreml" and layer.weight.numel() < COREML_LEAST


def _group(name: str) -> str:
    """Return the name of the attention, perceptron or projection that a layer belongs to, or its own."""
    parts = name.split(".")
    for part in ("attention", "mlp", "project"):
        if part in parts:
            return ".".join(parts[: parts.index(part) + 1])
    return name


@contextmanager
def _rounded(layers: list[nn.Module], target: str, scheme: Scheme) -> Iterator[None]:
    weights = [layer.weight.clone() for layer in layers]  # type: ignore[operator]
    hooks = []
    for layer in layers:
        assert isinstance(layer.weight, Tensor)  # noqa: S101 - all of `_LAYERS` have one
        if scheme in _PALETTES:
            layer.weight.copy_(_palettize(layer.weight, _PALETTES[scheme]))
            continue
        rows, columns = layer.weight.shape[0], layer.weight[0].numel()
        rows = columns if rows == 3 * columns else rows  # q, k and v are exported as a layer each
        grouped = isinstance(layer, nn.Linear) and is_int4(scheme, rows, columns)
        group, bits = (INT4_GROUP, 4) if grouped else (columns, TARGETS[target].bits)
        layer.weight.copy_(_round(layer.weight, group, 2 ** (bits - 1) - 1))
        if scheme != "int8-weights" and not isinstance(layer, nn.Embedding):
            # ONNX has one dynamic range for a layer's whole input, XNNPACK one for each vector.
            whole = scheme == "int8-static" or target == "onnx" or isinstance(layer, nn.Conv2d)
            hooks.append(layer.register_forward_pre_hook(partial(_round_input, whole=whole)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, weight in zip(layers, weights, strict=True):
            assert isinstance(layer.weight, Tensor)  # noqa: S101 - as above
            layer.weight.copy_(weight)


def _round(weight: Tensor, group: int, levels: int) -> Tensor:
    """Round each group of a row, or whole rows, symmetrically to `levels` steps on either side of 0."""
    rows = weight.reshape(-1, group)
    step = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / levels
    return ((rows / step).round() * step).reshape(weight.shape)


def _palettize(weight: Tensor, bits: int) -> Tensor:
    """Replace each weight by the nearest of 2^`bits` values that coremltools chooses for all rows."""
    from coremltools.models.neural_network import quantization_utils  # importing takes seconds

    values, indices = quantization_utils._get_kmeans_lookup_table_and_weight(bits, weight.half().numpy())  # noqa: SLF001
    return torch.from_numpy(values[indices]).reshape(weight.shape)


def _round_input(_: nn.Module, inputs: tuple[Tensor], *, whole: bool) -> Tensor:
    """Round activations to 255 steps between the extremes of the whole tensor or of each vector."""
    (x,) = inputs
    low, high = (
        (x.amin(), x.amax()) if whole else (x.amin(dim=-1, keepdim=True), x.amax(dim=-1, keepdim=True))
    )
    step = (high - low).clamp(min=torch.finfo(torch.float32).tiny) / 255
    return ((x - low) / step).round() * step + low
