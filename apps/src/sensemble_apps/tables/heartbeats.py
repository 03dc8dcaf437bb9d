"""Heartbeats: sums of a device's sessions by hour and live set, without data, labels or people.

The columns of a Parquet file are those of `Heartbeat`; sums of rows are rows, so files of many devices merge.
"""

import io
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from sensemble_sensors import durable
from sensemble_sensors.clock import REAL, Clock, sleep

from sensemble_apps.console.output import refused, remark
from sensemble_apps.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

LATENCIES = tuple(float(2**power) for power in range(11))  # ms, between the 12 counts of latencies
CONFIDENCES = 10  # counts of confidences, each a tenth wide
_MAPS = ("faults", "without", "asleep")  # columns
DAYS = 92  # which a folder keeps
_PATIENCE, _LOOK = 0.5, 0.02  # seconds to wait for the lock, which others hold briefly, and between tries
_MOST = 1 << 26  # bytes of a file that are read; one of a day has thousands


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """An hour of a device with one bundle and one live set.

    Attributes:
        hour: its start.
        device: the name that the fleet gives it.
        model: of the machine.
        bundle: the SHA-256 of the manifest.
        live: joined with `+`; empty while no sensor was live.
        seconds: how long the set was live.
        answers, unsure: the numbers of answers, and of those without a label.
        faults: how often each fault began, such as `video lost`.
        without: how many of the answers lacked a sensor after such a fault.
        latencies: the numbers of answers by the time that their encoders took: below 1 ms, 2 ms, ..., more.
        confidences: the numbers of answers by confidence, in tenths.
        moments: how many classes began.
        asleep: by modality, the seconds in which its sensor slept.
    """

    hour: datetime
    device: str
    model: str
    bundle: str
    live: str
    seconds: float = 0.0
    answers: int = 0
    unsure: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    without: Mapping[str, int] = field(default_factory=dict)
    latencies: Sequence[int] = (0,) * (len(LATENCIES) + 1)
    confidences: Sequence[int] = (0,) * CONFIDENCES
    moments: int = 0
    asleep: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[datetime, str, str, str, str]:
        """The fields in which rows that add up are equal."""
        return self.hour, self.device, self.model, self.bundle, self.live

    def __add__(self, other: "Heartbeat") -> "Heartbeat":
        """Return the sum of two rows of one key."""
        return replace(
            self,
            seconds=self.seconds + other.seconds,
            answers=self.answers + other.answers,
            unsure=self.unsure + other.unsure,
            faults=dict(Counter(self.faults) + Counter(other.faults)),
            without=dict(Counter(self.without) + Counter(other.without)),
            latencies=np.add(self.latencies, other.latencies).tolist(),
            confidences=np.add(self.confidences, other.confidences).tolist(),
            moments=self.moments + other.moments,
            asleep={
                m: self.asleep.get(m, 0.0) + other.asleep.get(m, 0.0) for m in {**self.asleep, **other.asleep}
            },
        )


def merged(rows: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Return one row of each key, in order."""
    found: dict[Any, Heartbeat] = {}
    for row in rows:
        found[row.key] = found[row.key] + row if row.key in found else row
    return [found[key] for key in sorted(found)]


def schema() -> "pa.Schema":
    """Return the columns of a file."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    return pa.schema(
        [
            ("hour", pa.timestamp("s", "UTC")),
            *((name, text) for name in ("device", "model", "bundle", "live")),
            ("seconds", pa.float64()),
            *((name, number) for name in ("answers", "unsure")),
            *((name, pa.map_(text, number)) for name in ("faults", "without")),
            *((name, pa.list_(number)) for name in ("latencies", "confidences")),
            ("moments", number),
            ("asleep", pa.map_(text, pa.float64())),
        ]
    )


