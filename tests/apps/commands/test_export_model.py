"""A model that was trained elsewhere becomes a bundle: its encoders, its head, its labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_apps.cli import main
from sensemble_runtime import Bundle

from tests.apps.conftest import Refusal
from tests.parts import tone

ELSEWHERE = """
import torch
from sensemble_sensors import InputSpec
from sensemble_train import Trained
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import nn

class Sound(nn.Module):
    def __init__(self):
        super().__init__()
        self.bands = nn.Sequential(nn.Linear(400, 32), nn.ReLU(), nn.Linear(32, SIZE))

    def forward(self, wave):
        return self.bands(wave.view(-1, 20, 400)).mean(dim=1)

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.known, self.out = nn.Embedding(8, 16), nn.Linear(16, 16)

    def forward(self, ids):
        return self.out(self.known(ids).mean(dim=1))

def made():
    torch.manual_seed(0)
    specs = {
        "audio": InputSpec("audio", "float32", (1, 8000), 16000, 0.5, 0.5, 1.0),
        "text": InputSpec("text", "int64", (1, 4), 0, 0.0, 0.0, 2.0),
    }
    words = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "high": 2, "low": 3}, "[UNK]"))
    encoders = {"audio": Sound().eval(), "text": Words().eval()}
    return Trained(encoders, specs, nn.Linear(16, 2), ("high", "low"), tokenizer=words)

number = 3
nothing = dict
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module of such models, and a dataset for them."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for module, size in (("elsewhere", 16), ("misfit", 8)):
        (folder / f"{module}.py").write_text(ELSEWHERE.replace("SIZE", str(size)))
    clips, lines = folder / "clips", list[str]()
    clips.mkdir()
    for split, count in (("train", 8), ("calibrate", 24), ("eval", 16)):
        for i in range(count):
            label, name = ("high", "low")[i % 2], f"{split}-{i}"
            tone(clips / f"{name}.wav", (880, 220)[i % 2] + i)
            example = {"id": name, "split": split, "labels": [label], "audio": f"{name}.wav", "text": label}
            lines.append(json.dumps(example) + "\n")
    (clips / "index.jsonl").write_text("".join(lines))
    return folder


def test_the_bundle_of_a_model_from_elsewhere_answers_as_that_model(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(there))  # for the processes that lower
    monkeypatch.syspath_prepend(str(there))
    asked = ("--model", "elsewhere:made", "--data", str(there / "clips"))
    assert main(["export", str(there), *asked, "--scheme", "audio=fp32", "text=fp32"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(there / "bundle")
    bundle = Bundle.open(there / "bundle")
    assert (bundle.manifest.labels, bundle.manifest.provenance.method) == (("high", "low"), "imported")
    assert set(bundle.manifest.audited) == {"audio", "text", "audio+text"}
    import elsewhere  # type: ignore[import-not-found]

    trained = elsewhere.made()
    wave = np.sin(np.arange(8000, dtype=np.float32) / 7)[None]
    caption = np.array([[2, 0, 0, 0]])
    for modality, window in (("audio", wave), ("text", caption)):
        with torch.no_grad():
            expected = trained.encoders[modality](torch.from_numpy(window))
            logits = trained.head(expected)
        np.testing.assert_allclose(bundle.encode(modality, window), expected[0], atol=1e-5)
        np.testing.assert_allclose(bundle.head.logits(expected.numpy()), logits, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("elsewhere", "--model elsewhere: name a function, package.module:factory"),
        ("nowhere:made", "--model nowhere:made: No module named 'nowhere'; name a function"),
        ("elsewhere:nothing", "--model elsewhere:nothing: it returns dict; name one that returns a Trained"),
        ("misfit:made", "the encoder of audio gives 8 numbers, and the head takes 16; "),
    ],
)
def test_what_is_no_such_model_is_refused_in_a_line(
    model: str, line: str, there: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(there))
    assert line in refusal("export", there, "--model", model, "--data", there / "clips")
