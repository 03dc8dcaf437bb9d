"""Post-training quantization for XNNPACK by torchao, with weights per channel or in groups."""

from collections.abc import Sequence
from functools import partial

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_train.models.frontend import Spectrum
from torch import Tensor, fx, nn
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerGroup
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sensemble_export.rewrite import Norm, RootMeanSquare
from sensemble_export.targets import INT4_GROUP, is_int4

_FLOAT = (Spectrum, RootMeanSquare, Norm)  # their values span many decades
_CLAMPS = {torch.ops.aten.hardtanh.default, torch.ops.aten.relu6.default}


def quantize(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> fx.GraphModule:
    """Quantize the linear layers and convolutions of `encoder`, as `rewrite.lowerable` returns it, in place.

    Log-mel front ends, layer norms, and every operation that is not a product with a weight (softmax,
    residual sums) stay float. Convolutions are static int8 in every scheme. In `int4-weights`, small linear
    layers (`targets.is_int4`) are as in `int8-dynamic`. `windows` [N, ...] of real data give the activations'
    ranges.
    """
    large = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and is_int4(scheme, *module.weight.shape)
    ]
    if large:
        config = Int8DynamicActivationIntxWeightConfig(
            weight_dtype=torch.int4,  # type: ignore[attr-defined]
            weight_granularity=PerGroup(INT4_GROUP),
        )
        quantize_(encoder, config, filter_fn=lambda _, name: name in large)
    quantizer = _Quantizer().set_filter_function(partial(_is_quantized, encoder=encoder, kept=large))
    static = get_symmetric_quantization_config(is_per_channel=True)
    dynamic = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    quantizer.set_operator_type(torch.ops.aten.conv2d.default, static)
    quantizer.set_operator_type(torch.ops.aten.linear.default, static if scheme == "int8-static" else dynamic)
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(encoder, (windows[:1],)).module(), quantizer)
        for window in windows.split(1):
            prepared(window)
        quantized: fx.GraphModule = convert_pt2e(prepared)
    return quantized


class _Quantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """ExecuTorch's quantizer, with ranges that lose less.

    A convolution's range is measured behind a following clamp, such as ReLU6, which cuts off most of it.
    Means stay float: the input's rounding steps would leave little of them.
    """

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """See `Quantizer`."""
        annotated: fx.GraphModule = self._annotate_for_quantization_config(model)  # without propagation
        for node in annotated.graph.nodes:
            before = node.args[0].meta.get(Q_ANNOTATION_KEY) if node.target in _CLAMPS else None
            if before is not None and len(node.args[0].users) == 1:
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    output_qspec=before.output_qspec, _annotated=True
                )
                before.output_qspec = None
        return annotated


def _is_quantized(node: fx.Node, encoder: nn.Module, kept: Sequence[str]) -> bool:
    names = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return not any(name in kept or isinstance(encoder.get_submodule(name), _FLOAT) for name in names)