def write_heartbeats(path: Path, rows: Iterable[Heartbeat]) -> None:
    """Write a private Parquet file, with the folders above it; one that exists is replaced as a whole.

    Raises InputError.
    """
    import pyarrow as pa
    from pyarrow import parquet

    flat = [asdict(row) | {name: [*getattr(row, name).items()] for name in _MAPS} for row in rows]
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(flat, schema()), out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, out.getvalue(), private=True)
    except OSError as error:
        raise refused(error, path) or error from error


def parsed(data: bytes) -> list[Heartbeat]:
    """Return the rows of a file's bytes; ValueError if it holds none of this form."""
    from pyarrow import ArrowException, BufferReader, parquet

    try:
        table = parquet.read_table(BufferReader(data))
    except (ArrowException, OSError) as error:  # some damage raises OSError
        raise ValueError("no Parquet file") from error
    try:
        table = table.cast(schema())  # a file has milliseconds
    except (ArrowException, ValueError) as error:
        raise ValueError("holds no heartbeats of this version") from error
    return [Heartbeat(**row | {name: dict(row[name]) for name in _MAPS}) for row in table.to_pylist()]


class HeldError(InputError):
    """Another process holds the lock of a folder of heartbeats."""


def add(folder: Path, rows: list[Heartbeat], clock: Clock = REAL) -> None:
    """Move rows into the files of their days in a folder, of which the oldest are removed.

    Any number of processes may add to one folder. A file that holds no heartbeats is set aside. Raises
    InputError and OSError, of the first day that cannot be written; `rows` then keeps those of such days.
    HeldError if another process holds the folder's lock for half a second.
    """
    failed: InputError | OSError | None = None
    try:
        durable.create_folder(folder)
        durable.create(folder / ".lock")
        _check_file(folder / ".lock")
        with _locked(folder / ".lock", clock):
            for day, of_day in _days(rows):
                path = folder / f"{day}.parquet"
                try:
                    write_heartbeats(path, merged([*_kept(path), *of_day]))
                except (InputError, OSError) as error:
                    failed = failed or error
                else:
                    rows[:] = [row for row in rows if row.hour.date() != day]
            written = sorted(folder.glob("????-??-??*.parquet"))
            kept = sorted({path.name[:10] for path in written})[-DAYS:]
            for old in written:
                with suppress(OSError):  # what is written is written
                    if old.name[:10] not in kept:
                        old.unlink()
        if failed:
            raise failed
    except OSError as error:
        raise refused(error) or error from error


def add_apart(folder: Path, rows: Sequence[Heartbeat]) -> None:
    """Write rows to new files beside those of their days, which needs no lock. Raises InputError."""
    for day, of_day in _days(rows):
        write_heartbeats(folder / f"{day}-{secrets.token_hex(4)}.parquet", merged(of_day))


def _days(rows: Sequence[Heartbeat]) -> list[tuple[date, list[Heartbeat]]]:
    days = sorted({row.hour.date() for row in rows})
    return [(day, [row for row in rows if row.hour.date() == day]) for day in days]


def _locked(path: Path, clock: Clock) -> IO[bytes]:
    until = clock.now() + _PATIENCE
    while True:
        try:
            return durable.lock(path)
        except BlockingIOError as error:
            if clock.now() >= until:
                raise HeldError(f"{path}: another process holds it; `fuser {path}` names that") from error
        sleep(clock, _LOOK)


def _kept(path: Path) -> list[Heartbeat]:
    """Return the rows of a file, if there is one; set it aside if it holds none of this form."""
    if not path.exists():
        return []
    _check_file(path)
    try:
        with path.open("rb") as file:
            return parsed(file.read(_MOST))
    except ValueError as error:
        damaged = path.with_name(path.name + ".damaged")
        path.replace(damaged)
        remark(f"sensemble: {path}: {error}; set aside as {damaged.name}")
        return []


def _check_file(path: Path) -> None:
    if not path.is_file():  # a pipe would wait for ever
        raise InputError(f"{path}: is not a file; move it away")
