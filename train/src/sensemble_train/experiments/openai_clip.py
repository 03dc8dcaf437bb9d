"""Initial weights and the tokenizer of an OpenAI CLIP (paper, App. D; Radford et al., 2021).

Text and frames take CLIP's text and image encoders: a film of one frame has CLIP's embedding of the image. In
longer films each frame starts as in CLIP, with positions in time of zero. Sound takes the image encoder too,
with the log-mel as a grey picture.
"""

import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten

import torch
from sensemble_runtime.bundle.tokenizer_fields import CLIP_WORD, CONTROLS
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional

from sensemble_train.errors import CheckpointError, ConfigurationError
from sensemble_train.models.encoders import Encoder
from sensemble_train.models.frontend import VIDEO_MEAN, VIDEO_STD
from sensemble_train.models.kinds.frames import FramesEncoder
from sensemble_train.models.kinds.text import TextEncoder
from sensemble_train.models.kinds.waveform import WaveformEncoder
from sensemble_train.models.model import Model
from sensemble_train.models.pretrained.weights import read_tensors

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of red, green and blue in [0, 1] (its published code)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_NAMES = re.compile(
    r"(visual\.)?transformer\.resblocks\.\d+\..+|ln_final\.(weight|bias)|logit_scale|token_embedding\.weight|"
    r"positional_embedding|text_projection|visual\.(class_embedding|positional_embedding|proj|conv1\.weight|"
    r"ln_(pre|post)\.(weight|bias))"
)
_SIZES = ("input_resolution", "context_length", "vocab_size")  # beside the weights in OpenAI's archives
_IN_A_BLOCK = {
    "ln_1.": "norm1.",
    "attn.in_proj_": "attention.qkv.",
    "attn.out_proj.": "attention.out.",
    "ln_2.": "norm2.",
    "mlp.c_fc.": "mlp.0.",
    "mlp.c_proj.": "mlp.2.",
}
START, END = "<|startoftext|>", "<|endoftext|>"
_VOCABULARY = 49408
_FILE = "bpe_simple_vocab_16e6.txt.gz of OpenAI's repository CLIP"
_MERGES = _VOCABULARY - 2 * 256 - 2  # bytes have two ids each: within and at the end of a word


def read_clip(path: Path) -> dict[str, Tensor]:
    """Read a CLIP from OpenAI's TorchScript archive, `torch.save`'s tensors or safetensors."""
    try:
        return read_tensors(path)
    except CheckpointError as error:
        raise CheckpointError(f"{shorten(str(error), 300)}; take OpenAI's ViT-B-16.pt") from error


def initialize(model: Model, clip: Mapping[str, Tensor]) -> float:
    """Give encoders of the shape `CLIP_B16` a CLIP's weights; return the log of its inverse temperature."""
    weights = {name: value.float() for name, value in clip.items() if name not in _SIZES}
    differing = [name for name in weights if not _NAMES.fullmatch(name)]
    if differing:
        raise CheckpointError(
            f"{shorten(differing[0], 80)} is not of a CLIP; take the weights of OpenAI's ViT-B/16"
        )
    try:
        for modality in model.modalities:
            encoder = model.encoders[modality]
            assert isinstance(encoder, Encoder)  # noqa: S101 - models are built of these
            _load(modality, encoder, _renamed(weights, encoder))
        return weights["logit_scale"].item()
    except KeyError as error:
        raise CheckpointError(f"the CLIP weights lack {error}; take those of OpenAI's ViT-B/16") from error


def _load(modality: str, encoder: Encoder, weights: dict[str, Tensor]) -> None:
    own = encoder.state_dict()
    differing = [name for name in sorted({*own, *weights}) if _shape(own, name) != _shape(weights, name)]
    if differing:
        name = differing[0]
        raise ConfigurationError(
            f"{modality}: {name} of CLIP is {_shape(weights, name)}, of the model {_shape(own, name)}, and "
            f"{len(differing) - 1} more differ; take the preset clip_b16 and a CLIP with a ViT-B/16"
        )
    encoder.load_state_dict(weights)


