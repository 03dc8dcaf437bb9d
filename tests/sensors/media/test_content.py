"""Examples told apart by what they hold, not by their names."""

from dataclasses import replace
from pathlib import Path

from sensemble_sensors.media.content import contents, data_digest
from sensemble_sensors.media.dataset import Example


def test_only_what_an_example_holds_counts(tmp_path: Path) -> None:
    for name, text in (("a.wav", "one"), ("same.wav", "one"), ("b.wav", "two")):
        (tmp_path / name).write_text(text)
    one = Example("x", "eval", ("yes",), {"audio": tmp_path / "a.wav", "text": "hello"}, 1)
    same = replace(one, id="y", line=2, groups=("ann",), labels=("no",))
    same = replace(same, values={**one.values, "audio": tmp_path / "same.wav"})
    first, *rest = contents(
        [
            one,
            same,
            replace(one, values={**one.values, "audio": tmp_path / "b.wav"}),
            replace(one, values={**one.values, "audio": tmp_path / "gone.wav"}),
            replace(one, values={**one.values, "text": "bye"}),
            replace(one, start=1.0),
        ]
    )
    assert [found == first for found in rest] == [True, False, False, False, False]
    assert len({first, *rest}) == 5
    rows = [("x", ("yes", "no"), first), ("y", ("no",), first)]
    assert data_digest(rows) == data_digest([rows[1], ("x", ("no", "yes"), first)])
    assert data_digest(rows) != data_digest(rows[:1])
