"""Ten modalities: opened, run and audited without a look at the 1,023 subsets that they have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import audit
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import Calibration, ModalityCalibration, ModalityEntry
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.scores import SubsetScore
from sensemble_runtime.session.session import Session
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.replay import Replay

from tests.parts import write_wav
from tests.runtime.manifests import entry

TEN = tuple(f"audio.m{i}" for i in range(10))
RATE = 16000


@pytest.fixture(scope="module")
def ten(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of ten microphones, calibrated and audited on the measured subsets."""
    folder = tmp_path_factory.mktemp("ten")
    made = read_manifest(bundle_folder / "manifest.json")
    data = (bundle_folder / "audio" / "encoder.pte").read_bytes()
    (folder / "head.safetensors").write_bytes((bundle_folder / "head.safetensors").read_bytes())
    entries = {}
    for m in TEN:
        path = folder / m / "encoder.pte"
        path.parent.mkdir()
        path.write_bytes(data)
        file = entry(folder, f"{m}/encoder.pte")
        (artifact,) = made.modalities["audio"].artifacts.values()
        spec = replace(made.modalities["audio"].spec, modality=m, device="watch" if m in TEN[:2] else None)
        entries[m] = ModalityEntry(
            spec, {"executorch-xnnpack": replace(artifact, path=file.path, files=(file,))}
        )
    names = list(map(subsets.name, subsets.measured(TEN)))
    fitted = {m: ModalityCalibration(1 + i / 50, 0, 50, 50) for i, m in enumerate(TEN)}
    scores = {name: SubsetScore(0.5 + i / 100, 90, 0.4, 0.9) for i, name in enumerate(names)}
    provenance = replace(made.provenance, train_modalities=TEN)
    write_manifest(
        replace(
            made,
            modalities=entries,
            tokenizer=None,
            provenance=provenance,
            calibration=Calibration(0.05, 0.6, 50, 0.5, fitted, {}),
            audited=scores,
        ),
        folder / "manifest.json",
    )
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("waves")
    rng = np.random.default_rng(0)
    found = []
    for i in range(6):
        values: dict[str, Path | str] = {}
        for m in TEN[: 9 if i == 5 else 10]:
            values[m] = folder / f"{m}-{i}.wav"
            write_wav(folder / f"{m}-{i}.wav", rng.integers(-9000, 9000, RATE // 5).astype(np.int16))
        found.append(Example(f"e{i}", "eval", (("zero", "one", "two")[i % 3],), values, line=i + 1))
    return found


@pytest.fixture(autouse=True)
def no_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(modalities: object) -> None:
        raise AssertionError(f"all subsets of {modalities} were asked for")

    monkeypatch.setattr(subsets, "subsets", refuse)


def test_of_many_modalities_each_alone_all_but_each_and_all_are_measured() -> None:
    found = subsets.measured(TEN)
    assert [len(s) for s in found] == [1] * 10 + [9] * 10 + [10]
    assert len(subsets.measured(TEN[:6])) == 63
    assert subsets.measured(TEN[:7])[-1] == TEN[:7]


def test_further_subsets_are_audited_when_asked_for(ten: Bundle, examples: list[Example]) -> None:
    more = [TEN[:2], TEN[3:8]]
    result, plain = audit(ten, examples, more=more), audit(ten, examples)
    assert set(result.subsets) - set(plain.subsets) == {subsets.name(s) for s in more}
    assert set(plain.subsets) == {subsets.name(s) for s in (*subsets.measured(TEN), TEN[2:])}
    assert (set(plain.drops), plain.subsets[subsets.name(TEN)].n) == ({*TEN, "watch"}, 5)
    assert result.subsets[subsets.name(TEN)] == plain.subsets[subsets.name(TEN)]
    assert set(result.reliability) == set(result.subsets)


def test_they_run_in_a_session(ten: Bundle, examples: list[Example]) -> None:
    player = Replay(examples, ten.specs)
    live: set[tuple[str, ...]] = set()
    with Session(ten) as session:
        for m in player.modalities:
            session.attach(player.sensor(m))
        with player:
            live |= {p.live for p in session}
    assert TEN in live
