"""Post-training int8 (torchao's pt2e): weights per channel, activations static, from real windows."""

import math

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from sensemble_train.frontend import LogMel
from torch import Tensor, fx, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from sensemble_export.rewrite import RootMeanSquare

CALIBRATION_WINDOWS = 64
"""How many windows set the ranges of the activations; more cost time and change little."""

_QUANTIZED = (torch.ops.aten.linear.default, torch.ops.aten.conv2d.default)
_FLOAT = tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in (LogMel, RootMeanSquare))


def quantize(encoder: nn.Module, windows: Tensor) -> fx.GraphModule:
    """Quantize the linear layers and convolutions of `encoder`, as `rewrite.lowerable` returns it.

    The log-mel front end and the layer norms, whose values span many decades, and everything that is not a
    product with a weight (softmax, residual sums) stay float.

    Args:
        encoder: takes [1, ...].
        windows: [N, ...] that it will meet in use; `CALIBRATION_WINDOWS` of them are taken at even distances.
    """
    quantizer = XNNPACKQuantizer().set_filter_function(_is_quantized)
    config = get_symmetric_quantization_config(is_per_channel=True)
    for operator in _QUANTIZED:
        quantizer.set_operator_type(operator, config)
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(encoder, (windows[:1],)).module(), quantizer)
        step = math.ceil(len(windows) / CALIBRATION_WINDOWS)
        for index in range(0, len(windows), step):
            prepared(windows[index : index + 1])
        quantized: fx.GraphModule = convert_pt2e(prepared)
    return quantized


def _is_quantized(node: fx.Node) -> bool:
    return all(kind not in _FLOAT for _, kind in node.meta.get("nn_module_stack", {}).values())
