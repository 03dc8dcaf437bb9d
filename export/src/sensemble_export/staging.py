"""The place of a bundle: where a new one is made beside it, and how it is put there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from safetensors import SafetensorError
from sensemble_sensors import durable

from sensemble_export.errors import ExportError


def held_out_of(bundle: Path) -> Path:
    """Return the folder beside `bundle` with the windows that its parity is measured on; it need not ship."""
    return bundle.with_name(f"{bundle.name}.held_out")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Word what the disk refuses while the block runs."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # the latter does not say more
        reason = error.strerror if isinstance(error, OSError) else error
        raise ExportError(
            f"{out}: cannot be written ({reason}); make room there, or export where you may write"
        ) from error


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out` that no other export uses or used; it goes when the block ends.

    One that was killed leaves its folder, perhaps with the previous bundle in it, to the next.
    """
    place = out.with_name(f".{out.name}.export")
    place.mkdir(exist_ok=True)
    try:
        ours = durable.lock(place / "lock")
    except BlockingIOError as error:
        raise ExportError(f"{out}: another export is writing it; start this one when it has ended") from error
    with ours:
        for left in [path for path in place.iterdir() if path.is_dir()]:
            put_back(left, out)
            shutil.rmtree(left, ignore_errors=True)
        try:
            yield Path(mkdtemp(dir=place))  # under a name that nothing of a killed one knows
        finally:
            shutil.rmtree(place)


def replace(folder: Path, out: Path) -> None:
    """Put `bundle` and `held_out` in `folder` in their places; what was there goes into `previous`.

    As long as this takes, `out` is not there: it goes first and comes last.
    """
    places = {"bundle": out, "held_out": held_out_of(out)}
    previous = folder / "previous"
    previous.mkdir()
    for name, place in places.items():
        if place.exists():
            place.rename(previous / name)
    for name, place in reversed(places.items()):
        (folder / name).rename(place)


def put_back(folder: Path, out: Path) -> None:
    """Undo what `replace` began in `folder` and did not end."""
    previous = folder / "previous"
    if out.exists() or not (previous / "bundle").exists():
        return
    if (previous / "held_out").exists():
        shutil.rmtree(held_out_of(out), ignore_errors=True)
        (previous / "held_out").rename(held_out_of(out))
    (previous / "bundle").rename(out)
