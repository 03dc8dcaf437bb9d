"""An artifact is kept by content, and what its file has become is never taken for it."""

from pathlib import Path

import pytest
from sensemble_export.lowered_cache import fetch, keep
from sensemble_export.partition_report import Delegation


def test_a_damaged_artifact_is_lowered_again(tmp_path: Path) -> None:
    """A file that was cut short failed every export until somebody deleted it."""
    made, place, out = tmp_path / "made.pte", tmp_path / "cache" / "a.pte", tmp_path / "out.pte"
    made.write_bytes(b"program" * 100)
    delegation = Delegation(1, {"aten.linear.default": 12}, {"aten.clamp.default": 2})
    with pytest.raises(LookupError):
        fetch(place, out)
    keep(place, made, delegation)
    assert fetch(place, out) == delegation
    assert out.read_bytes() == made.read_bytes()
    out.unlink()
    place.write_bytes(made.read_bytes()[:-1])
    with pytest.raises(LookupError):
        fetch(place, out)
    assert not out.exists()
    keep(place, made, delegation)
    place.with_suffix(".json").write_text('{"delegated"')
    with pytest.raises(LookupError):
        fetch(place, out)
