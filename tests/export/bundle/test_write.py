"""A real export: what it wrote, that the runtime runs it, that a failed one leaves the previous bundle."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sensemble_export.bundle.earlier import earlier
from sensemble_export.bundle.staging import held_out_folder
from sensemble_export.bundle.write import export_bundle, staged_store
from sensemble_export.errors import CalibrationMissingError, ExportError, ParityFailedError
from sensemble_export.lowering.lowering import lower_all
from sensemble_export.lowering.targets import Job, Lowered
from sensemble_export.measuring import artifact_store
from sensemble_export.measuring.parity import LEAST_COSINE, compare
from sensemble_runtime.bundle.head import Head, load_head
from sensemble_runtime.bundle.manifest import Parity, Scheme
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.executors import executor
from sensemble_train.recipe.evaluate import evaluate

from tests.export.conftest import FLOATS, JOBS, ORIGIN, SPECS, Export, make_clips, make_model, windows

RUN = """
import json, sys
from pathlib import Path
from safetensors.numpy import load_file
from sensemble_runtime.bundle.bundle import Bundle
bundle = Bundle.open(Path(sys.argv[1]))
windows = load_file(sys.argv[2])
embeddings = {m: [bundle.encode(m, row[None]).tolist() for row in windows[m]] for m in bundle.modalities}
print(json.dumps({"embeddings": embeddings, "torch": "torch" in sys.modules, "executors": bundle.executors}))
"""


def export(exported: Export, out: Path, **changes: object) -> None:
    """Call `export_bundle` with good arguments but for `changes`."""
    arguments = {
        "calibration": {modality: windows(modality, 4, seed=2) for modality in SPECS},
        "held_out": exported.held_out,
        "jobs": JOBS,
    }
    export_bundle(changes.pop("model", exported.model), out, ORIGIN, **(arguments | changes))


def copied(exported: Export, folder: Path) -> Path:
    """A bundle like the exported one in `folder`, with its windows."""
    shutil.copytree(held_out_folder(exported.out), folder / "held-out-windows-of-bundle")
    return Path(shutil.copytree(exported.out, folder / "bundle"))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def lowered(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for lowering by the programs that the shared export made."""

    def shared(
        _: object, __: object, jobs: Sequence[Job], done: Callable[[], None], ___: object
    ) -> dict[Job, Lowered]:
        for _job in jobs:
            done()
        return {job: exported.lowered[job] for job in jobs}

    monkeypatch.setattr(artifact_store, "lower_all", shared)