def _shape(weights: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None


def _renamed(clip: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    if isinstance(encoder, TextEncoder):
        return _text(clip, encoder)
    if isinstance(encoder, WaveformEncoder | FramesEncoder):
        return _images(clip, encoder)
    raise ConfigurationError(f"CLIP has no encoder for a {type(encoder).__name__}; leave its modality out")


def _text(clip: Mapping[str, Tensor], encoder: TextEncoder) -> dict[str, Tensor]:
    """Rename the text encoder; of its 77 positions, those of the model's captions (Table 6: 60) are kept."""
    (length,) = encoder.grid
    return {
        "token.weight": clip["token_embedding.weight"],
        "position": clip["positional_embedding"][None, :length],
        "trunk.norm.weight": clip["ln_final.weight"],
        "trunk.norm.bias": clip["ln_final.bias"],
        "trunk.project.weight": clip["text_projection"].T,
        **_blocks(clip, "transformer.resblocks."),
    }


def _images(clip: Mapping[str, Tensor], encoder: WaveformEncoder | FramesEncoder) -> dict[str, Tensor]:
    patches, positions = clip["visual.conv1.weight"], clip["visual.positional_embedding"]
    if isinstance(encoder, WaveformEncoder):
        patches, bias = patches.sum(dim=1), torch.zeros_like(patches[:, 0, 0, 0])
        places = {"position": _resized(positions[1:], encoder.grid)}
    else:
        patches, bias = _as_normalized_here(patches)
        times, *grid = encoder.grid
        space = _resized(positions[1:], tuple(grid))[None]
        places = {"space": space, "time": space.new_zeros(1, times, 1, space.shape[-1])}
    return {
        "stem.0.project.weight": patches.flatten(1),
        "stem.0.project.bias": bias,
        "start.token": (clip["visual.class_embedding"] + positions[0]).view(1, 1, -1),
        "start.norm.weight": clip["visual.ln_pre.weight"],
        "start.norm.bias": clip["visual.ln_pre.bias"],
        "trunk.norm.weight": clip["visual.ln_post.weight"],
        "trunk.norm.bias": clip["visual.ln_post.bias"],
        "trunk.project.weight": clip["visual.proj"].T,
        **places,
        **_blocks(clip, "visual.transformer.resblocks."),
    }


def _as_normalized_here(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias that give for our pixels what `patches` [width, 3, s, s] give for CLIP's.

    We divide all colours by one number (Table 6), CLIP each by its own: for a value y of ours, CLIP's is
    (VIDEO_STD y + VIDEO_MEAN - CLIP_MEAN) / CLIP_STD.
    """
    mean, std = (patches.new_tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    bias = (patches * ((VIDEO_MEAN - mean) / std)).sum(dim=(1, 2, 3))
    return patches * (VIDEO_STD / std), bias


def _resized(positions: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Interpolate positions [n * n, width] of a square image to those of a grid, [1, N, width]."""
    side = round(len(positions) ** 0.5)
    square = positions.T.reshape(1, -1, side, side)
    return functional.interpolate(square, grid, mode="bilinear", antialias=False).flatten(2).transpose(1, 2)


def _blocks(clip: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    renamed = {}
    for name, value in clip.items():
        if name.startswith(prefix):
            block, part = name.removeprefix(prefix).split(".", 1)
            before = next((b for b in _IN_A_BLOCK if part.startswith(b)), "")
            renamed[f"trunk.blocks.{block}.{_IN_A_BLOCK.get(before, '')}{part.removeprefix(before)}"] = value
    return renamed


def clip_tokenizer(merges: Path, length: int) -> Tokenizer:
    """Build CLIP's tokenizer: lower case, byte-level BPE, each caption between two marks.

    Unlike CLIP's own, it repairs no broken encodings and resolves no HTML entities, and marks that a caption
    spells out are ordinary words. `length` counts both marks (CLIP: 77; paper, Table 6: 60). Raises
    CheckpointError if the file does not hold CLIP's merges.
    """
    try:
        data = merges.read_bytes()
        lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8").split("\n")
        pairs = [(first, second) for first, second in (line.split() for line in lines[1 : _MERGES + 1])]
    except (OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{merges}: no merges of CLIP ({error}); take {_FILE}") from error
    if len(pairs) != _MERGES:
        raise CheckpointError(f"{merges}: {len(pairs)} merges, CLIP has {_MERGES}; take {_FILE}")
    letters = _alphabet()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs), START, END]
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(ids, pairs, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(CONTROLS), ""), normalizers.NFC(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    marks = [(START, ids[START]), (END, ids[END])]
    tokenizer.post_processor = processors.TemplateProcessing(f"{START} $A {END}", special_tokens=marks)
    tokenizer.enable_truncation(length)
    return tokenizer


def _alphabet() -> list[str]:
    """Return the letter that stands for each byte, in CLIP's order: printable ones first, as themselves."""
    printable = [chr(byte) for byte in (*range(33, 127), *range(161, 173), *range(174, 256))]
    return printable + [chr(256 + i) for i in range(256 - len(printable))]
