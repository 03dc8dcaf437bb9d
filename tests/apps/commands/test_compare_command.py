"""Two runs compared, their page and its JSON."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sensemble_apps.cli import main
from sensemble_apps.errors import InputError
from sensemble_apps.tables import gate_verdict
from sensemble_apps.tables.comparison_table import Side, named
from sensemble_runtime.bundle.manifest_file import read_manifest

from tests.apps.clips import write_clip
from tests.apps.html_page import Page
from tests.apps.shipped import write_audit, write_run

EVERY = "audio+text+video"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs: the second answers the first 40 of 400 examples wrong with all sensors."""
    a, b = (tmp_path_factory.mktemp(name) for name in "ab")
    for folder in (a, b):
        write_audit(write_run(folder))
    wrong = np.array([0.1, 0.9], "<f4").tobytes()
    with closing(sqlite3.connect(b / "audit.sqlite")) as db, db:
        db.execute(
            "UPDATE answers SET label = 'one', probabilities = ? WHERE subset = ? AND line <= 40",
            (wrong, EVERY),
        )
    return a, b


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of these examples."""
    folder = tmp_path_factory.mktemp("data")
    write_clip(folder / "0.mkv", (220, 40, 40), 300.0, np.random.default_rng(0))
    line = {"id": "eval-0", "split": "eval", "labels": ["zero"], "audio": "0.mkv", "video": "0.mkv"}
    (folder / "index.jsonl").write_text(json.dumps(line | {"text": "a <red> one"}), encoding="utf-8")
    return folder


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compare.html").mkdir()
    assert main(["compare", "nowhere", "nowhere"]) == 2
    assert "compare.html: is not a file; name another" in capsys.readouterr().err


def test_a_side_that_is_not_there_is_refused_before_the_other_is_audited(
    runs: tuple[Path, Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(runs[0] / "bundle")  # without artifacts: it cannot be audited
    assert main(["compare", bundle, "nowhere", "--data", str(data), "--json"]) == 2
    assert "nowhere: is not there; give a bundle" in capsys.readouterr().err


def test_the_json_names_what_changed(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, runs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    one = found["sets"][EVERY]
    assert one["lost"] == [f"eval-{i}" for i in range(40)]
    assert one["gained"] == []
    assert one["differs"]
    assert one["change"]["value"] == pytest.approx(-0.1)
    assert found["sets"]["audio"]["change"]["value"] == 0
    assert found["drop"]["value"] == pytest.approx(0.1)
    assert found["b"]["title"] == str(runs[1])


def test_what_both_find_in_streams_is_compared_and_judged(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, run in zip("ab", runs, strict=True):
        shutil.copytree(run, tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "b" / "audit.sqlite")) as db, db:
        db.execute("""UPDATE streams SET score = json_set(score, '$.false', 30, '$.false_per_hour', 15.0,
                      '$.low', 10.1, '$.high', 21.4) WHERE json_extract(score, '$.subset') = 'audio'""")
    sides, page = (str(tmp_path / "a"), str(tmp_path / "b")), str(tmp_path / "compare.html")
    assert main(["compare", *sides, "--json"]) == 0
    found = {one["after"]["subset"]: one for one in json.loads(capsys.readouterr().out)["streams"]}
    assert found["audio"]["p"] < 0.001
    assert found[EVERY]["p"] == 1
    required = "all>=0.5,found>=0.3,false_per_hour.microphone<=4"
    assert main(["compare", *sides, "--out", page, "--require", required]) == 3
    captured = capsys.readouterr()
    assert "Streams: 2 hours, 90 spans" in captured.out
    assert re.search(r"^ *microphone +\d+.* 1\.0 +15\.0 +<0\.001", captured.out, re.MULTILINE)
    assert "false_per_hour.microphone<=4: failed: 15 false events an hour" in captured.out
    assert "the gate failed: false_per_hour.microphone<=4" in captured.err
    assert "90 spans of" in Page(Path(page).read_text(encoding="utf-8")).text


def test_streams_of_one_side_or_of_other_data_are_said_not_to_compare(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs[1], tmp_path / "b")
    sides, page = (str(runs[0]), str(tmp_path / "b")), str(tmp_path / "compare.html")
    record = tmp_path / "b" / "audit.sqlite"
    with closing(sqlite3.connect(record)) as db, db:
        db.execute("UPDATE streams SET score = json_set(score, '$.hours', 1.0)")
    assert main(["compare", *sides, "--out", page]) == 0
    assert "Streams are not compared: the streams are others: 2 hours" in " ".join(
        capsys.readouterr().out.split()
    )
    with closing(sqlite3.connect(record)) as db, db:
        db.execute("UPDATE runs SET dataset = 'a room' WHERE kind = 'streams'")
    assert main(["compare", *sides, "--out", page]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Streams are not compared: A was audited on those of colours <&>, split eval, B of a room" in text
    with closing(sqlite3.connect(record)) as db, db:
        db.execute("DELETE FROM streams")
    assert main(["compare", *sides, "--out", page, "--require", "false_per_hour<=9"]) == 4
    text = " ".join(capsys.readouterr().out.split())
    assert "Streams are not compared: only A was audited on any." in text
    assert "false_per_hour<=9: too few" in text


def test_the_page_tells_persons_apart(runs: tuple[Path, Path], tmp_path: Path) -> None:
    for name, run in zip("ab", runs, strict=True):
        shutil.copytree(run, tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name / "audit.sqlite")) as db, db:
            db.execute("""UPDATE answers SET groups = iif(line <= 20, '["ann"]', '["ben"]')""")
    out = tmp_path / "page.html"
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out)]) == 0
    assert "By person or recording" in (text := Page(out.read_text(encoding="utf-8")).text)
    assert text.index("ann") < text.index("ben")


def test_the_page_shows_the_examples_whose_answers_changed(
    runs: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert main(["compare", *map(str, runs), "--data", str(data), "--out", str(out)]) == 0
    assert f"{runs[1].name} is worse: right in " in capsys.readouterr().out
    html = out.read_text(encoding="utf-8")
    page = Page(html)
    assert "Right in A, wrong in B: 40" in page.text
    assert "Wrong in A, right in B" not in page.text
    assert "a <red> one" in page.text
    assert "A: zero 6" in page.text
    media = [tag for tag, _ in page.tags if tag in ("img", "audio", "polyline")]
    assert media == ["polyline", "audio", "img"]
    assert {source[:5] for source in re.findall(r'src="([^"]*)"', html)} == {"data:"}
    assert not re.search(r"https?://|<script", html)


def test_one_bundle_is_said_to_be_one(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert main(["compare", str(runs[0]), str(runs[0]), "--out", str(out)]) == 0
    assert "A and B are the same bundle." in capsys.readouterr().out
    assert "The same bundle: the same" in Page(out.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(
    ("days", "names"),
    [
        (("2026-11-28", "2026-12-02"), ("that of 28 November", "today's")),
        (("2025-11-28", "2026-12-01"), ("that of 28 November 2025", "that of 1 December 2026")),
        (("2026-12-02", "2026-12-02"), ("demo", "noisy")),
    ],
)
def test_releases_are_named_by_their_days_else_by_their_folders(
    runs: tuple[Path, Path], days: tuple[str, str], names: tuple[str, str]
) -> None:
    manifest, result = read_manifest(runs[0] / "bundle" / "manifest.json"), Any
    sides = [
        Side(
            f"runs/{folder}/bundle",
            "",
            result,  # type: ignore[arg-type] # which no name needs
            replace(manifest, provenance=replace(manifest.provenance, created=f"{day}T12:00:00+00:00")),
        )
        for folder, day in zip(("demo", "noisy"), days, strict=True)
    ]
    assert named(sides[0], sides[1], date(2026, 12, 2)) == names


def test_a_build_stops_at_the_change_that_is_too_large(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text('require = ["audio.B-A>=-0.05", "drop.B-A<=0.05", "P>=0.5"]', encoding="utf-8")
    junit, page = tmp_path / "gate.xml", tmp_path / "page.html"
    options = ["--require", str(gate), "--junit", str(junit), "--out", str(page)]
    assert main(["compare", *map(str, runs), *options]) == 3
    assert "drop.B-A<=0.05: failed: from A to B, any set loses 10 points" in capsys.readouterr().out
    assert 'class="failed">drop.B-A' in page.read_text(encoding="utf-8")
    suite = ET.parse(junit).getroot()  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["drop.B-A<=0.05"]
    assert main(["compare", *map(str, reversed(runs)), *options]) == 0


@pytest.mark.parametrize("text", ["", "require = 3", 'require = ["P>=0"]\nother = 1', "P>=0.5"])
def test_a_file_that_is_no_gate_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.toml").write_text(text, encoding="utf-8")
    for path in (tmp_path / "gate.toml", tmp_path / "none.toml"):
        with pytest.raises(InputError, match=path.name):
            gate_verdict.parse(str(path), ["audio"], {})
