"""The folder of a site, which may hold files of others: only files that an earlier write listed change."""

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
_LAST = "index.html"


def replace(out: Path, files: Mapping[str, Callable[[], bytes]], apart: Iterable[Path]) -> None:
    """Put files into the folder `out` in place of those of an earlier write; others in it stay.

    All of them are written before the first one takes its place, so an error leaves the earlier site whole.
    A kill meanwhile leaves files of both, all of them listed: the next write mends that.

    Args:
        out: a new or empty folder, or that of an earlier write.
        files: by path in the folder, the function that returns the bytes.
        apart: folders that `out` may not be, lie in or hold.

    Raises:
        InputError: `out` is a link or no folder, holds other files or one in the place of the site's, or
            cannot be written.
    """
    earlier = check(out, apart)
    for name in files:
        if not _leads_in(out, name) or (os.path.lexists(out / name) and name not in earlier):
            raise InputError(
                f"--out: {out / name} is not of the site, which needs its place; move it away, or name "
                "another folder"
            )
    is_new, staged = not out.exists(), out / _STAGED
    try:
        shutil.rmtree(staged, ignore_errors=True)  # as a kill leaves it
        staged.mkdir(parents=True)
        for name, read in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            durable.write(staged / name, read())
        _write_list(out, {*files, *earlier})
        for name in files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: (name == _LAST, name)):
            (staged / name).replace(out / name)
        for name in earlier - files.keys():
            _remove(out, name)
        _write_list(out, files)
    except OSError as error:
        raise refused(error, out) or error from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                out.rmdir()  # nothing was written


def check(out: Path, apart: Iterable[Path]) -> set[str]:
    """Check a place for a site before it is computed; return the files of an earlier one, or raise so."""
    if out.is_symlink():
        raise InputError(f"--out {out}: is a link; name the folder that it leads to, {os.path.realpath(out)}")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is not a folder; name another")
    for folder in apart:
        if _holds(folder, out) or _holds(out, folder):
            raise InputError(f"--out {out}: lies in {folder}, or holds it; name a folder beside it")
    check_writable(out)
    return _listed(out) if out.exists() else set()


def _holds(folder: Path, inside: Path) -> bool:
    """Return whether a folder is another one or holds it, by whatever name."""
    place = Path(os.path.realpath(inside))
    return folder.exists() and any(
        each.exists() and each.samefile(folder) for each in (place, *place.parents)
    )


def _listed(out: Path) -> set[str]:
    """Return the paths of an earlier write that lead to files in `out`; none of an empty folder."""
    try:
        with opened(out / LIST) as file:
            names: tuple[str, ...] = Fields(file.read(MAX_LINE + 1)).get("files", tuple[str, ...])
        return {name for name in names if _leads_in(out, name) and (out / name).is_file()}
    except FileNotFoundError:
        if any(path.name != _STAGED for path in out.iterdir()):
            raise InputError(
                f"--out {out}: holds other files; give a new folder, or that of an earlier site"
            ) from None
        return set()
    except (BadDataError, OSError, ValueError) as error:
        raise InputError(f"{out / LIST}: lists no files of a site ({error}); name another folder") from error


def _leads_in(out: Path, name: str) -> bool:
    """Return whether a path leads to its place in a folder: through no link, and not out of it."""
    return os.path.realpath(out / name) == f"{os.path.realpath(out)}/{name}"


def _write_list(out: Path, names: Iterable[str]) -> None:
    staged = out / _STAGED / LIST  # a link in place of a partial file beside the list would be followed
    durable.write(staged, (json.dumps({"files": sorted(names)}, indent=1) + "\n").encode())
    staged.replace(out / LIST)


def _remove(out: Path, name: str) -> None:
    """Remove a file, and its folders that are empty then."""
    path = out / name
    path.unlink()
    for folder in path.parents:
        if folder == out:
            return
        with suppress(OSError):
            folder.rmdir()
