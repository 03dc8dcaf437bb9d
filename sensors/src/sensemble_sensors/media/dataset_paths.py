"""Check the paths in a dataset: each must be a file inside its folder, after all links."""

# An index may have millions of lines, and a Path costs several times what it asks of the system.
# ruff: noqa: PTH118
import os
import stat
from pathlib import Path

from sensemble_sensors.errors import BadDataError


class Root:
    """A dataset's folder, which resolves the paths inside it; each folder is looked up once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._real = os.path.join(os.path.realpath(folder), "")
        self._folders: dict[str, str] = {}
        self._last = "", folder

    def file(self, name: str, relative: str) -> Path:
        """Return the path of a regular file with content at `relative` inside the folder.

        BadDataError names the field.
        """
        known, path = self._last  # audio and video are often the same file
        if known != relative:
            self._check(name, relative)
            path = self._folder / relative
            self._last = relative, path
        return path

    def _check(self, name: str, relative: str) -> None:
        parent, _, own = relative.rpartition("/")
        if relative.startswith("/") or ".." in relative.split("/") or "\0" in relative:
            raise BadDataError(
                f"{name}: {relative!r} must be a path relative to the dataset's folder, inside it"
            )
        if parent not in self._folders:
            self._folders[parent] = os.path.realpath(os.path.join(self._real, parent))
        target = f"{self._folders[parent]}/{own}"
        try:
            status = os.lstat(target)
            if stat.S_ISLNK(status.st_mode):
                target = os.path.realpath(target)
                status = os.lstat(target)
        except (OSError, ValueError):
            status = None
        if not target.startswith(self._real):
            raise BadDataError(f"{name}: {relative!r} is a link that leaves the dataset's folder")
        if status is None or not stat.S_ISREG(status.st_mode):
            raise BadDataError(f"{name}: there is no file {relative!r}; add it, or delete the line")
        if not status.st_size:
            raise BadDataError(f"{name}: {relative!r} is empty, 0 bytes; copy it again")
