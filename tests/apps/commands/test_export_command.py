"""Exports: the examples used of a split, the costs reported, and the bundle of a model trained elsewhere."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_apps.cli import main
from sensemble_apps.errors import InputError
from sensemble_apps.tables.costs import show_costs
from sensemble_apps.web.site import bundle_files
from sensemble_export import export_run, search
from sensemble_export.measuring.artifact_store import ArtifactStore
from sensemble_export.search import BudgetError
from sensemble_runtime import Bundle
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.progress import Stages
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.model import Description, Model, save_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tests.apps.conftest import Refusal
from tests.apps.shipped import manifest
from tests.parts import tone


def unproved(made: Manifest) -> Manifest:
    """The same bundle with an artifact more, which no machine has run."""
    video = made.modalities["video"]
    found = video.artifacts["executorch-xnnpack"]
    later = replace(found, scheme="fp16", parity=None, latency_ms=None, peak_mb=None)
    entry = replace(video, artifacts=video.artifacts | {"coreml": later})
    return replace(made, modalities=made.modalities | {"video": entry})


def test_each_target_has_a_table_of_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    show_costs(unproved(manifest()), "64 of 80 examples")
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    for modality in ("audio", "text", "video"):
        assert [modality, "int8-static", "500", "25.0", "4.25", "41", "0.9987"] in rows
    assert ["video", "fp16", "500", "25.0", *"\N{EN DASH}" * 2, "unproved"] in rows
    assert re.search(
        r"largest drop in accuracy: 0\.5 points, on \w+ \(64 of 80 examples\)$", out, re.MULTILINE
    )
    assert out.count("accuracy: not measured") == 1
    assert err == ""


def test_a_drop_of_more_than_half_a_point_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    made = manifest()
    scores = made.provenance.accuracy_quantized["executorch-xnnpack"]
    worse = {"executorch-xnnpack": scores | {"audio+text": scores["audio+text"] - 0.01}}
    show_costs(replace(made, provenance=replace(made.provenance, accuracy_quantized=worse)), "9 of 9")
    out, err = capsys.readouterr()
    assert "largest drop in accuracy: 1.5 points, on AT (9 of 9)" in out
    assert err.startswith("warning: executorch-xnnpack loses 1.5 points on AT (9 of 9), more than 0.5; ")
    hardly = {"executorch-xnnpack": scores | {"audio+text": scores["audio+text"] - 0.0004}}
    show_costs(replace(made, provenance=replace(made.provenance, accuracy_quantized=hardly)), "9 of 9")
    out, err = capsys.readouterr()
    assert "largest drop in accuracy: 0.5 points" in out
    assert err == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny model of captions, on a dataset that has none to train on."""
    folder = tmp_path_factory.mktemp("run")
    splits = {"pretrain": [], "calibrate": ["cat"], "eval": ["cat"]}
    lines = [
        {"id": f"{split}-{i}", "split": split, "labels": labels, "text": "cat " * (1 + i % 3)}
        for split, labels in splits.items()
        for i in range(6 if split == "calibrate" else 8)
    ]
    (folder / "clips").mkdir()
    (folder / "clips" / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.json").write_text(json.dumps({"data": str(folder / "clips")}))
    torch.manual_seed(0)
    config = EncoderConfig(width=32, depth=1, heads=2, embedding=32, vocabulary=64)
    spec = InputSpec("text", "int64", (1, 8), 0, window=0, hop=0, ttl=2)
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "cat": 2}, "[UNK]"))
    model = Model(Description({"text": spec}, {"text": config}, ("cat", "dog"), "multi-class"), tokenizer)
    with torch.no_grad():
        model.encoders["text"](torch.randint(1, 64, (32, 8)))  # its batch norm sees some data
    save_model(model, folder / "models" / "finetune" / "text")
    return folder


