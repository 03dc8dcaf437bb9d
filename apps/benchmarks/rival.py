"""ONNX Runtime's best forms of an encoder, for `targets.py`: what its own tools make of it, for this machine.

Attention is one of ONNX Runtime's own operators, its transformer optimizer may fuse what else it can, and
int8 has 8 bits where the processor sums products of 8 bits without saturating. What the product ships is
portable instead: the operators of ONNX alone, and 7 bits.
"""

import copy
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.optimizer import optimize_model
from sensemble_export import to_onnx
from sensemble_export.rewrite import centred
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_train.models.frontend import Mel
from sensemble_train.models.transformer import Attention
from torch import Tensor, nn


class OneOperator(nn.Module):
    """`Attention` as ONNX Runtime's operator, with or without the layer for q, k and v in it.

    Without, that layer can be static int8, which ONNX Runtime's quantizer has not for the whole.
    """

    def __init__(self, attention: Attention, *, whole: bool) -> None:
        super().__init__()
        self.attention, self.whole = attention, whole
        self.weight = nn.Parameter(attention.qkv.weight.detach().t().contiguous())

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend over x [1, N, width]; `bias` is as in `Attention`."""
        qkv, count = self.attention.qkv, x.shape[1]
        added = [] if bias is None else [None, None, bias.expand(-1, -1, count, count)]
        if self.whole:
            name, given = "Attention", [x, self.weight, qkv.bias]
        else:
            name, given = "MultiHeadAttention", [*qkv(x).chunk(3, dim=-1)]
        mixed = torch.onnx.ops.symbolic(
            f"com.microsoft::{name}",
            [*given, *added],
            {"num_heads": self.attention.heads},
            dtype=x.dtype,
            shape=x.shape,
            version=1,
        )
        return self.attention.out(mixed)  # type: ignore[no-any-return]


def write(encoder: nn.Module, windows: Tensor, scheme: Scheme, path: Path, *, optimized: bool) -> None:
    """Write `encoder`, in evaluation mode, for ONNX Runtime on this machine.

    Args:
        encoder: takes [1, ...].
        windows: [N, ...] real ones, which set int8's ranges.
        scheme: `fp32`, `int8-dynamic` or `int8-static`.
        path: the file.
        optimized: whether its transformer optimizer fuses what else it can; not every encoder gains by it.
    """
    encoder = copy.deepcopy(encoder) if scheme == "fp32" else centred(encoder, windows)
    heads = width = 0
    for name, module in list(encoder.named_modules()):
        if isinstance(module, Attention):
            encoder.set_submodule(name, OneOperator(module, whole=scheme != "int8-static"))
            heads, width = module.heads, module.heads * module.size
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        model = to_onnx._export(encoder, windows[:1])
        if optimized:
            onnx.save(model, plain)
            model = optimize_model(str(plain), "vit", num_heads=heads, hidden_size=width, opt_level=0).model
    if scheme == "fp32":
        onnx.save(model, path)
        return
    front = tuple(name for name, module in encoder.named_modules() if isinstance(module, Mel))
    weights = {constant.name for constant in model.graph.initializer}
    settings = {
        "per_channel": True,
        "reduce_range": not exact(),
        "nodes_to_quantize": [
            node.name
            for node in model.graph.node
            if node.op_type == "Attention" or to_onnx._is_quantized(node, weights, scheme, front)
        ],
        "extra_options": {"DefaultTensorType": onnx.TensorProto.FLOAT},  # of what its shape inference lacks
    }
    if scheme == "int8-dynamic":
        quantize_dynamic(model, path, **settings)
    else:
        quantize_static(model, path, to_onnx._Windows(windows), activation_type=QuantType.QUInt8, **settings)


def exact() -> bool:
    """Return whether this processor sums products of 8 bits without saturating: all but x86 without VNNI."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return True
    return "vnni" in Path("/proc/cpuinfo").read_text()
