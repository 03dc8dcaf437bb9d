"""A project's folder: the names of its classes, and where its recording and its runs are."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from unicodedata import normalize

from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import Fields, opened
from sensemble_sensors.strict_json import FreeText

from sensemble_apps.console.output import check_writable
from sensemble_apps.errors import InputError

CLASSES = 50  # of a project at most
LONGEST = 40  # characters of a class's name
_FILE, _LOCK, _DATA, _RUNS, _INSTANT = "studio.json", "studio.lock", "data", "runs", "instant"
_RESERVED = {"(background)", "unlabelled"}  # of takes without a class


@dataclass(frozen=True, slots=True)
class ProjectRun:
    """A training of the project: its `number` is from 1, in order; 0 stands for the instant head."""

    number: int
    folder: Path

    @property
    def bundle(self) -> Path | None:
        """The exported bundle; None until then."""
        bundle = self.folder / "bundle"
        return bundle if (bundle / "manifest.json").is_file() else None

    def trained(self) -> Path:
        """Return the exported bundle; InputError until then."""
        if self.bundle is None:
            raise InputError(f"run {self.number} has no bundle yet; train it to its end")
        return self.bundle


class Project:
    """A project's folder, which one studio at a time has; a context manager. Safe for one thread at a time.

    A new folder is private to this user. Raises InputError if it cannot be written, holds something else, or
    another studio has it. So do the methods, for a class that is not there and for a name that is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / _DATA
        self._file = folder / _FILE
        check_writable(folder)
        try:
            if folder.exists() and any(folder.iterdir()) and not self._file.exists():
                raise InputError(
                    f"{folder}: is not empty, and is not a project of the studio; name another folder"
                )
            durable.create_folder(folder)
            if not self._file.exists():
                self._write(())
            durable.create(folder / _LOCK)
            self._lock = durable.lock(folder / _LOCK)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another studio has it open; close that, or name another") from error
        except OSError as error:
            raise InputError(f"{folder}: cannot be used ({error.strerror}); name another folder") from error
        self._classes = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order in which they were added."""
        return self._classes

    def add(self, name: str) -> None:
        """Add a class; a project has `CLASSES` at most."""
        if len(self._classes) >= CLASSES:
            raise InputError(f"a project has {CLASSES} classes at most")
        self._set((*self._classes, checked(name, self._classes)))

    def adopt(self, labels: Iterable[str]) -> None:
        """Add the classes that takes show and the file lacks, as after a kill while one was renamed."""
        for label in labels:
            if label not in self._classes:
                try:
                    self.add(label)
                except InputError as error:
                    raise InputError(f"{self.data}: labels {label[:LONGEST]!r}: {error}") from error

    def new_name(self, name: str, new: str) -> str:
        """Return the new name of a class as it will be written."""
        return checked(new, [one for one in self._classes if one != self.known(name)])

    def rename(self, name: str, new: str) -> None:
        """Give a class another name."""
        new = self.new_name(name, new)
        self._set(tuple(new if one == name else one for one in self._classes))

    def remove(self, name: str) -> None:
        """Remove a class."""
        self._set(tuple(one for one in self._classes if one != self.known(name)))

    def known(self, name: str) -> str:
        """Return the name of a class that is there."""
        if name not in self._classes:
            raise InputError(
                f"{name[:LONGEST]}: no such class; there are {', '.join(self._classes) or 'none'}"
            )
        return name

    @property
    def instant(self) -> ProjectRun:
        """The instant head, as run 0."""
        return ProjectRun(0, self.folder / _INSTANT)

    def runs(self) -> list[ProjectRun]:
        """Return the runs, the oldest first."""
        folder = self.folder / _RUNS
        numbers = sorted(
            int(path.name) for path in folder.glob("*") if path.is_dir() and path.name.isdecimal()
        )
        return [ProjectRun(number, folder / str(number)) for number in numbers]

    def next_run(self) -> ProjectRun:
        """Make the folder of another run; InputError if it cannot be made."""
        number = max((run.number for run in self.runs()), default=0) + 1
        run = ProjectRun(number, self.folder / _RUNS / str(number))
        try:
            durable.create_folder(run.folder.parent)
            durable.create_folder(run.folder)
        except OSError as error:
            raise InputError(f"{run.folder}: cannot be made ({error.strerror}); make room") from error
        return run

    def _set(self, classes: Sequence[str]) -> None:
        self._write(classes)
        self._classes = tuple(classes)

    def _write(self, classes: Sequence[str]) -> None:
        text = json.dumps({"classes": list(classes)}, ensure_ascii=False, indent=1) + "\n"
        try:
            durable.write(self._file, text.encode(), private=True)
        except OSError as error:
            raise InputError(f"{self._file}: cannot be written ({error.strerror}); make room") from error

    def _read(self) -> tuple[str, ...]:
        try:
            with opened(self._file) as file:
                return _names(Fields(file.read()))
        except (BadDataError, InputError, OSError) as error:
            raise InputError(f"{self._file}: is not a file of the studio ({error}); repair it") from error


def _names(line: Fields) -> tuple[str, ...]:
    names: tuple[str, ...] = line.get("classes", tuple[FreeText, ...])
    if len(names) > CLASSES:
        raise BadDataError(f"classes: expected at most {CLASSES} names")
    checked_names: tuple[str, ...] = ()
    for name in names:
        checked_names = (*checked_names, checked(name, checked_names))
    return checked_names


def checked(name: str, others: Sequence[str]) -> str:
    """Return the name of a class, stripped; InputError if it is empty, too long, unprintable or taken."""
    name = normalize("NFC", name.strip())
    if not 0 < len(name) <= LONGEST or not name.isprintable():
        raise InputError(f"a class's name has 1 to {LONGEST} characters that can be printed")
    if name.casefold() in {other.casefold() for other in (*others, *_RESERVED)}:
        raise InputError(f"{name}: that name is taken; give another")
    return name
