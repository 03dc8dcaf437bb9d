"""BERT's encoder (Devlin et al., 2019), as sentence encoders such as MiniLM use it: the tokens' mean."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.encoders import HIDE
from sensemble_train.models.transformer import Attention

_NAMES = (
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings\.", "token."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (r"^encoder\.layer\.", "blocks."),
    (r"attention\.self\.(.)\w+", r"attention.\1"),
    (r"attention\.output\.dense", "attention.out"),
    (r"attention\.output\.LayerNorm", "norm1"),
    (r"intermediate\.dense", "mlp.0"),
    (r"output\.dense", "mlp.2"),
    (r"output\.LayerNorm", "norm2"),
)
_EPSILON = 1e-12


class Bert(nn.Module):
    """int64 [B, L] token ids, 0 for padding -> float32 [B, width], the mean over the tokens.

    `weights` are named as transformers names them. `length` includes the two tokens that mark a caption's
    ends; more than there are positions raises ConfigurationError.
    """

    position: Tensor

    def __init__(self, weights: Mapping[str, Tensor], heads: int, length: int) -> None:
        super().__init__()
        state = _named(weights)
        positions, kinds = (
            state.pop(f"embeddings.{name}_embeddings.weight") for name in ("position", "token_type")
        )
        if length > len(positions):
            raise ConfigurationError(f"--model.tokens {length}: this encoder reads {len(positions)} at most")
        size, width = state["token.weight"].shape
        depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
        self.token = nn.Embedding(size, width)
        self.register_buffer("position", positions[:length] + kinds[0])
        self.norm = nn.LayerNorm(width, _EPSILON)
        self.blocks = nn.ModuleList(
            _Block(width, heads, len(state["blocks.0.mlp.0.bias"])) for _ in range(depth)
        )
        self.load_state_dict(state | {"position": self.position})

    def forward(self, ids: Tensor) -> Tensor:
        """Map token ids to the mean of their tokens; an empty caption's is arbitrary, but finite."""
        if not torch.compiler.is_compiling():  # padding costs time: leave out what all captions have
            ids = ids[:, : max(1, int((ids > 0).sum(dim=1).max()))]
        batch, count = ids.shape
        keep = ids.clamp(0, 1).to(torch.float32)
        bias = ((keep - 1.0) * -HIDE).view(batch, 1, 1, count)
        x = self.norm(self.token(ids) + self.position[:count])
        for block in self.blocks:
            x = block(x, bias)
        keep = keep.view(batch, 1, count)
        share = keep / torch.bmm(keep, keep.view(batch, count, 1)).clamp(min=1)
        return torch.bmm(share, x).view(batch, -1)


class _Block(nn.Module):
    """A transformer block whose norms follow the sums."""

    def __init__(self, width: int, heads: int, inside: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width, _EPSILON), nn.LayerNorm(width, _EPSILON)
        self.mlp = nn.Sequential(nn.Linear(width, inside), nn.GELU(), nn.Linear(inside, width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map x [B, N, width] to the same shape; `bias` is added to the attention scores."""
        x = self.norm1(x + self.attention(x, bias))
        return self.norm2(x + self.mlp(x))  # type: ignore[no-any-return]


def _named(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights, float32, named as ours; queries, keys and values are joined."""
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)  # noqa: PLW2901
        if not re.match(r"pooler|cls|embeddings\.position_ids", name):
            state[name] = value.float()
    for name in [name for name in state if ".attention.q." in name]:
        state[name.replace(".q.", ".qkv.")] = torch.cat(
            [state.pop(name.replace(".q.", f".{each}.")) for each in "qkv"]
        )
    return state
