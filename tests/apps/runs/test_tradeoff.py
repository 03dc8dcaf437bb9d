"""Tests of the trade-off of a search, as a table and as a drawing."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.runs.tradeoff import draw, show
from sensemble_export.search import Option
from sensemble_export.targets import Job

SVG = "{http://www.w3.org/2000/svg}"


def option(scheme: str, size: float, latency: float, drop: float, *kept: str) -> Option:
    """A candidate that costs this many MB, ms and points, with audio in float."""
    jobs = (Job("audio", "onnx", "fp32"), Job("video", "onnx", scheme, kept))
    return Option(jobs, round(size * 1e6), latency, drop, "audio+video", 0.9 - drop / 100)


FLOAT = option("fp32", 8, 9, 0)
FOUND = [
    FLOAT,
    option("int8-dynamic", 2, 3, 2.0),
    option("int8-static", 3, 4, 0.5, "trunk.project"),
    option("int8-dynamic", 9, 9.5, 3.0, "stem"),  # worse than every other
]


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_has_what_nothing_beats_and_marks_what_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show("onnx", FOUND, {"drop": 1.0}, tmp_path / "drawn.svg")
    out = rows(capsys.readouterr().out)
    assert ["fp32", "int8-dynamic", "2.00", "3.00", "88.0", "2.0", "AV"] in out
    assert [">", "fp32", "int8-static*", "3.00", "4.00", "89.5", "0.5", "AV"] in out
    assert ["fp32", "fp32", "8.00", "9.00", "90.0", "0.0", "AV"] in out
    assert not any("9.50" in row for row in out)
    assert (tmp_path / "drawn.svg").exists()


def test_without_a_choice_nothing_is_marked_and_all_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show("onnx", FOUND, {"size": 0.1}, tmp_path / "drawn.svg")
    assert not any(row[:1] == [">"] for row in rows(capsys.readouterr().out))
    assert (tmp_path / "drawn.svg").exists()


def test_the_drawing_has_a_point_for_each_combination_and_is_the_same_each_time(tmp_path: Path) -> None:
    drawn = [tmp_path / name for name in ("one.svg", "other.svg")]
    for path in drawn:
        draw("onnx", FOUND, FOUND[2], path)
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    root = ET.parse(drawn[0]).getroot()  # noqa: S314 - it is our own
    points = [g for g in root.iter(f"{SVG}g") if re.fullmatch(r"PathCollection_\d+", g.get("id", ""))]
    # In each panel all of them, those that nothing beats, and the one that is chosen; then the legend.
    assert [len(list(group.iter(f"{SVG}use"))) for group in points] == [4, 3, 1] * 2 + [1] * 3
    text = "".join(root.itertext())
    for words in ("onnx", "size of the encoders, MB", "latency of all encoders, ms", "chosen"):
        assert words in text


def test_a_drawing_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match=r"drawn\.svg: cannot be used"):
        show("onnx", FOUND, {"drop": 1.0}, tmp_path / "run" / "drawn.svg")
