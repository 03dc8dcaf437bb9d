import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import audit
from sensemble_runtime.auditing.comparison import compare
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.auditing.metrics import score
from sensemble_runtime.auditing.recorded import complete_audits, recorded_audit
from sensemble_runtime.auditing.unknown import _auroc
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.errors import ComparisonError, RecordError
from sensemble_runtime.record.reader import read_answers, read_runs
from sensemble_runtime.record.writer import RecordWriter
from sensemble_runtime.scores import UnknownScore
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, read_dataset
from sensemble_sensors.media.decoding import window
from sklearn.metrics import roc_auc_score

from tests.parts import write_wav
from tests.runtime.answering import answered

LABELS = ("zero", "one", "two")
EXAMPLES = 40  # more than a chunk


def write_media(folder: Path, i: int) -> None:
    rng = np.random.default_rng(i)
    write_wav(folder / f"{i}.wav", rng.integers(-20000, 20000, 1600, dtype=np.int16))
    cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Forty examples; each third has no audio, each fourth no picture, and none of 1 to 3 has a caption."""
    folder = tmp_path_factory.mktemp("dataset")
    lines = []
    for i in range(EXAMPLES):
        write_media(folder, i)
        fields = {"id": f"e{i}", "split": "eval", "labels": [LABELS[i % 3]]}
        fields |= {"audio": f"{i}.wav"} if i % 3 else {}
        fields |= {"image": f"{i}.png"} if i % 4 else {}
        fields |= {"text": f"a person says {LABELS[i % 2]}"} if not 1 <= i <= 3 else {}
        lines.append(json.dumps(fields))
    (folder / "index.jsonl").write_text("\n".join(lines))
    return read_dataset(folder)


def test_every_subset_scores_as_one_by_one(bundle: Bundle, dataset: Dataset) -> None:
    found = audit(bundle, dataset.examples)
    assert len(found.subsets) == 7
    assert list(found.subsets) == [subsets.name(s) for s in subsets.subsets(bundle.modalities)]
    for name, subset_score in found.subsets.items():
        chosen = [e for e in dataset.examples if set(subsets.parse(name)) <= set(e.modalities)]
        probabilities = []
        for example in chosen:
            parts = {
                m: bundle.encode(m, bundle.tokenize(example.value("text") or ""))
                if m == "text"
                else bundle.encode(m, window(example, bundle.specs[m]))
                for m in subsets.parse(name)
            }
            opinion, _ = answered(bundle.classifier, parts)
            probabilities.append(opinion.probabilities)
        labels = np.array([LABELS.index(e.labels[0]) for e in chosen])
        assert subset_score.n == len(chosen) > 0
        assert subset_score.accuracy == score(np.array(probabilities), labels, "multi-class")


def test_the_record_holds_every_answer_and_gives_the_scores_again(
    bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "audit.sqlite"
    first, *others = dataset.examples
    found = audit(bundle, [replace(first, split="train"), *others], record=path, dataset="forty")
    (run,) = read_runs(path)
    assert (run.kind, run.dataset, run.split, run.bundle) == ("audit", "forty", "eval+train", found.bundle)
    assert (found.examples, found.groups) == (EXAMPLES, EXAMPLES)
    assert run.ended is not None
    assert (run.scores, run.chance, run.estimates) == (found.subsets, found.chance, found.estimates)
    answers = read_answers(path, run.id)
    for name, subset_score in found.subsets.items():
        mine = [a for a in answers if a.subset == name]
        assert len(mine) == subset_score.n
        assert np.mean([a.label == a.truth[0] for a in mine]) == subset_score.accuracy
        assert all(a.label == LABELS[a.probabilities.argmax()] for a in mine)
        one = found.reliability[name]
        assert one.confidence == pytest.approx(np.mean([a.probabilities.max() for a in mine]), abs=1e-6)
        assert one.unsure == pytest.approx(np.mean([a.doubt is not None for a in mine]))
        assert found.to_json()["reliability"][name] == asdict(one)
    assert {(a.example, a.line) for a in answers} == {
        (e.id, e.line) for e in dataset.examples if e.modalities
    }


def test_multi_label_is_scored_by_mean_average_precision(bundle: Bundle, dataset: Dataset) -> None:
    bundle.manifest = replace(bundle.manifest, task="multi-label")
    bundle.head = replace(bundle.head, task="multi-label")
    two = [replace(e, labels=("two", *e.labels[: e.labels[0] != "two"])) for e in dataset.examples]
    found = audit(bundle, two)
    assert found.metric == "mAP"
    texts = [e for e in two if e.value("text")]
    probabilities = [
        bundle.head.probabilities(bundle.encode("text", bundle.tokenize(e.value("text") or "")))
        for e in texts
    ]
    truth = np.array([[label in e.labels for label in LABELS] for e in texts])
    assert found.subsets["text"].accuracy == pytest.approx(
        score(np.array(probabilities), truth, "multi-label")
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), r"'e2' \(index\.jsonl:3\): unlabelled"),
        (("nine", "ten"), r"'e2' \(index\.jsonl:3\): the bundle has no label 'nine'"),
        (("one", "two"), r"'e2' \(index\.jsonl:3\): 2 labels"),
    ],
)
def test_a_bad_example_is_named_before_anything_is_encoded(
    bundle: Bundle, dataset: Dataset, tmp_path: Path, labels: tuple[str, ...], message: str
) -> None:
    examples = list(dataset.examples)
    examples[2] = replace(examples[2], labels=labels)
    path = tmp_path / "audit.sqlite"
    with pytest.raises(BadDataError, match=message) as caught:
        audit(bundle, examples, record=path, progress=lambda *_: pytest.fail("it began"))
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_nothing_to_audit_is_refused(bundle: Bundle, dataset: Dataset) -> None:
    with pytest.raises(BadDataError, match="no example"):
        audit(bundle, [])
    bare = dataset.examples[1].only(())
    with pytest.raises(BadDataError, match="audio, text, video"):
        audit(bundle, [bare])


def test_unfamiliar_windows_are_left_out_of_answers_alone(bundle: Bundle, dataset: Dataset) -> None:
    plain = audit(bundle, dataset.examples)
    embeddings = [
        bundle.encode("audio", window(e, bundle.specs["audio"])) for e in dataset.examples if e.value("audio")
    ]
    scores = Familiarity(np.eye(3, 8, dtype=np.float32), np.zeros(3, np.float32))
    bundle.head = replace(bundle.head, familiarity=scores)
    middle = float(np.median([e[0] for e in embeddings]))
    familiar = {"audio": middle, "text": -1e12, "video": 1e12}
    calibration = replace(bundle.manifest.calibration, familiar=familiar)
    bundle.manifest = replace(bundle.manifest, calibration=calibration)
    labels = bundle.manifest.labels
    bundle.classifier = Classifier(bundle.head, calibration, labels, bundle.modalities)
    found = audit(bundle, dataset.examples)
    assert found.unfamiliar == {"audio": pytest.approx(0.5, abs=0.06), "text": 0, "video": 1}
    assert found.subsets == plain.subsets, "the paper's scores pool everything"
    guessed, alone = found.answered.sets["video"], plain.answered.sets["video"]
    assert not guessed.sure.any()
    assert guessed.predicted.tolist() == alone.predicted.tolist(), "likelier known than not: the best guess"
    head = replace(bundle.head, familiarity=replace(scores, bias=np.full(3, -9.0, np.float32)))
    bundle.classifier = Classifier(head, calibration, labels, bundle.modalities)
    nothing = audit(bundle, dataset.examples)
    assert nothing.reliability["video"].accuracy == 0, "likelier unknown: no evidence"
    assert nothing.reliability["video"].confidence == pytest.approx(1 / 3)


def test_records_compare_as_their_audits_do(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    grouped = [replace(e, groups=(f"p{i // 4}",)) for i, e in enumerate(dataset.examples)]
    record = tmp_path / "a.sqlite"
    first, second = audit(bundle, grouped, record=record), audit(bundle, grouped[10:])
    found = compare(record, second)
    assert found == compare(first, second)
    assert (found.examples, found.groups, found.only) == (30, 8, (10, 0))
    days = [replace(e, groups=(*e.groups, f"day {i % 4}")) for i, e in enumerate(grouped)]
    crossed = audit(bundle, days, record=(path := tmp_path / "crossed.sqlite"))
    by_four = {compare(crossed, crossed).groups, crossed.groups, crossed.to_json()["groups"]}
    assert by_four | {recorded_audit(path, complete_audits(path)[-1]).groups} == {4}, "not the ten people"
    assert {one.change.value for one in compare(first, record).sets.values()} == {0}
    RecordWriter(tmp_path / "empty.sqlite").close()
    with pytest.raises(ComparisonError, match="no complete audit"):
        compare(tmp_path / "empty.sqlite", record)


def test_an_audit_that_lost_rows_is_refused(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    whole, record = tmp_path / "whole.sqlite", tmp_path / "a.sqlite"
    audit(bundle, dataset.examples, record=whole)
    for damage, lost in {
        "estimates WHERE name = 'R'": "estimates: no R",
        "answers": "answers: 0 of audio, and its score is of 26",
        "answers WHERE example = 'e1'": "answers: 25 of audio, and its score is of 26",
        "scores": "answers: 26 of audio, and its score is of 0",
        "scores WHERE subset = 'text'": "answers: 37 of text, and its score is of 0",
    }.items():
        shutil.copy(whole, record)
        with closing(sqlite3.connect(record)) as db, db:
            db.execute(f"DELETE FROM {damage}")  # noqa: S608 - written above
        with pytest.raises(RecordError, match=rf"a\.sqlite: .*{lost}\); audit again: `sensemble audit"):
            compare(whole, record)
    shutil.copy(whole, record)
    with closing(sqlite3.connect(record)) as db, db:
        db.executescript(
            "DELETE FROM scores WHERE subset = 'text'; DELETE FROM answers WHERE subset = 'text'"
        )
    with pytest.raises(RecordError, match="scores: P is not the mean"):
        compare(whole, record)
    with closing(sqlite3.connect(record)) as db, db:
        db.executescript("DELETE FROM scores; DELETE FROM answers")
    with pytest.raises(RecordError, match="scores: none"):
        compare(whole, record)


def test_a_folder_is_audited_by_its_name(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    record = tmp_path / "a.sqlite"
    found = audit(bundle, str(dataset.folder), record=record)
    assert found.subsets == audit(bundle, dataset.examples).subsets
    assert str(found).startswith("audio+text+video: ")
    (run,) = read_runs(record)
    assert (run.dataset, run.split) == (dataset.folder.name, "eval")
    with pytest.raises(BadDataError, match=r"nowhere.index\.jsonl"):
        audit(bundle, tmp_path / "nowhere")


def by_key(scores: tuple[UnknownScore, ...]) -> dict[tuple[str, str], UnknownScore]:
    return {(one.name, one.subset): one for one in scores}


def guarded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, least: float) -> None:
    """Let all scores of familiarity be 0, and the least of a familiar window `least`."""
    n, size = len(bundle.modalities), bundle.manifest.embedding
    head = replace(
        bundle.head, familiarity=Familiarity(np.zeros((n, size), np.float32), np.zeros(n, np.float32))
    )
    calibration = replace(bundle.manifest.calibration, familiar=dict.fromkeys(bundle.modalities, least))
    monkeypatch.setattr(
        bundle, "classifier", Classifier(head, calibration, bundle.manifest.labels, bundle.modalities)
    )


def test_each_sort_of_windows_is_scored_for_each_sensor_and_for_all(
    bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    record, seen = tmp_path / "audit.sqlite", list[tuple[int, int]]()
    backgrounds = [
        replace(one, labels=(), sort=sort) for sort in ("", "near") for one in dataset.examples[:10]
    ]
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    result = audit(bundle, dataset.examples, unknown=backgrounds, record=record, progress=progress)
    found = by_key(result.unknown)
    every = {"audio", "text", "video", "audio+text+video"}
    for name in ("known", "left out", "mixed", "half", "joined", "background", "background near"):
        assert {subset for one, subset in found if one == name} == every, name
    alone = {"audio": {"reversed", "fast"}, "text": {"negated"}, "video": {"mirrored"}}
    for modality, names in alone.items():
        assert {name for name in names if (name, modality) in found} == names
    for key, one in found.items():
        assert one.sure_wrong <= one.sure, key
        assert (one.auroc is None) == (one.name == "known"), key
    shown = {m: sum(m in e.modalities for e in dataset.examples) for m in bundle.modalities}
    assert {m: found["left out", m].n for m in shown} == shown
    assert {m: found["known", m].n for m in shown} == shown
    assert found["background", "audio"].sure_wrong == found["background", "audio"].sure
    assert seen[-1][0] == seen[-1][1]
    again = recorded_audit(record, read_runs(record)[-1])
    for name in ("bundle", "metric", "conditions", "unknown", *(each.name for each in fields(Measures))):
        assert getattr(again, name) == getattr(result, name)
    assert len(result.to_json()["unknown"]) == len(found)
    assert "unknown" not in audit(bundle, dataset.examples).to_json()


def test_what_is_unfamiliar_is_not_sure_and_known_windows_pay(
    bundle: Bundle, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [replace(one, groups=(str(i % 2), f"room {i % 3}")) for i, one in enumerate(dataset.examples)]
    guarded(bundle, monkeypatch, least=1.0)
    for one in audit(bundle, people, unknown=[]).unknown:
        assert (one.sure, one.sure_wrong, one.unfamiliar) == (0, 0, 1)
        assert one.auroc in (None, 0.5)
        assert one.of_one in (None, 1)
    guarded(bundle, monkeypatch, least=0.0)
    found = by_key(audit(bundle, people, unknown=[]).unknown)
    assert found["known", "text"].unfamiliar == 0
    assert ("background", "text") not in found


def test_a_class_left_out_is_never_answered(bundle: Bundle) -> None:
    n, size, count = len(bundle.modalities), bundle.manifest.embedding, len(bundle.manifest.labels)
    draw = np.random.default_rng(0)
    shapes = (n, size), n, (n, count, 2, size), n
    scores = Familiarity(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))
    head = replace(bundle.head, familiarity=scores)
    whole = Classifier(head, bundle.manifest.calibration, bundle.manifest.labels, bundle.modalities)
    less, rows = whole.without(1), draw.normal(size=(20, size)).astype(np.float32)
    assert less.labels == (bundle.manifest.labels[0], *bundle.manifest.labels[2:])
    assert less.evidence("text", rows).classes.shape == (20, count - 1)
    kept = np.delete(head.logits(rows), 1, axis=1)
    assert np.array_equal(less.evidence("text", rows).classes, less.calibrated("text", kept))


def test_auroc_counts_ties_by_half() -> None:
    draw = np.random.default_rng(0)
    high, low = draw.integers(0, 9, 50), draw.integers(0, 7, 70)
    truth = np.repeat([1, 0], [50, 70])
    assert _auroc(high, low) == pytest.approx(roc_auc_score(truth, np.concatenate([high, low])))
