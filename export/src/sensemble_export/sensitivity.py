"""The sweep that finds layers which quantization hurts, so that they can stay float (mixed precision)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from sensemble_runtime.manifest import Scheme
from torch import Tensor, nn
from torch.nn import functional

from sensemble_export.quantize import INT4_GROUP

_LAYERS = (nn.Linear, nn.Conv2d, nn.Embedding)
_SWEPT = 32  # windows; more change the order of the layers little


@torch.no_grad()
def sensitivity(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> dict[str, float]:
    """Return what quantizing each module of `encoder` alone costs: 1 minus the mean cosine of the embeddings.

    The weights of its layers, and what they are fed, are rounded as `scheme` would round them; the rest is
    float. An attention or a perceptron counts as one, every other layer on its own.

    Args:
        encoder: in evaluation mode; it is left as it is.
        windows: [N, ...], of which the first 32 are looked at.
        scheme: a quantized one for XNNPACK or ONNX.
    """
    windows = windows[:_SWEPT]
    expected = encoder(windows)
    groups: dict[str, list[nn.Module]] = {}
    for name, module in encoder.named_modules():
        if isinstance(module, _LAYERS):
            groups.setdefault(_group(name), []).append(module)
    errors = {}
    for name, layers in groups.items():
        with _rounded(layers, scheme):
            errors[name] = 1 - float(functional.cosine_similarity(encoder(windows), expected).mean())
    return errors


def hurting(errors: Mapping[str, float]) -> tuple[str, ...]:
    """Return the fewest modules that make up half of all errors, at most a quarter of the modules."""
    kept: list[str] = []
    for name in sorted(errors, key=errors.__getitem__, reverse=True)[: max(1, len(errors) // 4)]:
        if sum(errors[module] for module in kept) >= sum(errors.values()) / 2:
            break
        kept.append(name)
    return tuple(sorted(kept))


def _group(name: str) -> str:
    """Name the attention or perceptron that a layer belongs to, or the layer."""
    parts = name.split(".")
    for part in ("attention", "mlp"):
        if part in parts:
            return ".".join(parts[: parts.index(part) + 1])
    return name


@contextmanager
def _rounded(layers: list[nn.Module], scheme: Scheme) -> Iterator[None]:
    weights = [layer.weight.clone() for layer in layers]  # type: ignore[operator]
    hooks = []
    for layer in layers:
        assert isinstance(layer.weight, Tensor)  # noqa: S101 - all of `_LAYERS` have one
        grouped = scheme == "int4-weights" and isinstance(layer, nn.Linear)
        layer.weight.copy_(_round(layer.weight, INT4_GROUP, 7) if grouped else _round(layer.weight, 0, 127))
        if not isinstance(layer, nn.Embedding):
            whole = scheme == "int8-static"
            hooks.append(layer.register_forward_pre_hook(lambda _, fed, w=whole: _round_fed(fed[0], w)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, weight in zip(layers, weights, strict=True):
            assert isinstance(layer.weight, Tensor)  # noqa: S101 - as above
            layer.weight.copy_(weight)


def _round(weight: Tensor, group: int, levels: int) -> Tensor:
    """Round each row, or each group of a row, symmetrically to `levels` steps on either side of 0."""
    divides = group and weight[0].numel() % group == 0
    rows = weight.reshape(-1, group) if divides else weight.flatten(1)
    step = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / levels
    return ((rows / step).round() * step).reshape(weight.shape)


def _round_fed(fed: Tensor, whole: bool) -> Tensor:
    """Round activations to 255 steps: between the extremes of all of them (static), or of each vector."""
    low, high = (
        (fed.amin(), fed.amax())
        if whole
        else (fed.amin(dim=-1, keepdim=True), fed.amax(dim=-1, keepdim=True))
    )
    step = (high - low).clamp(min=torch.finfo(torch.float32).tiny) / 255
    return ((fed - low) / step).round() * step + low
