"""No module compares a modality's name with a constant, except the kinds and a list that only shrinks.

A kind (`InputSpec.kind`) decides how a modality is handled, so a new one needs nothing but new classes.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = {"audio", "text", "video", "waveform", "frames", "series"}  # of the modalities and of the kinds

# The table of names, and the rooms of the classes of the kinds, which may name what is theirs.
KINDS = (
    "apps/src/sensemble_apps/console/kinds.py",
    "sensors/src/sensemble_sensors/kinds/",
    "sensors/src/sensemble_sensors/spec.py",
    "train/src/sensemble_train/models/kinds/",
)

# Modules that may name a modality or a kind, with how many places and why. This list only shrinks.
ALLOWED = {
    "train/src/sensemble_train/digits/build.py": (3, "makes a dataset of these three modalities"),
}
MOST = 3


def sources() -> list[Path]:
    return sorted(ROOT.glob("*/src/sensemble_*/**/*.py"))


def _names(node: ast.expr | None) -> Iterator[ast.Constant]:
    """Yield the names that an expression is, or that a literal collection holds."""
    match node:
        case ast.Constant(value=str(name)) if name in NAMES:
            yield node
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            for item in items:
                yield from _names(item)


def compared(tree: ast.AST) -> list[int]:
    """Return the lines that compare with a modality's name, or look something up by it."""
    found: list[ast.Constant] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                for side in (left, *others):
                    found += _names(side)
            case ast.Dict(keys=keys):
                for key in keys:
                    found += _names(key)
            case ast.Subscript(value=ast.Name(id="Literal")):
                continue  # a type
            case ast.Subscript(slice=index):
                found += _names(index)
            case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[key, *_]):
                found += _names(key)
            case ast.MatchValue(value=value):
                found += _names(value)
    return sorted(constant.lineno for constant in found)


def test_the_check_sees_every_way_to_compare() -> None:
    seen = [
        'if m == "audio": pass',
        'if "text" != m: pass',
        'x = m in ("audio", "video")',
        'd = {"video": 1}',
        'd["text"]',
        'd.get("audio", 0)',
        'match m:\n    case "video": pass',
        'kind == "waveform"',
    ]
    assert [len(compared(ast.parse(code))) for code in seen] == [1, 1, 2, 1, 1, 1, 1, 1]
    unseen = ['Sample("audio", wave)', 'modality = "video"', "Waveform()", 'd["texts"]']
    assert not any(compared(ast.parse(code)) for code in unseen)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_modalities_are_compared_by_their_kinds_alone(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(KINDS):
        return
    lines = compared(ast.parse(path.read_text()))
    most, _ = ALLOWED.get(name, (0, ""))
    places = ", ".join(f"line {line}" for line in lines)
    assert len(lines) <= most, f"{name} compares modalities ({places}); ask the kind instead"
    assert len(lines) == most, f"{name} has {len(lines)} places left: lower its number in ALLOWED"


def test_the_list_names_files_that_exist_and_does_not_grow() -> None:
    assert {name for name in ALLOWED if not (ROOT / name).is_file()} == set()
    assert sum(number for number, _ in ALLOWED.values()) <= MOST
