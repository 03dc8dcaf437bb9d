"""The tree stays readable: rooms say what they are for and name their doors."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(ROOT.glob("*/src/sensemble_*"))
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
ROOMS = sorted({path.parent for path in MODULES} - set(PACKAGES))
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
PROTECTED = {name for contract in LINTER["contracts"] for name in contract.get("protected_modules", ())}


def name(path: Path) -> str:
    """Return the dotted name of a package or module."""
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


@pytest.mark.parametrize("room", [room for room in ROOMS if room.parent in PACKAGES], ids=name)
def test_a_room_names_its_doors_and_the_contracts_protect_the_rest(room: Path) -> None:
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    subject, _, doors = docstring.rpartition("\n\nDoors: ")
    assert subject
    inside = {path.stem for path in room.iterdir() if path.suffix == ".py" or path in ROOMS} - {"__init__"}
    named = {door.partition(".")[0] for door in re.findall(r"`([\w.]+)`", doors)} & inside
    own = {module for module in inside if {f"{name(room)}.{module}", f"{name(room)}.*"} & PROTECTED}
    assert (named & own, inside - named - own) == (set(), set())


def test_the_picture_shows_the_rooms() -> None:
    picture = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    rows = re.findall(r'<g id="(\w+)">(.*?)</g>', picture, re.DOTALL)
    drawn = {f"sensemble_{row}": sorted(re.findall(r'"middle">([\w ]+)<', rooms)) for row, rooms in rows}
    folders = {
        package.name: sorted(room.name.replace("_", " ") for room in ROOMS if room.parent == package)
        for package in PACKAGES
    }
    assert drawn == folders


def test_documents_name_modules_that_exist() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *ROOT.glob("*/*.md"),
        *ROOT.glob("docs/*/*.md"),
        *ROOT.glob("apps/src/**/*.js"),
    ]
    tree = {path.name for path in (*MODULES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("[ad]*/**/*.py"))}
    named = {
        (path.name, word)
        for path in texts
        for word in re.findall(r"\w+\.py\b(?![^`\n]*` of commit)", path.read_text("utf-8"))
    }
    assert {(path, word) for path, word in named if word not in tree} == set()


def test_a_docstring_begins_with_a_verb_or_a_noun() -> None:
    question = re.compile(r'^\s*"""(What|Who|Where|Whether|When|Why|How)\b', re.MULTILINE)
    found = {name(path): question.findall(path.read_text(encoding="utf-8")) for path in MODULES}
    assert {module: words for module, words in found.items() if words} == {}
