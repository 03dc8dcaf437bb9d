"""Tests of the trade-off of a search, as a table and as a drawing."""

import pytest
from sensemble_apps.commands.export import show_trade_off
from sensemble_export.search import Option
from sensemble_export.targets import Job


def option(scheme: str, size: float, latency: float, drop: float) -> Option:
    """A candidate that costs this many MB, ms and points, with audio in float."""
    jobs = (Job("audio", "onnx", "fp32"), Job("video", "onnx", scheme))
    return Option(jobs, round(size * 1e6), latency, drop, "audio+video", 0.9 - drop / 100)


FLOAT = option("fp32", 8, 9, 0)
FOUND = [
    FLOAT,
    option("int8-dynamic", 2, 3, 2.0),
    option("int8-static", 3, 4, 0.5),
    option("int8-dynamic", 9, 9.5, 3.0),  # worse than every other
]


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_has_what_nothing_beats_and_marks_the_choice(capsys: pytest.CaptureFixture[str]) -> None:
    show_trade_off("onnx", FOUND, {"drop": 1.0})
    out = rows(capsys.readouterr().out)
    assert ["fp32", "int8-dynamic", "2.00", "3.00", "88.0", "2.0", "AV"] in out
    assert [">", "fp32", "int8-static", "3.00", "4.00", "89.5", "0.5", "AV"] in out
    assert ["fp32", "fp32", "8.00", "9.00", "90.0", "0.0", "AV"] in out
    assert not any("9.50" in row for row in out)
    show_trade_off("onnx", FOUND, {"size": 0.1})
    assert not any(row[:1] == [">"] for row in rows(capsys.readouterr().out)), "nothing is chosen"
