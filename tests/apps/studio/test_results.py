"""The curves of a run, also of a log that was damaged."""

from pathlib import Path

from sensemble_apps.studio.results import curves


def test_damaged_lines_of_a_log_are_no_points_of_its_curve(tmp_path: Path) -> None:
    log = tmp_path / "pretrained" / "steps.jsonl"
    log.parent.mkdir()
    log.write_bytes(
        b'{"step": 1, "loss": 2.5}\n{bad\n\xff\n{"x": 1}\n{"step": 2, "loss": NaN}\n[]\n\0\0\0\n'
        b'{"step": 3, "loss": 1.25}\n{"step": 4, "lo'
    )
    assert curves(tmp_path) == [{"stage": "pretrain", "points": [[1, 2.5], [3, 1.25]]}]
