import json
from pathlib import Path

import pytest
from sensemble_apps.tables.matrices import chance_warnings, read_intervals
from sensemble_runtime.errors import MatrixError
from sensemble_runtime.scores import SubsetScore


def write(path: Path, intervals: object) -> Path:
    scores = {"audio": 0.3, "video": 0.9, "audio+video": 0.9}
    methods = {"finetune": {"video": scores}, "masd": {"video": scores | {"audio": 0.5}}}
    path.write_text(json.dumps({"methods": methods, "intervals": intervals}))
    return path


def cell(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high, "n": 400, "chance": 0.28}


ROW = {"audio": cell(0.25, 0.35), "video": cell(0.87, 0.93), "audio+video": cell(0.1, 0.93)}
LEARNT = ROW | {"audio": cell(0.45, 0.55)}


def test_scores_are_read_with_their_intervals(tmp_path: Path) -> None:
    found = read_intervals(write(tmp_path / "matrix.json", {"masd": {"video": LEARNT}}))
    assert found["masd"]["video"]["audio"] == (SubsetScore(0.5, 400, 0.45, 0.55), 0.28)
    assert read_intervals(write(tmp_path / "matrix.json", None)) == {}


def test_a_sensor_that_no_method_gets_above_chance_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "matrix.json", {"finetune": {"video": ROW}, "masd": {"video": LEARNT}})
    assert list(chance_warnings(path)) == []
    assert list(chance_warnings(path, "masd", ("video",))) == []
    (warning,) = chance_warnings(path, "finetune", ("video",))
    assert "(audio) may be at chance: it scores 30 %" in warning
    assert list(chance_warnings(path, "finetune", ("audio",))) == []


@pytest.mark.parametrize("bad", [{"masd": {"video": {"audio": {}}}}, {"masd": {"gone": ROW}}, {"masd": [1]}])
def test_malformed_intervals_are_refused_in_one_line(tmp_path: Path, bad: object) -> None:
    with pytest.raises(MatrixError, match=r"matrix.json: intervals"):
        read_intervals(write(tmp_path / "matrix.json", bad))
