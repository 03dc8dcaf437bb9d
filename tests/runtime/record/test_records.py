import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.prediction import Opinion, Prediction
from sensemble_runtime.record.reader import (
    RecordedOpinion,
    read_answers,
    read_conditions,
    read_events,
    read_predictions,
    read_runs,
)
from sensemble_runtime.record.schema import SCHEMA
from sensemble_runtime.record.writer import RecordedAnswer, RecordWriter, fingerprint
from sensemble_runtime.scores import ConditionScore, Estimate, SubsetScore
from sensemble_sensors.supervision.events import Event

LABELS = ("zero", "one", "two")


def prediction(when: float) -> Prediction:
    return Prediction(
        time=when,
        live=("audio", "video"),
        ages={"audio": 0.25, "video": 0.125},
        probabilities=np.array([0.25, 0.625, 0.125], np.float32),
        pooled=np.zeros(8, np.float32),
        latencies={"audio": 0.01},
        dropped={"audio": 3, "video": 0},
        skipped={"audio": 2, "video": 1},
        lost={"audio": 4, "video": 0},
        labels=LABELS,
        threshold=0.5,
        doubt=None,
        opinions={
            "audio": Opinion(np.array([0.5, 0.375, 0.125], np.float32), 0.25, LABELS, "several"),
            "video": Opinion(np.array([0.0, 1.0, 0.0], np.float32), 0.5, LABELS, None),
        },
        unfamiliar=("text",),
        suspect="audio",
    )


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordWriter]:
    with RecordWriter(tmp_path / "record.sqlite") as opened:
        yield opened


