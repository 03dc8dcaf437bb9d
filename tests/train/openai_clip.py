"""A CLIP in OpenAI's own form, with random weights: names, shapes and types of its ViT-B/16 archive.

And open_clip's modules, to compare with, each by itself: the package imports all of its models, for seconds.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

_PACKAGE = find_spec("open_clip")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
OPEN_CLIP = Path(_PACKAGE.origin).parent
MERGES = OPEN_CLIP / "bpe_simple_vocab_16e6.txt.gz"
SIDE, PATCH, CONTEXT, EMBEDDING = 224, 16, 77, 512


def open_clip(module: str) -> ModuleType:
    """Import a module of open_clip without the others."""
    spec = spec_from_file_location(f"open_clip_{module}", OPEN_CLIP / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def openai_clip(depth: int = 12, vocabulary: int = 49408) -> dict[str, Tensor]:
    """OpenAI's ViT-B/16 or, with fewer blocks and words, something smaller of its kind.

    What their `convert_weights` touches is half precision; embeddings, positions and LayerNorms are not.
    """

    def draw(*shape: int, half: bool = True, mean: float = 0.0) -> Tensor:
        values = mean + 0.05 * torch.randn(*shape)
        return values.half() if half else values

    def norm(name: str, width: int) -> dict[str, Tensor]:
        return {
            f"{name}.weight": draw(width, half=False, mean=1.0),
            f"{name}.bias": draw(width, half=False),
        }

    def blocks(prefix: str, width: int) -> dict[str, Tensor]:
        state = {}
        for i in range(depth):
            name = f"{prefix}transformer.resblocks.{i}"
            state |= {
                f"{name}.attn.in_proj_weight": draw(3 * width, width),
                f"{name}.attn.in_proj_bias": draw(3 * width),
                f"{name}.attn.out_proj.weight": draw(width, width),
                f"{name}.attn.out_proj.bias": draw(width),
                **norm(f"{name}.ln_1", width),
                f"{name}.mlp.c_fc.weight": draw(4 * width, width),
                f"{name}.mlp.c_fc.bias": draw(4 * width),
                f"{name}.mlp.c_proj.weight": draw(width, 4 * width),
                f"{name}.mlp.c_proj.bias": draw(width),
                **norm(f"{name}.ln_2", width),
            }
        return state

    return {
        "positional_embedding": draw(CONTEXT, 512, half=False),
        "text_projection": draw(512, EMBEDDING),
        "logit_scale": torch.tensor(4.6052),
        "visual.class_embedding": draw(768, half=False),
        "visual.positional_embedding": draw((SIDE // PATCH) ** 2 + 1, 768, half=False),
        "visual.proj": draw(768, EMBEDDING),
        "visual.conv1.weight": draw(768, 3, PATCH, PATCH),
        **norm("visual.ln_pre", 768),
        **blocks("visual.", 768),
        **norm("visual.ln_post", 768),
        **blocks("", 512),
        "token_embedding.weight": draw(vocabulary, 512, half=False),
        **norm("ln_final", 512),
        "input_resolution": torch.tensor(SIDE),
        "context_length": torch.tensor(CONTEXT),
        "vocab_size": torch.tensor(vocabulary),
    }


class _Holder(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def archive(state: dict[str, Tensor]) -> torch.jit.ScriptModule:
    """The TorchScript module, as OpenAI publishes it, whose state dict is `state`."""
    root = _Holder()
    for name, value in state.items():
        *parents, leaf = name.split(".")
        module: nn.Module = root
        for parent in parents:
            if parent not in dict(module.named_children()):
                module.add_module(parent, _Holder())
            module = module.get_submodule(parent)
        module.register_buffer(leaf, value)
    return torch.jit.script(root)  # type: ignore[no-any-return]