def test_a_fresh_process_without_torch_opens_and_runs_the_bundle(exported: Export, tmp_path: Path) -> None:
    fresh = {modality: windows(modality, 6, seed=5) for modality in SPECS}
    save_file(fresh, tmp_path / "windows.safetensors")
    command = [sys.executable, "-c", RUN, str(exported.out), str(tmp_path / "windows.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert output["torch"] is False
    assert set(output["executors"].values()) == {"executorch-xnnpack"}
    for modality, rows in output["embeddings"].items():
        with torch.no_grad():
            expected = exported.model.encoders[modality](fresh[modality])
        cosine = torch.nn.functional.cosine_similarity(torch.tensor(rows), expected)
        assert cosine.mean() > LEAST_COSINE, modality


def test_each_artifact_is_what_was_asked_for_and_nearly_as_good_as_float(exported: Export) -> None:
    written = exported.manifest
    for job in JOBS:
        artifact = written.modalities[job.modality].artifacts[job.target]
        assert artifact.scheme == job.scheme
        assert artifact.bytes == sum((exported.out / file.path).stat().st_size for file in artifact.files)
        if "coreml" in job.target:
            assert artifact.parity is None  # nothing here runs Core ML
            continue
        assert artifact.parity.cosine > (LEAST_COSINE if job.scheme == "int4-weights" else 0.99), job
        assert artifact.parity.windows == int(exported.held_out.present[job.modality].sum())
        assert artifact.parity.agreement > 0.6
        assert artifact.peak_mb < 150
    parameters = sum(p.numel() for p in exported.model.encoders["video"].parameters())
    video = written.modalities["video"].artifacts["executorch-xnnpack"]
    saved = written.provenance.float_bytes["video"] - video.bytes
    assert saved > 0.75 * 4 * parameters  # as if every weight were int8, and some are int4


def test_the_manifest_is_what_was_returned_and_scores_every_subset(exported: Export) -> None:
    assert read_manifest(exported.out / "manifest.json") == exported.manifest
    provenance = exported.manifest.provenance
    float_in_torch = evaluate_raw(exported)
    assert provenance.accuracy.keys() == float_in_torch.keys()
    assert len(provenance.accuracy) == 7
    # Other batches round otherwise, so at most a tie may fall differently.
    one = 1 / int(exported.held_out.present["text"].sum())
    for subset, score in float_in_torch.items():
        assert provenance.accuracy[subset] == pytest.approx(score, abs=one + 1e-9)
    assert provenance.accuracy_quantized["executorch-xnnpack"].keys() == provenance.accuracy.keys()
    assert provenance.accuracy_quantized["onnx"].keys() == {"text", "video", "text+video"}
    assert "coreml" not in provenance.accuracy_quantized
    assert provenance.float_bytes.keys() == SPECS.keys()
    assert (provenance.train_modalities, provenance.method) == (("video",), "finetune")


def evaluate_raw(exported: Export) -> dict[str, float]:
    """Train's own evaluation, of what the float encoders give."""
    clips, encoders = exported.held_out, exported.model.encoders
    with torch.no_grad():
        embeddings = {m: encoders[m](rows) for m, rows in clips.inputs.items()}
    return evaluate(exported.model, type(clips)(embeddings, clips.present, clips.targets))


def test_each_encoder_is_one_subgraph(exported: Export) -> None:
    assert exported.steps == [(done, 14) for done in range(1, 15)]
    delegations = {job.file: one.delegation for job, one in exported.lowered.items() if one.delegation}
    assert len(delegations) == 6  # three quantized, three float
    for artifact, delegation in delegations.items():
        assert delegation.subgraphs == 1, artifact  # dynamic ranges (text, video) included
        assert sum(delegation.delegated.values()) > 20
    assert delegations["audio.executorch-xnnpack.int8-static.pte"].remaining == {}
    # Integers stay with ExecuTorch's own kernels: token ids, table rows, pixels.
    left = {name for delegation in delegations.values() for name in delegation.remaining}
    assert {name.split(".")[0] for name in left} <= {
        "clamp",
        "aten",
        "embedding",
        "dim_order_ops",
        "view_copy",
    }


@pytest.mark.parametrize(
    ("modality", "scheme"), [("audio", "fp32"), ("audio", "int8-static"), ("video", "fp32")]
)
def test_an_artifact_is_independent_of_the_level(
    modality: str, scheme: Scheme, exported: Export, tmp_path: Path
) -> None:
    job, rows = Job(modality, "executorch-xnnpack", scheme), windows(modality, 3, seed=4)
    executor.write(exported.lowered[job].files, tmp_path / job.file)
    run = executor.load(tmp_path / job.file, job.target)
    weak = 0.01 * rows if modality == "audio" else rows // 2 + 40
    for row, faint in zip(rows.split(1), weak.split(1), strict=True):
        assert np.dot(run(row.numpy()), run(faint.numpy())) > (0.999 if scheme == "fp32" else 0.98)


@pytest.mark.real
def test_the_same_encoder_and_scheme_give_the_same_bytes_and_no_module_of_the_current_folder_runs(
    exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit(9)")  # beside a data set from elsewhere, say
    monkeypatch.chdir(tmp_path)
    again = {("text", "executorch-xnnpack"), ("text", "coreml"), ("video", "onnx")}
    jobs = [job for job in JOBS if (job.modality, job.target) in again]
    ranges = {modality: windows(modality, 32, seed=2) for modality in SPECS}
    found = lower_all(exported.model, ranges, jobs, lambda: None)
    assert {job: found[job].files for job in jobs} == {job: exported.lowered[job].files for job in jobs}


@pytest.mark.usefixtures("lowered")
def test_a_good_export_replaces_the_previous_bundle(exported: Export, tmp_path: Path) -> None:
    out = copied(exported, tmp_path)
    files = digests(tmp_path).keys()
    (out / "left-over").touch()
    export(exported, out)
    assert digests(tmp_path).keys() == files


@pytest.mark.usefixtures("lowered")
def test_float_alone_needs_no_calibration(exported: Export, tmp_path: Path) -> None:
    export(exported, tmp_path / "bundle", calibration={}, jobs=FLOATS)
    artifacts = read_manifest(tmp_path / "bundle/manifest.json").artifacts()
    assert all(artifact.parity.cosine > 0.9999 for _, artifact in artifacts)


@pytest.mark.usefixtures("lowered")
@pytest.mark.real
def test_another_target_joins_a_bundle_of_the_same_model(exported: Export, tmp_path: Path) -> None:
    out, ours = tmp_path / "bundle", [job for job in JOBS if job.target == "executorch-xnnpack"]
    export(exported, out, jobs=ours)
    before, files = read_manifest(out / "manifest.json"), digests(out)
    first = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    export(exported, out, jobs=[job for job in JOBS if job.target == "onnx"])
    after = read_manifest(out / "manifest.json")
    assert {m: set(entry.artifacts) for m, entry in after.modalities.items()} == {
        "audio": {"executorch-xnnpack"},
        "text": {"executorch-xnnpack", "onnx"},
        "video": {"executorch-xnnpack", "onnx"},
    }
    assert (after.calibration, after.audited, after.head) == (before.calibration, before.audited, before.head)
    assert after.provenance.extends == (first,)
    assert set(after.provenance.accuracy_quantized) == {"executorch-xnnpack", "onnx"}
    stay = {name for name in files if name not in {"manifest.json", "README.md"}}
    found = digests(out)
    assert {name: found[name] for name in stay} == {name: files[name] for name in stay}
    export(exported, out, jobs=ours)  # fits anew, and keeps what it does not make
    assert "onnx" in read_manifest(out / "manifest.json").modalities["video"].artifacts
    assert read_manifest(out / "manifest.json").provenance.extends is None


@pytest.mark.usefixtures("lowered")
def test_a_bundle_of_another_model_is_replaced_with_a_warning(
    exported: Export, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = copied(exported, tmp_path)
    head = load_head((out / "head.safetensors").read_bytes(), "multi-class", out)
    assert earlier(exported.model, head, out) is not None
    assert earlier(make_model(9), head, out) is None
    assert "another model" in caplog.text


@pytest.mark.usefixtures("lowered")
@pytest.mark.real
def test_what_a_killed_export_left_is_put_back_or_removed_and_one_that_fails_leaves_no_more(
    exported: Export, tmp_path: Path
) -> None:
    out = copied(exported, tmp_path)
    before = digests(tmp_path)
    previous = tmp_path / ".bundle.export" / "work" / "previous"
    previous.mkdir(parents=True)
    (previous.parent / "text.pte").touch()
    out.rename(previous / "bundle")
    held_out_folder(out).rename(previous / "held_out")
    shutil.copytree(previous / "held_out", held_out_folder(out))
    (held_out_folder(out) / "text.safetensors").write_bytes(b"of the export that was killed")
    with pytest.raises(ParityFailedError, match=r"^audio: int8-static .*-?0\.\d+"):
        export(exported, out, model=make_model(9))
    assert digests(tmp_path) == before


def test_two_exports_at_once_do_not_meet(exported: Export, tmp_path: Path) -> None:
    clips, calibration = exported.held_out, {m: windows(m, 4, seed=2) for m in SPECS}
    with (
        staged_store(exported.model, tmp_path / "bundle", calibration, clips),
        pytest.raises(ExportError, match=r"bundle: another export .*; start"),
    ):
        export(exported, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_no_export_works_where_another_did(exported: Export, tmp_path: Path) -> None:
    clips, calibration, folders = exported.held_out, {m: windows(m, 4, seed=2) for m in SPECS}, set()
    for _ in range(3):
        with staged_store(exported.model, tmp_path / "bundle", calibration, clips) as store:
            folders.add(store.folder)
    assert len(folders) == 3


def test_what_the_disk_refuses_is_worded(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "run").touch()  # where a folder should be, which root cannot write to either
    with pytest.raises(ExportError, match=r"run/bundle: .*\(.+\); make room"):
        export(exported, tmp_path / "run" / "bundle")


def test_what_ships_holds_no_windows_and_names_the_tools(exported: Export) -> None:
    size = sum(path.stat().st_size for path in exported.out.rglob("*") if path.is_file())
    listed = sum(file.bytes for _, file in exported.manifest.files())
    assert size - listed < 40_000  # the manifest, the README and the report of the lowering
    found = {path.name for path in held_out_folder(exported.out).iterdir()}
    assert found == {file.path for file in exported.manifest.held_out.values()}
    assert found == {f"{modality}.safetensors" for modality in SPECS}
    tools = {"torch", "torchao", "executorch", "onnx", "onnxruntime", "onnxscript", "coremltools"}
    assert exported.manifest.provenance.tools == {tool: version(tool) for tool in tools}


@pytest.mark.usefixtures("lowered")
@pytest.mark.real
def test_a_float_program_that_is_not_its_encoder_is_refused(
    exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = artifact_store.compare

    def fell(found: object, expected: object, head: Head) -> Parity:
        parity = real(found, expected, head)
        return replace(parity, cosine=0.9995) if parity.cosine > 0.9999 else parity

    monkeypatch.setattr(artifact_store, "compare", fell)
    with pytest.raises(ParityFailedError, match=r"fp32 .*0\.99950 .*0\.9999; file"):
        export(exported, tmp_path / "bundle", jobs=FLOATS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("lowered")
@pytest.mark.real
def test_an_interrupt_between_the_renames_leaves_the_previous_bundle(
    exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copied(exported, tmp_path)
    before, real = digests(tmp_path), Path.rename

    def rename(path: Path, target: Path) -> Path:
        if target == out and path.parent.name != "previous":
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        export(exported, out)
    assert digests(tmp_path) == before


CALIBRATION = {modality: windows(modality, 2, 0) for modality in SPECS}
SILENT = make_clips(4, seed=3)
SILENT.present["audio"][:] = False


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"calibration": {m: CALIBRATION[m] for m in ("audio", "text")}}, "video: no calibration windows"),
        (
            {"calibration": CALIBRATION | {"video": torch.zeros(2, 2, 16, 16, 3)}},
            r"video: calibration windows are float32 .*takes uint8",
        ),
        ({"held_out": SILENT}, "audio: no held-out windows"),
    ],
)
def test_windows_that_are_missing_or_do_not_fit_are_refused(
    exported: Export, tmp_path: Path, given: dict[str, object], message: str
) -> None:
    with pytest.raises(CalibrationMissingError, match=message):
        export(exported, tmp_path / "bundle", **given)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_left_alone(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ExportError, match="not a bundle"):
        export(exported, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_parity_is_what_it_says() -> None:
    expected = np.array([[1, 0], [0, 2]], dtype=np.float32)
    found = np.array([[1, 0], [2, 0]], dtype=np.float32)
    head = Head(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), "multi-class")
    assert compare(found, expected, head) == Parity(0.5, 2.0, 1.0, 2, agreement=0.5)
