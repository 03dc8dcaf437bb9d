"""The folder of a site, which may hold files of others: only files that an earlier write listed change."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

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
        InputError: `out` is a link or no folder, holds other files or one in the place of the site's, cannot
            be written, or another write has it.
    """
    check(out, apart)
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            earlier = _listed(out)
            _check_free(out, {*files, LIST, _STAGED}, earlier)
            _swap(out, files, earlier)
    except OSError as error:
        raise refused(error, out) or error from error
    finally:
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
    if out.exists():
        _listed(out)


def _holds(folder: Path, inside: Path) -> bool:
    """Return whether a folder is another one or holds it, by whatever name."""
    place = Path(os.path.realpath(inside))
    return folder.exists() and any(
        each.exists() and each.samefile(folder) for each in (place, *place.parents)
    )


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    number = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(f"--out {out}: another `sensemble web` is writing it; wait for its end") from error
    finally:
        os.close(number)


def _listed(out: Path) -> set[str]:
    """Return the paths of an earlier write, with the list itself; none of a new folder."""
    try:
        with opened(out / LIST) as file:
            names: tuple[str, ...] = Fields(file.read(MAX_LINE + 1)).get("files", tuple[str, ...])
    except FileNotFoundError:
        if any(path.name != _STAGED for path in out.iterdir()):
            raise InputError(
                f"--out {out}: holds other files; give a new folder, or that of an earlier site"
            ) from None
        return {_STAGED}
    except (BadDataError, OSError) as error:
        raise InputError(f"{out / LIST}: lists no files of a site ({error}); name another folder") from error
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or path.as_posix() != name or ".." in path.parts or "\0" in name:
            raise InputError(f"{out / LIST}: {name!r:.80} is no file of a site; name another folder")
    return {*names, LIST, _STAGED}


def _check_free(out: Path, names: Iterable[str], earlier: set[str]) -> None:
    """Check that no file or link of others is in the place of a file, or of a folder of one."""
    for name in sorted(names):
        path = out / name
        others = [each for each in path.parents if each != out and out in each.parents]
        taken = [
            each for each in others if os.path.lexists(each) and (each.is_symlink() or not each.is_dir())
        ]
        if os.path.lexists(path) and not (name in earlier and _is_own(path, folder=name == _STAGED)):
            taken.append(path)
        if taken:
            raise InputError(
                f"--out: {taken[0]} is not of the site, which needs its place; move it away, or name another "
                "folder"
            )


def _is_own(path: Path, *, folder: bool = False) -> bool:
    return not path.is_symlink() and (path.is_dir() if folder else path.is_file())


def _swap(out: Path, files: Mapping[str, Callable[[], bytes]], earlier: set[str]) -> None:
    staged = out / _STAGED
    shutil.rmtree(staged, ignore_errors=True)  # as a kill leaves it
    try:
        for name, read in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            durable.write(staged / name, read())
        _write_list(out, {*files, *earlier})
        for name in files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: (name == _LAST, name)):
            (staged / name).replace(out / name)
        for name in earlier - {*files, LIST, _STAGED}:
            _remove(out, name)
        _write_list(out, files)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write_list(out: Path, names: Iterable[str]) -> None:
    text = json.dumps({"files": sorted({*names} - {LIST, _STAGED})}, indent=1) + "\n"
    staged = out / _STAGED / LIST  # a link in place of a partial file beside the list would be followed
    durable.write(staged, text.encode())
    staged.replace(out / LIST)


def _remove(out: Path, name: str) -> None:
    """Remove a file of an earlier write, and its folders that are empty then; never through a link."""
    path = out / name
    folders = [folder for folder in path.parents if out in folder.parents]
    if any(folder.is_symlink() for folder in folders) or not _is_own(path):
        return
    path.unlink()
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
