"""BERT is the published one: against torch's own transformer, and by what is known of MiniLM."""

import pytest
import torch
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_sensors.spec import InputSpec
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.pretrained.bert import Bert
from sensemble_train.models.pretrained.sources import TOKENS, load, tokenizer
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, DEPTH = 24, 3, 2
PLACES = {
    "self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm",
}  # fmt: skip


def torch_s_bert(
    depth: int = DEPTH,
) -> tuple[dict[str, Tensor], nn.TransformerEncoder, list[nn.Embedding], nn.LayerNorm]:
    """Random weights as transformers names them, and the modules that they are from."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 40, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True, norm_first=False
    )
    trunk = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False).eval()
    tables = [nn.Embedding(size, WIDTH) for size in (50, 16, 2)]
    norm = nn.LayerNorm(WIDTH, 1e-12)
    state: dict[str, Tensor] = {"pooler.dense.weight": torch.zeros(1)}
    for name, table in zip(("word", "position", "token_type"), tables, strict=True):
        state[f"embeddings.{name}_embeddings.weight"] = table.weight
    for part in ("weight", "bias"):
        state[f"embeddings.LayerNorm.{part}"] = getattr(norm, part)
        for i, one in enumerate(trunk.layers):
            theirs = f"encoder.layer.{i}"
            for ours, place in PLACES.items():
                state[f"{theirs}.{place}.{part}"] = getattr(one.get_submodule(ours), part)
            joined = getattr(one.get_submodule("self_attn"), f"in_proj_{part}").chunk(3)
            for each, value in zip(("query", "key", "value"), joined, strict=True):
                state[f"{theirs}.attention.self.{each}.{part}"] = value
    return {name: value.detach() for name, value in state.items()}, trunk, tables, norm


def test_it_computes_what_torch_s_transformer_does() -> None:
    state, trunk, tables, norm = torch_s_bert()
    ids = torch.randint(1, 50, (3, 8))
    ids[1, 5:] = 0
    ids[2, 1:] = 0
    words, positions, kinds = tables
    x = norm(words(ids) + positions.weight[:8] + kinds.weight[0])
    expected = trunk(x, src_key_padding_mask=ids == 0)
    keep = (ids > 0)[:, :, None]
    expected = (expected * keep).sum(dim=1) / keep.sum(dim=1)
    for named in (state, {f"bert.{name}": value for name, value in state.items()}):
        found = Bert(named, HEADS, 8).eval()(ids)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigurationError, match=r"--model\.tokens 17: .* 16 at most"):
        Bert(state, HEADS, 17)


def test_minilm_finds_sentences_as_similar_as_published() -> None:
    """The similarities that its model card's example shows, to three digits."""
    own = tokenizer("minilm", TOKENS)
    assert own is not None
    sentences = [f"That is a {what}" for what in ("happy person", "happy dog", "very happy person")]
    sentences.append("Today is a sunny day")
    ids = torch.cat([torch.from_numpy(tokenize(own, sentence, TOKENS)) for sentence in sentences])
    minilm = load("minilm", InputSpec("text", "int64", (1, TOKENS), 0, 0.0, 0.0, 1.0))
    x = functional.normalize(minilm(ids))
    torch.testing.assert_close((x[:1] @ x[1:].T)[0], torch.tensor([0.695, 0.943, 0.257]), atol=1e-3, rtol=0)
    long, empty = (tokenize(own, text, TOKENS)[0] for text in ("word " * 100, ""))
    assert long[-1] == empty[1], "an end, also when cut"
