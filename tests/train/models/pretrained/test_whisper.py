"""Whisper's encoder is the published one: from files of three forms, and against its parts in plain torch."""

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torchaudio
from safetensors.torch import save_file
from sensemble_sensors.spec import InputSpec
from sensemble_train.digits.speech import RATE as SPOKEN
from sensemble_train.digits.speech import Utterance, speak
from sensemble_train.errors import CheckpointError, ConfigurationError
from sensemble_train.models.pretrained.sources import NAMES, load
from sensemble_train.models.pretrained.weights import read_tensors
from sensemble_train.models.pretrained.whisper import Whisper
from torch import Tensor
from torch.nn import functional

RATE = 16000
WIDTH, BINS, DEPTH = 128, 80, 2
OPENAI = {
    "attn_ln": (WIDTH,), "attn.query": (WIDTH, WIDTH), "attn.key": (WIDTH, WIDTH),
    "attn.value": (WIDTH, WIDTH), "attn.out": (WIDTH, WIDTH), "mlp_ln": (WIDTH,), "mlp.0": (4 * WIDTH, WIDTH),
    "mlp.2": (WIDTH, 4 * WIDTH),
}  # fmt: skip
TRANSFORMERS = {
    "attn_ln": "self_attn_layer_norm", "attn.query": "self_attn.q_proj", "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj", "attn.out": "self_attn.out_proj", "mlp_ln": "final_layer_norm",
    "mlp.0": "fc1", "mlp.2": "fc2",
}  # fmt: skip


def openai(depth: int = DEPTH) -> dict[str, Tensor]:
    """Random weights with OpenAI's names."""
    draw = torch.Generator().manual_seed(0)
    shapes = {"conv1": (WIDTH, BINS, 3), "conv2": (WIDTH, WIDTH, 3), "ln_post": (WIDTH,)}
    shapes |= {f"blocks.{i}.{name}": shape for i in range(depth) for name, shape in OPENAI.items()}
    state = {"encoder.positional_embedding": torch.randn(1500, WIDTH, generator=draw)}
    for name, shape in shapes.items():
        state[f"encoder.{name}.weight"] = 0.1 * torch.randn(shape, generator=draw)
        if "key" not in name:
            state[f"encoder.{name}.bias"] = 0.1 * torch.randn(shape[0], generator=draw)
    return state


def transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with transformers' names, beside some of the decoder's."""
    found = {"model.decoder.layers.0.fc1.weight": torch.zeros(1)}
    for name, value in state.items():
        _, _, rest = name.partition("encoder.")
        parts = rest.split(".")
        if parts[0] == "blocks":
            rest = f"layers.{parts[1]}.{TRANSFORMERS['.'.join(parts[2:-1])]}.{parts[-1]}"
        rest = rest.replace("positional_embedding", "embed_positions.weight").replace("ln_post", "layer_norm")
        found[f"model.encoder.{rest}"] = value
    return found


def plain(state: Mapping[str, Tensor], wave: Tensor) -> Tensor:
    """Whisper in plain torch, as its paper and its code describe it, on near speech."""
    window = torch.hann_window(400)
    power = torch.stft(wave, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2
    bank = torchaudio.functional.melscale_fbanks(201, 0, 8000, BINS, RATE, norm="slaney", mel_scale="slaney")
    log = (power.transpose(1, 2) @ bank).clamp(min=1e-10).log10()
    log = log - log.amax(dim=(1, 2), keepdim=True) + 1.0
    log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
    x = ((log + 4.0) / 4.0).transpose(1, 2)

    def of(name: str) -> tuple[Tensor, Tensor | None]:
        return state[f"encoder.{name}.weight"], state.get(f"encoder.{name}.bias")

    x = functional.gelu(functional.conv1d(x, *of("conv1"), padding=1))
    x = functional.gelu(functional.conv1d(x, *of("conv2"), stride=2, padding=1)).transpose(1, 2)
    x = x + state["encoder.positional_embedding"][: x.shape[1]]
    for i in range(DEPTH):
        y = functional.layer_norm(x, [WIDTH], *of(f"blocks.{i}.attn_ln"))
        q, k, v = (
            functional.linear(y, *of(f"blocks.{i}.attn.{each}")).unflatten(2, (-1, 64)).transpose(1, 2)
            for each in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + functional.linear(mixed, *of(f"blocks.{i}.attn.out"))
        y = functional.layer_norm(x, [WIDTH], *of(f"blocks.{i}.mlp_ln"))
        y = functional.gelu(functional.linear(y, *of(f"blocks.{i}.mlp.0")))
        x = x + functional.linear(y, *of(f"blocks.{i}.mlp.2"))
    return functional.layer_norm(x, [WIDTH], *of("ln_post"))


@pytest.mark.parametrize("samples", [16000, 24000, 16160, 16001])
def test_it_computes_what_whisper_does(samples: int) -> None:
    state = openai()
    wave = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whisper = Whisper(state, samples).eval()
        ours, theirs = whisper.encode(whisper.mel(wave)), plain(state, wave)
    torch.testing.assert_close(ours[:, :-1], theirs[:, : ours.shape[1] - 1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [50, 51])
def test_a_token_weighs_by_its_loudness_and_silence_weighs_nothing(count: int) -> None:
    wave = torch.randn(1, 320 * count, generator=torch.Generator().manual_seed(1))
    wave *= (10 ** -torch.linspace(0, 2, count)).repeat_interleave(320)  # falls by 40 dB
    whisper = Whisper(openai(), wave.shape[1]).eval()
    with torch.no_grad():
        mel = whisper.mel(wave)
        tokens = whisper.encode(mel)
        decades = 4 * (mel - mel.max()).amax(dim=2).view(1, -1, 2).mean(dim=2)
        weights = (1 + decades / 2).clamp(min=0)[..., None]
        torch.testing.assert_close(
            whisper(wave), (weights * tokens).sum(dim=1) / weights.sum(), rtol=1e-3, atol=1e-4
        )
    assert (weights == 0).float().mean() > 0.3


def test_files_of_openai_and_transformers_give_the_same_encoder(tmp_path: Path) -> None:
    state = openai()
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": state}, tmp_path / "tiny.pt")
    save_file(transformers(state), tmp_path / "model.safetensors")
    wave = 0.1 * torch.randn(1, 16000)
    one, other = (Whisper(read_tensors(path), 16000).eval()(wave) for path in tmp_path.iterdir())
    torch.testing.assert_close(one, other)


def test_a_file_that_would_run_code_or_is_damaged_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("ran",)

    torch.save({"model_state_dict": Harm()}, tmp_path / "a.pt")
    (tmp_path / "b.safetensors").write_bytes(b"no")
    (tmp_path / "c.bin").write_bytes(NAMES["whisper-tiny.en"].weights.path().read_bytes()[:1000])
    (tmp_path / "d.bin").write_bytes(struct.pack("<I", 5))
    for path in tmp_path.iterdir():
        with pytest.raises(CheckpointError, match=f"{path.name}: no weights"):
            read_tensors(path)
    assert capsys.readouterr().out == ""


def test_a_window_longer_than_its_positions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--model\.seconds: .* 30 s at most"):
        Whisper(openai(), 31 * RATE)


def test_it_knows_words_by_unknown_voices_loud_or_quiet() -> None:
    """The real weights, a CTranslate2 file: a word's nearest is the same word by another voice, and faint."""
    spec = InputSpec("audio", "float32", (1, RATE), RATE, 1.0, 0.5, 2.0)
    whisper, words = load("whisper-tiny.en", spec), ("three", "seven", "nine", "zero")
    voices = [torch.zeros(len(words), RATE) for _ in ("en-us+f4", "pico-en-GB")]
    for waves, voice in zip(voices, ("en-us+f4", "pico-en-GB"), strict=True):
        for row, spoken in zip(
            waves, speak([Utterance(word, voice, 50, 160) for word in words]), strict=True
        ):
            sound = torchaudio.functional.resample(torch.from_numpy(spoken / 32768).float(), SPOKEN, RATE)[
                :RATE
            ]
            row[: len(sound)] = sound
    first, second, quiet = (
        functional.normalize((x := whisper(waves)) - x.mean(dim=0)) for waves in (*voices, 0.01 * voices[1])
    )
    assert (first @ second.T).argmax(dim=1).tolist() == list(range(len(words)))
    assert (first @ quiet.T).argmax(dim=1).tolist() == list(range(len(words)))
    assert (second * quiet).sum(dim=1).min() > 0.99
