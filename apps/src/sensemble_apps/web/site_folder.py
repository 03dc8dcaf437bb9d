"""The folder of a site: new or empty, or that of an earlier site, and of nothing else."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import MAX_LINE, Fields, opened

from sensemble_apps.console.output import check_writable, refused
from sensemble_apps.errors import InputError

LIST = ".sensemble-site.json"
"""The file that lists the site's files."""
_STAGED = ".sensemble-site.partial"  # the folder in which a write collects them


def replace(out: Path, files: Mapping[str, Callable[[], bytes]], apart: Iterable[Path]) -> None:
    """Put files into the folder `out`, in place of those of an earlier site.

    All of them are written before the earlier ones go, so an error leaves the earlier site whole.

    Args:
        out: the folder.
        files: by path in the folder, the function that returns the bytes.
        apart: folders that `out` may not be, lie in or hold.

    Raises:
        InputError: `out` is a link or no folder, holds anything but a site, or cannot be written.
    """
    check(out, apart)
    is_new, staged = not out.exists(), out / _STAGED
    try:
        shutil.rmtree(staged, ignore_errors=True)  # as a kill leaves it
        staged.mkdir(parents=True)
        for name, read in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            durable.write(staged / name, read())
        durable.write(staged / LIST, json.dumps({"files": sorted(files)}, indent=1).encode())
        for path in set(out.iterdir()) - {staged, out / LIST}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in sorted(
            staged.iterdir(), key=lambda path: path.name != LIST
        ):  # first, it says what is there
            path.replace(out / path.name)
    except OSError as error:
        raise refused(error, out) or error from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                out.rmdir()  # nothing was written


def check(out: Path, apart: Iterable[Path]) -> None:
    """Check a place for a site before it is computed; raise as `replace`."""
    if out.is_symlink():
        raise InputError(f"--out {out}: is a link; name the folder that it leads to, {os.path.realpath(out)}")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is not a folder; name another")
    for folder in apart:
        if _holds(folder, out) or _holds(out, folder):
            raise InputError(f"--out {out}: lies in {folder}, or holds it; name a folder beside it")
    check_writable(out)
    known = {*_listed(out), LIST}
    for path in sorted(out.rglob("*")):  # follows no link
        name = path.relative_to(out).as_posix()
        is_ours = path.is_dir() or name in known or name.startswith(f"{_STAGED}/")
        if path.is_symlink() or not is_ours:
            raise InputError(
                f"--out {out}: holds {name}, which is not of an earlier site; move it, or name a new folder"
            )


def _holds(folder: Path, inside: Path) -> bool:
    """Return whether a folder is another one or holds it, by whatever name."""
    place = Path(os.path.realpath(inside))
    return folder.exists() and any(
        each.exists() and each.samefile(folder) for each in (place, *place.parents)
    )


def _listed(out: Path) -> set[str]:
    """Return the paths of an earlier site, if there is one."""
    try:
        with opened(out / LIST) as file:
            names: tuple[str, ...] = Fields(file.read(MAX_LINE + 1)).get("files", tuple[str, ...])
    except FileNotFoundError:
        return set()
    except (BadDataError, OSError, ValueError) as error:
        raise InputError(f"{out / LIST}: lists no files of a site ({error}); name another folder") from error
    return {*names}
