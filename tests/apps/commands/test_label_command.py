"""A recorded session, scored by what was shown then."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sensemble_apps.cli import main
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import read_runs
from sensemble_runtime.record.writer import RecordWriter

from tests.apps.shipped import manifest
from tests.runtime.record.times import began


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A session that answers "zero" for ten seconds, at last without video."""
    path = tmp_path / "r.sqlite"
    chances = np.array([0.9, 0.1], np.float32)
    made = SimpleNamespace(manifest=manifest(), fingerprint="b" * 64)
    with RecordWriter(path) as records:
        run = records.begin("session", made)  # type: ignore[arg-type]
        start = began(records, run)
        records.add_items(
            run,
            [
                Prediction(
                    start + at,
                    ("audio", "video") if at < 6 else ("audio",),
                    {}, chances, chances, {}, {}, labels=("zero", "one"), threshold=0.8, doubt=None,
                )
                for at in range(1, 10)
            ],
        )  # fmt: skip
        records.end(run)
    return path


def test_answers_are_scored_by_the_span_and_the_live_set(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = read_runs(record)
    until = datetime.fromtimestamp(run.began + 8.5, UTC).isoformat()
    spans = tmp_path / "spans.csv"
    rows = f"0,3.5,zero\n3.5,{until},one\n100,200,one\n300,400,zero\n"
    spans.write_text(f"from,until,label\n{rows}", "utf-8-sig")  # as Excel does
    assert main(["label", str(record), str(spans), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: (one["n"], one["right"]["value"]) for name, one in found["sets"].items()} == {
        "audio": (3, 0),
        "audio+video": (5, 0.6),
    }
    assert found["sets"]["audio"]["sure_wrong"] == 1
    assert main(["label", str(record), str(spans)]) == 0
    output = capsys.readouterr().out
    assert "8 answers in 2 spans" in output
    assert "2 spans without an answer" in output
    assert (found["spans"], found["spans_without_answers"]) == (2, 2)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0,1,two", "no label 'two'"),
        ("noon,1,one", ":2: 'noon' is not a time"),
        ("nan,4,zero", ":2: 'nan' is not a time"),
        ("2,1,one", ":2: ends before it begins"),
        ("100,200,one", "no answer of session 1"),
        ("0,5,one\n4,9,zero", ": the spans of one and zero overlap"),
        ("0,5,caf\xe9", "is not UTF-8"),
        ("0,4,zero,extra", ":2: must have three values"),
        ('0,4,"zero', ": is not CSV"),
        ("0,4," + "z" * 200_000, ": is not CSV"),
    ],
)
def test_spans_that_cannot_be_are_refused_by_line(
    record: Path, tmp_path: Path, rows: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spans.csv").write_text(f"from,until,label\n{rows}\n", "latin-1")
    assert main(["label", str(record), str(tmp_path / "spans.csv")]) == 2
    assert expected in capsys.readouterr().err
    (tmp_path / "spans.csv").write_text("begin,end,label\n")
    assert main(["label", str(record), str(tmp_path / "spans.csv")]) == 2
    assert "its first line must be" in capsys.readouterr().err
