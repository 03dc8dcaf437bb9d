"""Whisper's encoder (Radford et al., 2022), for windows of up to 30 s, to which its positions are cut."""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.frontend import FRAME, HOP, RATE, Spectrum
from sensemble_train.models.transformer import Block

_BINS = FRAME // 2 + 1
_FLOOR, _RANGE = 1e-10, 8.0  # least energy, and decades below the window's maximum that are told apart
_LOUDEST, _FAINTEST = 1.0, -5.0  # decades: of near speech, to which the maximum is moved; of faint noise
_QUIET = 2.0  # decades below the maximum, at which the weight of a token reaches 0
_NAMES = (  # in the files of OpenAI, transformers and CTranslate2
    (r"^(model\.)?encoder[./]", ""),
    (r"/", "."),
    (r"layers\.|layer_(?=\d)", "blocks."),
    (r"self_attn_layer_norm|self_attention\.layer_norm|attn_ln", "norm1"),
    (r"final_layer_norm|ffn\.layer_norm|mlp_ln", "norm2"),
    (r"^layer_norm|ln_post", "norm"),
    (r"self_attn\.(.)_proj", r"attention.\1"),
    (r"self_attn\.out_proj|self_attention\.linear_1|attn\.out", "attention.out"),
    (r"attn\.([qkv])\w+", r"attention.\1"),
    (r"self_attention\.linear_0", "attention.qkv"),
    (r"fc1|ffn\.linear_0", "mlp.0"),
    (r"fc2|ffn\.linear_1", "mlp.2"),
    (r"gamma", "weight"),
    (r"beta", "bias"),
    (r"embed_positions\.weight|position_encodings\.encodings|positional_embedding", "position"),
)


class Whisper(nn.Module):
    """float32 [B, S] in [-1, 1] at 16 kHz -> float32 [B, width], the mean over time, weighted by loudness.

    `weights` are named as OpenAI, transformers or CTranslate2 names them; in every published size, attention
    heads have 64 channels. Raises ConfigurationError if a window of `samples` is longer than the positions.
    """

    position: Tensor

    def __init__(self, weights: Mapping[str, Tensor], samples: int) -> None:
        super().__init__()
        state = _named(weights)
        width, bins, taps = state["conv1.weight"].shape
        depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
        tokens = math.ceil(samples // HOP / 2)
        if tokens > len(state["position"]):
            longest = len(state["position"]) * 2 * HOP / RATE
            raise ConfigurationError(f"--model.seconds: Whisper hears windows of {longest:g} s at most")
        self.mel = WhisperMel(bins)
        self.conv1, self.conv2 = nn.Linear(taps * bins, width), nn.Linear(taps * width, width)
        self.blocks = nn.ModuleList(Block(width, width // 64, "gelu") for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("position", state.pop("position")[:tokens])
        for conv in ("conv1.weight", "conv2.weight"):
            state[conv] = state[conv].permute(0, 2, 1).flatten(1)
        self.load_state_dict(state | {"position": self.position})

    def forward(self, wave: Tensor) -> Tensor:
        """Map windows to the mean of their tokens: the loudest weighs 1, and one 20 dB below weighs nothing.

        Silence before and behind a word, and the padding of a short sound, would dilute what the word says.
        """
        mel = self.mel(wave)
        tokens = self.encode(mel)
        batch, frames, bins = mel.shape
        loud = functional.max_pool2d(mel.view(batch, 1, frames, bins), (1, bins))
        loud = functional.avg_pool2d(functional.pad(loud, (0, 0, 0, frames % 2)), (2, 1))
        # The mel's maximum is (_LOUDEST + 4) / 4, and a decade is a quarter.
        weight = (loud * (4 / _QUIET) + (1 - (_LOUDEST + 4) / _QUIET)).clamp(min=1e-6)
        # XNNPACK takes a mean over the last two of four dimensions only.
        share = (weight / weight.mean(dim=(2, 3), keepdim=True)).view(batch, 1, -1)
        return torch.bmm(share, tokens).view(batch, -1) * (1 / tokens.shape[1])

    def encode(self, mel: Tensor) -> Tensor:
        """Map log-mel spectrograms [B, frames, bins] to tokens of 20 ms, float32 [B, N, width]."""
        x = functional.pad(mel, (0, 0, 1, 1))
        x = functional.gelu(self.conv1(torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=2)))
        batch, frames, width = x.shape
        # A stride of 2: each token takes a pair of frames, and the one before it.
        x = functional.pad(x, (0, 0, 0, frames % 2)).reshape(batch, -1, 2 * width)
        before = functional.pad(x[:, :-1, width:], (0, 0, 1, 0))
        x = functional.gelu(self.conv2(torch.cat([before, x], dim=2))) + self.position
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]


class WhisperMel(Spectrum):
    """Whisper's log-mel: 25 ms Hann windows every 10 ms, centred, and Slaney's mel filters.

    Each window is first brought to the level of near speech, since Whisper hears levels as a constant in all
    bins. Sounds fainter than a sensor's noise stay faint.
    """

    dft: Tensor
    filters: Tensor
    mirror: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        window = torch.hann_window(FRAME, dtype=torch.float64)
        angle = 2 * math.pi / FRAME * torch.outer(torch.arange(_BINS), torch.arange(FRAME)).double()
        dft = torch.cat([angle.cos(), angle.sin()]) * window
        self.register_buffer("dft", dft.float(), persistent=False)
        filters = melscale_fbanks(_BINS, 0, RATE / 2, bins, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        self.register_buffer("mirror", torch.eye(FRAME // 2).flip(0), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Map float32 [B, S] in [-1, 1] at 16 kHz to [B, S // 160, bins]."""
        batch, count = len(wave), wave.shape[1] // HOP
        half = FRAME // 2
        # Products mirror the ends: XNNPACK turns nothing around.
        start = functional.linear(wave[:, 1 : half + 1], self.mirror)
        end = functional.linear(wave[:, -half - 1 : -1], self.mirror)
        wave = torch.cat([start, wave, end], dim=1)[:, : (count + 2) * HOP]
        wave = functional.pad(wave, (0, (count + 2) * HOP - wave.shape[1]))
        hops = wave.view(batch, count + 2, HOP)
        frames = torch.cat([hops[:, :-2], hops[:, 1:-1], hops[:, 2:, : FRAME - 2 * HOP]], dim=2)
        parts = functional.linear(frames, self.dft)
        parts = parts * parts
        mel = functional.linear(parts[..., :_BINS] + parts[..., _BINS:], self.filters)
        log = (mel.clamp(min=_FLOOR).log() * (1 / math.log(10))).view(batch, 1, count, -1)
        log = log - functional.max_pool2d(log, log.shape[2:]).clamp(min=_FAINTEST)
        return (log.clamp(min=-_RANGE) * 0.25 + (_LOUDEST + 4) / 4).view(batch, count, -1)


def _named(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's weights, float32, named as ours; q, k and v are joined, and keys have no bias."""
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        if re.match(r"(model\.)?encoder[./]", name) and not name.endswith("num_heads"):
            for pattern, ours in _NAMES:
                name = re.sub(pattern, ours, name)  # noqa: PLW2901
            state[name] = value.float()
    for name in [name for name in state if name.endswith("attention.q.weight")]:
        layer = name.removesuffix("q.weight")
        state[f"{layer}qkv.weight"] = torch.cat([state.pop(f"{layer}{each}.weight") for each in "qkv"])
        query, value = state.pop(f"{layer}q.bias"), state.pop(f"{layer}v.bias")
        state[f"{layer}qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    return state