@pytest.mark.real
def test_a_search_ends_in_a_bundle_and_a_table(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    searched, real = dict[str, search.TradeOff](), search.trade_off

    def trade_off(store: ArtifactStore, target: str, progress: Stages) -> search.TradeOff:
        """Search once for both budgets."""
        if target not in searched:
            searched[target] = real(store, target, progress)
        return searched[target]

    monkeypatch.setattr(search, "trade_off", trade_off)
    asked = ("export", str(run), "--method", "finetune", "--train-modalities", "text", "--target", "onnx")
    assert main([*asked, "--budget", "size=5MB,drop=100"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(run / "bundle")
    bundle = Bundle.open(run / "bundle")
    artifact = bundle.manifest.modalities["text"].artifacts["onnx"]
    scheme = artifact.scheme
    assert artifact.parity is not None
    assert artifact.parity.windows == 8, "those of eval, which it was not chosen by"
    assert re.search(rf"^ *> +{scheme}\*? ", printed, re.MULTILINE)
    assert bundle.executors == {"text": "onnx"}
    assert main([*asked, "--budget", "size=0.001MB"]) == 2
    assert re.match(
        r"sensemble: none of \d+ combinations .* size is 0\.\d+ MB at least, 0\.\d+ MB over; ",
        capsys.readouterr().err.splitlines()[-1],
    )
    assert Bundle.open(run / "bundle").manifest == bundle.manifest


@pytest.mark.real
def test_a_page_adds_the_encoders_for_browsers_that_its_run_lacks(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "bundle", ignore_errors=True)  # of another test
    asked = ("--method", "finetune", "--train-modalities", "text")
    assert main(("export", str(run), *asked)) == 0
    apart = tmp_path / "bundle"
    shutil.copytree(run / "bundle", apart)
    before = read_manifest(apart / "manifest.json")
    bundle_files(run / "bundle")
    with pytest.raises(InputError, match="not exported for browsers: text; run `sensemble export RUN"):
        bundle_files(apart)
    after = read_manifest(run / "bundle" / "manifest.json")
    assert after.modalities["text"].artifacts.keys() == {"executorch-xnnpack", "onnx"}
    assert after.calibration == before.calibration
    assert after.provenance.extends, "its audits hold"
    assert read_manifest(apart / "manifest.json") == before, "without its run, there is nothing to add from"
    assert "encoders for browsers are added to it, once" in capsys.readouterr().err
    assert main(("export", str(run), *asked, "--target", "onnx", "--only-add")) == 2
    assert "already has artifacts for onnx, so nothing is added" in capsys.readouterr().err
    shutil.rmtree(run / "held-out-windows-of-bundle")
    assert main(("export", str(run), *asked, "--target", "coreml", "--only-add")) == 2
    assert "so nothing is added; leave out --only-add to replace it" in capsys.readouterr().err
    assert read_manifest(run / "bundle" / "manifest.json") == after
    shutil.rmtree(run / "bundle")


def test_what_a_search_measures_on_is_calibrate(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[int] = []

    def trade_off(store: ArtifactStore, *_: object) -> search.TradeOff:
        met.append(len(store.held_out))
        raise BudgetError("that was enough")

    monkeypatch.setattr(search, "trade_off", trade_off)
    with pytest.raises(BudgetError, match="that was enough"):
        export_run(run, "finetune", ("text",), targets=("onnx",), budget={"size": 5.0})
    assert met == [6]


def test_the_shipped_set_is_chosen_by_the_matrix_of_calibrate(tmp_path: Path, refusal: Refusal) -> None:
    """On eval, which only reports, the other M_T looks best."""
    for name, best in (("matrix.json", "audio"), ("matrix.calibrate.json", "text")):
        rows = {train: {"audio": 0.5, "text": 0.9 if train == best else 0.4} for train in ("audio", "text")}
        methods = {"masd+wiseft": rows, "subset": {"audio": {"audio": 0.2}, "text": {"audio": 0.4}}}
        (tmp_path / name).write_text(json.dumps({"methods": methods}))
    asked = ("--method", "masd+wiseft")
    assert f"{tmp_path}/models/masd+wiseft/text: not trained" in refusal("export", tmp_path, *asked)
    assert f"{tmp_path}/models/subset/text: not trained" in refusal("export", tmp_path)
    line = refusal("export", tmp_path, "--train-modalities", "audio")
    assert f"{tmp_path}/models/subset/audio: not trained" in line


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
