"""The sets that `audit --subsets` adds to those that are always measured."""

from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sensemble_apps.commands.audit import further_subsets
from sensemble_apps.errors import InputError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordWriter

SEVEN = tuple("abcdefg")


def test_all_of_seven_are_scored_when_asked_for() -> None:
    assert further_subsets(SEVEN, None, None) == further_subsets(SEVEN, "singles,leave-one-out", None) == []
    found = further_subsets(SEVEN, "all", None)
    assert len(found) == 127 - 15
    assert {len(one) for one in found} == {2, 3, 4, 5}
    assert sum(len(one) == 3 for one in found) == comb(7, 3)
    assert further_subsets(SEVEN[:6], "all", None) == [], "of six, all are measured"


def test_the_live_sets_of_a_record_are_scored(tmp_path: Path) -> None:
    path, numbers = tmp_path / "record.sqlite", np.array([1.0], np.float32)
    made = SimpleNamespace(labels=("one",), task="multi-class")
    bundle = SimpleNamespace(fingerprint="0" * 64, manifest=made)
    with RecordWriter(path) as records:
        run = records.begin("session", bundle)  # type: ignore[arg-type]
        for live in (("a", "b"), ("a", "b"), ("a",), ("x", "y")):
            said = Prediction(1.0, live, dict.fromkeys(live, 0.0), numbers, numbers, {}, {}, labels=("one",))
            records.add_items(run, [said])
    assert further_subsets(SEVEN, "singles,leave-one-out,seen", path) == [("a", "b")]


@pytest.mark.parametrize(("wanted", "says"), [("pairs", "pairs: give all"), ("seen", "give --record")])
def test_what_cannot_be_scored_is_one_line(wanted: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        further_subsets(SEVEN, wanted, None)
