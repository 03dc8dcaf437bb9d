"""Own takes, from the recording to a model, by the commands: it learns, and says which sensor does not."""

from pathlib import Path

import pytest
from sensemble_apps.cli import main
from sensemble_apps.tables.matrices import at_chance, read_intervals
from sensemble_apps.tables.run_folder import MATRIX
from sensemble_sensors import read_dataset
from sensemble_train.digits.spoken_takes import record


@pytest.mark.slow
def test_a_few_takes_teach_a_microphone_and_a_blind_camera_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    takes = record(tmp_path / "takes", 12, seconds=2.0, backgrounds=2, blind=True)
    assert main(["data", "split", str(takes)]) == 0
    counts = [len(read_dataset(takes).split(split)) for split in ("train", "calibrate", "eval")]
    assert counts == [48, 12, 12]
    run = tmp_path / "run"
    assert main(["train", "--data", str(takes), "--out", str(run)]) == 0
    remarks = capsys.readouterr().err
    rows = {method: row["audio+video"] for method, row in read_intervals(run / MATRIX).items()}
    heard, chance = rows["subset"]["audio"]
    assert heard.low > chance, rows
    warnings = list(at_chance(run / MATRIX))
    assert [warning.split(" alone")[0] for warning in warnings] == [
        "Too few examples to tell whether the camera"
    ]
    assert f"warning: {warnings[0]}" in remarks
    assert "48 clips have all of audio+video" in caplog.text, "those with labels are pretrained on"
