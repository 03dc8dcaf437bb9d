"""The staging folder of a bundle: exports work there, and rename the result into its place."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from sensemble_sensors import durable

from sensemble_export.errors import ExportError


def held_out_folder(bundle: Path) -> Path:
    """Return the folder next to `bundle` with the windows for measuring parity; it need not ship."""
    return bundle.with_name(f"held-out-windows-of-{bundle.name}")


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder on the same disk as `out`, and remove it when the block ends.

    Another export of `out` meanwhile raises ExportError. An export that was killed leaves its folder, perhaps
    with the previous bundle in it; the next one restores the bundle and removes the folder.
    """
    place = out.with_name(f".{out.name}.export")
    place.mkdir(exist_ok=True)
    try:
        lock = durable.lock(place / "lock")
    except BlockingIOError as error:
        raise ExportError(f"{out}: another export is writing it; start this one when it has ended") from error
    with lock:
        for left in [path for path in place.iterdir() if path.is_dir()]:
            restore(left, out)
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield Path(mkdtemp(dir=place))  # a new name: workers of a killed export may still write
        finally:
            shutil.rmtree(place)


def replace(folder: Path, out: Path) -> None:
    """Move `bundle` and `held_out` into place, `out` last; what was there moves into `previous`."""
    places = {"bundle": out, "held_out": held_out_folder(out)}
    previous = folder / "previous"
    previous.mkdir()
    for name, place in places.items():
        if place.exists():
            place.rename(previous / name)
    for name, place in reversed(places.items()):
        (folder / name).rename(place)


def restore(folder: Path, out: Path) -> None:
    """Undo what `replace` began in `folder` and did not complete."""
    previous = folder / "previous"
    if out.exists() or not (previous / "bundle").exists():
        return
    if (previous / "held_out").exists():
        shutil.rmtree(held_out_folder(out), ignore_errors=True)
        (previous / "held_out").rename(held_out_folder(out))
    (previous / "bundle").rename(out)
