"""A project's folder: what it refuses, and what is there when it is opened again."""

from pathlib import Path

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.studio.project import CLASSES, LONGEST, Project


def test_classes_are_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with Project(folder) as project:
        project.add(" clap ")
        project.add("snap")
        project.add("hum")
        project.rename("snap", "click")
        project.remove("hum")
        assert project.classes == ("clap", "click")
    with Project(folder) as project:
        assert project.classes == ("clap", "click")
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "studio.json").stat().st_mode & 0o077 == 0


def test_classes_that_only_takes_show_are_added(tmp_path: Path) -> None:
    with Project(tmp_path / "project") as project:
        project.add("clap")
        project.add("cafe\u0301")  # as a Mac's file names are composed; the index is read composed
        project.adopt(["snap", "clap", "caf\u00e9", "snap"])
        assert project.classes == ("clap", "caf\u00e9", "snap")
        with pytest.raises(InputError, match="labels 'CLAP': CLAP: that name is taken"):
            project.adopt(["CLAP"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "1 to 40"), ("   ", "1 to 40"), ("x" * (LONGEST + 1), "1 to 40"), ("a\nb", "printed"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}a", "printed"), ("\ud800", "can be printed"), ("CLAP", "taken"),
        ("Unlabelled", "taken"), ("(background)", "taken"),
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_class_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with Project(tmp_path / "project") as project:
        project.add("clap")
        with pytest.raises(InputError, match=reason):
            project.add(name)
        assert project.classes == ("clap",)


def test_classes_are_bounded(tmp_path: Path) -> None:
    with Project(tmp_path / "project") as project:
        for number in range(CLASSES):
            project.add(f"class {number}")
        with pytest.raises(InputError, match="at most"):
            project.add("one more")


def test_a_second_studio_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    with Project(tmp_path / "project"), pytest.raises(InputError, match="another studio has it open"):
        Project(tmp_path / "project")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not a project of the studio"):
        Project(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_a_folder_that_cannot_be_used_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "studio.lock").mkdir()  # a disk that is full fails alike
    (tmp_path / "studio.json").write_text("{}")
    with pytest.raises(InputError, match=r"cannot be used \(Is a directory\)"):
        Project(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"classes": 3}', '{"classes": ["a", "A"]}', '{"classes": [3]}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    with Project(tmp_path / "project"):
        pass
    (tmp_path / "project" / "studio.json").write_text(text)
    with pytest.raises(InputError, match=r"studio\.json: is not a file"):
        Project(tmp_path / "project")
