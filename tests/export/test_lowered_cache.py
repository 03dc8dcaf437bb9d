"""An artifact is kept by content, and what its file has become is never taken for it."""

from pathlib import Path

from sensemble_export.lowered_cache import fetch, keep
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Lowered


def test_a_damaged_artifact_is_lowered_again(tmp_path: Path) -> None:
    """A file that was cut short failed every export until somebody deleted it."""
    place = tmp_path / "cache" / "a.pte"
    made = Lowered(
        {"": b"program" * 100}, Delegation(1, {"aten.linear.default": 12}, {"aten.clamp.default": 2})
    )
    assert fetch(place) is None
    keep(place, made)
    assert fetch(place) == made
    place.write_bytes(made.files[""][:-1])
    assert fetch(place) is None
    keep(place, made)
    place.with_suffix(".json").write_text('{"delegated"')
    assert fetch(place) is None
    keep(None, made)
    assert fetch(None) is None, "not for the cache"
