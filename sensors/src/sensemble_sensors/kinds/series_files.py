"""Series in files: CSV with a header, NumPy and Parquet, read within bounds."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.resampling import LARGEST, Rows, Times
from sensemble_sensors.lines import opened
from sensemble_sensors.spec import MAX_CHANNELS

if TYPE_CHECKING:
    import _csv

# The optional column with the seconds from the beginning of the file, or of the media beside it.
TIME = "time"
_MOST = 1 << 27  # bytes of a file, and of its numbers as float32; reading it takes four times as much
_LATEST = 1e11  # seconds; since 1970, they are milliseconds beyond it
_PIECE = 1 << 16  # rows of Parquet that are read at a time


def read_series(path: Path, channels: Sequence[str] = ()) -> tuple[Times | None, Rows]:
    """Return the times of a file's rows, None without a column of times, and the rows, float32 [n, C].

    CSV and Parquet have the `channels` as columns, in any order; without `channels`, all columns count. NumPy
    has an array [n, C] or, of one channel, [n]. Raises BadDataError, which names file and reason.
    """
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size, tuple(channels))
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, SyntaxError, MemoryError) as error:
        raise BadDataError(f"{path}: {error}") from error


@lru_cache(8)  # many examples may lie in one file
def _read(path: Path, changed: int, size: int, channels: tuple[str, ...]) -> tuple[Times | None, Rows]:
    del changed  # it is part of the key
    if size > _MOST:
        raise ValueError(f"is larger than {_MOST >> 20} MiB; divide it")
    with opened(path) as file:
        data = file.read(size)
    if data.startswith(b"\x93NUMPY"):
        times, rows = None, _numbers(data, len(channels))
    elif data.startswith(b"PAR1"):
        times, rows = _parquet(data, channels)
    else:
        times, rows = _comma_separated(data, channels)
    bad = np.flatnonzero(~(np.abs(rows) <= LARGEST).all(axis=1))
    if len(bad):
        odd = next(value for value in rows[bad[0]].tolist() if not abs(value) <= LARGEST)
        raise ValueError(
            f"{_place(data, bad[0])} has {odd:g}, and numbers are finite and at most {LARGEST:g}; mend the "
            "row, or take another unit"
        )
    if not len(rows):
        raise ValueError("has no rows")
    if times is not None:
        before = np.concatenate([[-np.inf], times[:-1]])
        wrong = np.flatnonzero(~((np.abs(times) <= _LATEST) & (times > before)))
        if len(wrong):
            raise ValueError(
                f"{TIME}: must be seconds that rise from row to row, at most {_LATEST:g}; "
                f"{_place(data, wrong[0])} has {times[wrong[0]]:.15g}"
            )
    rows.flags.writeable = False
    return times, rows


def _place(data: bytes, row: int) -> str:
    """Write where a row of a file stands, from 0: in CSV, its line as an editor counts."""
    if data.startswith((b"\x93NUMPY", b"PAR1")):
        return f"row {row + 1}"
    line, _ = next(islice(_widths(data.partition(b"\n")[2]), row, None))
    return f"line {line}"


def _numbers(data: bytes, count: int) -> Rows:
    file = io.BytesIO(data)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, _, form = read[np.lib.format.read_magic(file)[0]](file)
    if form.itemsize * math.prod(shape) > len(data):  # NumPy would ask for the memory first
        raise ValueError("is cut short")
    _check_size(math.prod(shape))
    if not math.prod(shape):  # its header may state any number of rows of no channel
        raise ValueError("has no rows")
    if len(shape) == 1 and count <= 1:
        shape = (*shape, 1)
    if form.kind not in "iuf" or len(shape) != 2 or shape[1] != (count or shape[1]):
        raise ValueError(f"is {form} {list(shape)}, not numbers [n, {count or 'C'}]")
    rows: Rows = np.load(io.BytesIO(data), allow_pickle=False).reshape(shape).astype(np.float32)
    return rows


def _comma_separated(data: bytes, channels: Sequence[str]) -> tuple[Times | None, Rows]:
    head, _, rest = data.partition(b"\n")
    try:
        names = [name.strip() for name in next(csv.reader([head.decode("utf-8-sig", "replace")]), [])]
    except csv.Error as error:
        raise ValueError(f"its first line is not a CSV header ({error})") from error
    if b"," not in head and (other := next((mark for mark in (b";", b"\t") if mark in head), None)):
        raise ValueError(f"separates its columns with {other.decode()!r}; save it with commas")
    places = _places(names, channels)
    if not rest.strip():
        raise ValueError("has no rows")
    _check_size(rest.count(b",") + rest.count(b"\n"))
    # Decimal commas and names of rows would each be a column more, and move the others.
    if longer := next((line for line, width in _widths(rest) if width > len(names)), None):
        raise ValueError(
            f"line {longer} has more cells than the header has names; name each column, and write 0.5, with "
            "a point, for 0,5"
        )
    try:
        table = np.loadtxt(
            io.BytesIO(rest), np.float64, delimiter=",", comments=None, ndmin=2, usecols=places, quotechar='"'
        )
    except ValueError as error:
        with suppress(csv.Error):  # of a cell that is too long
            raise ValueError(_bad_cell(rest, names, places) or error) from error
        raise
    return _divided(table.reshape(-1, len(places)), names)


def _widths(rest: bytes) -> Iterator[tuple[int, int]]:
    """Yield each row's line in the file, from 1, and its number of cells, up to the last that is not empty.

    Raises ValueError for a lone quote.
    """
    if b'"' not in rest:  # a tenth of the time
        lines = enumerate(rest.splitlines(), 2)
        yield from ((number, line.rstrip(b", ").count(b",") + 1) for number, line in lines if line)
        return
    rows = _cells(rest)
    try:
        for cells in filter(None, rows):
            width = max((i for i, cell in enumerate(cells, 1) if cell.strip()), default=0)
            yield rows.line_num + 1, width
    except csv.Error as error:  # NumPy would take all up to the next quote for one text
        raise ValueError(f"line {rows.line_num + 1} cannot be read ({error}); mend its quotes") from error


_BLANK = " \t\r\n"  # what NumPy allows around a number


def _cells(rest: bytes) -> "_csv.Reader":
    return csv.reader((line.decode("utf-8", "replace") for line in io.BytesIO(rest)), strict=True)


def _bad_cell(rest: bytes, names: Sequence[str], places: Sequence[int]) -> str | None:
    """Return where the first cell stands that is no number; NumPy counts rows from 0 and names no column."""
    rows = _cells(rest)
    for cells in filter(None, rows):
        for place in places:
            cell = cells[place].strip(_BLANK) if place < len(cells) else ""
            try:
                float(cell.encode().replace(b"_", b"x"))  # NumPy reads neither 1_0 nor Arabic digits
            except ValueError:
                wanted = "seconds" if names[place] == TIME else "a number"
                where = f"line {rows.line_num + 1} has {cell[:40]!r} in column {names[place]}"
                return f"{where}; write {wanted}, or delete the row"
    return None


def _parquet(data: bytes, channels: Sequence[str]) -> tuple[Times | None, Rows]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ValueError(
            "is Parquet, which needs pyarrow: pip install 'sensemble-sensors[parquet]'"
        ) from error
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        every = file.schema_arrow.names
        names = [every[place] for place in _places(every, channels)]
        _check_size(file.metadata.num_rows * len(names))  # a few bytes may stand for any number of equal rows
        for name in names:
            kind = file.schema_arrow.field(name).type
            # A few bytes may stand for any number of long texts.
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise ValueError(f"{name}: is {kind}, not a number{' of seconds' if name == TIME else ''}")
        parts, count = [np.zeros((0, len(names)))], 0
        # By pieces, because the pages may hold more than the file states.
        for batch in file.iter_batches(_PIECE, columns=names):
            count += batch.num_rows * len(names)
            _check_size(count)
            parts.append(np.stack([np.asarray(batch[name], np.float64) for name in names], axis=1))
    except (pa.ArrowException, OSError, TypeError) as error:  # OSError of damaged pages
        raise ValueError(f"cannot be read as Parquet ({error}); write it again") from error
    return _divided(np.concatenate(parts), names)


def _check_size(numbers: int) -> None:
    if 4 * numbers > _MOST:
        raise ValueError(f"holds more than {_MOST >> 22} million numbers; divide it")


def _places(names: Sequence[str], channels: Sequence[str]) -> list[int]:
    """Return the columns of the channels, and last that of the times if there is one."""
    channels = channels or [name for name in names if name != TIME]
    if len(channels) > MAX_CHANNELS:
        raise ValueError(f"has {len(channels)} columns; a series has {MAX_CHANNELS} channels at most")
    count = Counter(names)
    if missing := next((name for name in channels if not count[name]), None):
        coded = "; save it as UTF-8" if any("\ufffd" in name for name in names) else ""
        raise ValueError(f"has no column {missing}; it has {', '.join(names)[:200]}{coded}")
    if not count[TIME] and (
        other := next((one for one in names if one.lower() == TIME and one not in channels), None)
    ):
        raise ValueError(f"has a column {other}; call it {TIME}, or it is not used")
    if twice := next((name for name in (*channels, TIME) if count[name] > 1), None):
        raise ValueError(f"has {count[twice]} columns {twice}; rename or delete all but one")
    return [names.index(name) for name in (*channels, *([TIME] if TIME in count else []))]


def _divided(table: NDArray[np.float64], names: Sequence[str]) -> tuple[Times | None, Rows]:
    with np.errstate(over="ignore"):  # infinite then, and refused
        rows = table.astype(np.float32)
    return (table[:, -1].copy(), rows[:, :-1]) if TIME in names else (None, rows)


def write_series(times: Times, rows: Rows, channels: Sequence[str]) -> bytes:
    """Return rows float32 [n, C] and their times as CSV; nine digits keep every bit of a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((TIME, *channels))
    for time, row in zip(times.tolist(), rows, strict=True):
        writer.writerow((f"{time:.6f}", *(f"{value:.9g}" for value in row.tolist())))
    return out.getvalue().encode()