def test_predictions_come_back_as_they_were(records: RecordWriter, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    before = time.time()
    run = records.begin("session", bundle)
    now = time.monotonic()
    given = prediction(now), replace(prediction(now + 1), threshold=0.9, doubt="several")
    records.add_items(run, [*given, Event(now, "lost", "video", "camera 0", "no picture came")])
    (event,) = read_events(path, run)
    assert (event.kind, event.label) == ("lost", "")
    assert before - 1 < event.at < time.time() + 1
    found = read_predictions(path, run)
    same = "time live label best candidates doubt confidence threshold unfamiliar suspect"
    for one, made in zip(found, given, strict=True):
        for name in (*same.split(), "ages", "latencies", "dropped", "skipped", "lost"):
            assert getattr(one, name) == getattr(made, name), name
        assert one.probabilities.tolist() == made.probabilities.tolist()
    first = found[0]
    assert first.opinions == {
        "audio": RecordedOpinion("zero", 0.5, sure=False),
        "video": RecordedOpinion("one", 1.0, sure=True),
    }
    assert before - 1 < first.at < time.time() + 1
    (recorded,) = read_runs(path)
    assert recorded.kind == "session"
    assert recorded.ended is None, "still running"
    assert recorded.labels == LABELS
    assert recorded.bundle == bundle.fingerprint == fingerprint(bundle.path)
    records.end(run)
    (recorded,) = read_runs(path)
    assert recorded.ended is not None
    assert recorded.ended >= recorded.began >= before


def test_audits_come_back_as_they_were(records: RecordWriter, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    other = records.begin("session", bundle)
    run = records.begin("audit", bundle, "digits", "eval")
    answer = RecordedAnswer(
        "a", 7, ("two",), "audio+text", "one", np.array([0, 1, 0], np.float32), 0.5, "several"
    )
    records.add_answers(run, [answer, replace(answer, subset="audio")])
    scores = {"audio": SubsetScore(0.5, 4, 0.15, 0.85), "audio+text": SubsetScore(1.0, 2, 0.34, 1.0)}
    chance = {"audio": 0.25, "audio+text": 0.5}
    estimates = {"P": Estimate(0.75, 0.3, 0.9), "drop.text": Estimate(-0.1, -0.5, 0.2)}
    records.add_scores(run, scores, chance, estimates)
    degraded = ConditionScore(
        "audio",
        "quiet",
        3,
        "20 dB quieter",
        "audio+text",
        SubsetScore(0.5, 2, 0.1, 0.9),
        0.7,
        0.25,
        None,
        0.4,
    )
    records.add_conditions(run, [degraded])
    assert read_conditions(path, run) == [degraded]
    assert read_conditions(path, other) == []
    found, alone = read_answers(path, run)
    assert alone.subset == "audio"
    assert (found.example, found.line, found.truth, found.subset, found.label) == (
        ("a", 7, ("two",), "audio+text", "one")
    )
    assert found.probabilities.tolist() == [0, 1, 0]
    assert (found.threshold, found.doubt) == (0.5, "several")
    assert read_answers(path, other) == []
    recorded = {r.id: r for r in read_runs(path)}
    assert (recorded[run].dataset, recorded[run].split) == ("digits", "eval")
    assert recorded[run].modalities == bundle.modalities
    assert (recorded[run].scores, recorded[run].chance, recorded[run].estimates) == (
        scores,
        chance,
        estimates,
    )
    assert (recorded[other].scores, recorded[other].chance, recorded[other].estimates) == ({}, {}, {})


def test_commits_are_synced_before_they_return(records: RecordWriter, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert records._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"


def test_a_reader_never_waits_for_the_writer(records: RecordWriter, bundle: Bundle, tmp_path: Path) -> None:
    run = records.begin("session", bundle)
    with closing(sqlite3.connect(tmp_path / "record.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert read_predictions(tmp_path / "record.sqlite", run) == []  # else it says that it is locked


def other_version(path: Path) -> None:
    RecordWriter(path).close()
    other_tables(path, f"PRAGMA user_version = {SCHEMA + 1}")


def other_tables(path: Path, statement: str = "CREATE TABLE mine (x)") -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)


@pytest.mark.parametrize(
    ("make", "reported"),
    [
        (other_version, f"a record of schema version {SCHEMA + 1}, and this"),
        (other_tables, "another program's database; name another file"),
        (
            lambda path: path.write_text("not a database, but long enough " * 50),
            "is not a record",
        ),
        (Path.mkdir, "is a folder; name a file"),
    ],
)
def test_what_is_no_record_of_this_version_is_refused_and_stays(
    tmp_path: Path, make: Callable[[Path], object], reported: str
) -> None:
    path = tmp_path / "record.sqlite"
    make(path)
    before = None if path.is_dir() else path.read_bytes()
    for use in (RecordWriter, read_runs):
        with pytest.raises(RecordError, match=rf"^{path}: {reported}"):
            use(path)
    assert before is None or path.read_bytes() == before


def test_where_no_record_is_none_is_read_and_without_a_folder_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="folder that exists"):
        RecordWriter(tmp_path / "nowhere" / "record.sqlite")
    with pytest.raises(RecordError, match=r"absent\.sqlite: there is no such file"):
        read_runs(tmp_path / "absent.sqlite")
    assert not [*tmp_path.iterdir()]


def test_what_keeps_it_from_being_written_has_its_own_remedy(
    records: RecordWriter, bundle: Bundle, tmp_path: Path
) -> None:
    run = records.begin("session", bundle)
    records._db.execute("PRAGMA busy_timeout = 10")
    with sqlite3.connect(tmp_path / "record.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordError, match=r"locked\); close "):
            records.end(run)
    other.close()
    records._db.execute("PRAGMA max_page_count = 1")  # no less than there are: the disk is full now
    with pytest.raises(RecordError, match=r"full\); make room on its disk"):
        records.add_answers(
            run,
            [RecordedAnswer("a" * 100_000, 1, (), "audio", "one", np.zeros(3, np.float32), 0.5, "several")],
        )


def test_a_failed_write_is_reported_and_nothing_of_it_is_kept(
    records: RecordWriter, bundle: Bundle, tmp_path: Path
) -> None:
    run = records.begin("audit", bundle)
    answer = RecordedAnswer("a", 1, ("two",), "audio", "one", np.zeros(3, np.float32), 0.5, "several")
    with pytest.raises(RecordError, match=r"record\.sqlite"):
        records.add_answers(run, [answer, answer])
    assert read_answers(tmp_path / "record.sqlite", run) == []
