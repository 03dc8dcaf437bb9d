"""Processes that build the digits."""

import os
from pathlib import Path

import pytest
from sensemble_train.digits.workers import submitted


def test_a_module_in_the_current_folder_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit(9)")  # beside a data set from elsewhere, say
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    with submitted(abs, [-1, 2]) as made:
        assert [each.result() for each in made] == [1, 2]
    assert dict(os.environ) == before
