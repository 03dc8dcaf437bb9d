"""Files of heartbeats as one Ibis table: wherever fsspec finds them, on DuckDB or on a Spark cluster."""

import glob
import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from urllib.parse import urlsplit

import duckdb
import fsspec
import ibis
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from pyarrow import ArrowException, parquet
from pyarrow.types import is_timestamp
from sensemble_sensors.lines import opened as open_regular

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.tables.heartbeats import schema

_PATIENCE = 10.0  # seconds in which a web server must answer
_AT_ONCE = 16  # files whose columns are read at once; elsewhere, most of the time is waiting


@dataclass(frozen=True)
class _File:
    """A file by its name for the user, a path or URL, and by its path in a file system of `fsspec`."""

    name: str
    system: fsspec.AbstractFileSystem
    path: str

    @property
    def local(self) -> bool:
        return isinstance(self.system, LocalFileSystem)


@contextmanager
def opened(sources: Sequence[str], engine: str | None = None) -> Iterator[ibis.Table]:
    """Yield the heartbeats of files, of folders and what is below them, or of URLs of either.

    An `hour` is in seconds since 1970. Files of equal bytes count once; a remark says how many repeat others.

    Args:
        sources: paths, and URLs that `fsspec` reads, `s3://`, `gs://`, `https://`. A `*` stands for any
            part of a name, of files and of folders.
        engine: the master of a Spark cluster, `spark://HOST:PORT`, each of whose machines reads the files by
            the same names. Without, it is DuckDB in this process, and files elsewhere are copied first, for
            as long as the block lasts.

    Raises:
        InputError: if a file cannot be read or holds no heartbeats, also while the block asks for rows; or if
            the cluster cannot be had.
    """
    files = [*chain.from_iterable(map(_found, sources))]
    with TemporaryDirectory(prefix="sensemble-") as folder:
        if not engine:
            files = [*_copied(files, folder)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            files = _once(files, pool)
            for _ in pool.map(_check, files):
                pass
        with _on_spark(files, engine) if engine else _on_duckdb(files) as table:
            yield table


def _found(source: str) -> list[_File]:
    with _reading(source):
        system, path = url_to_fs(source, **_options(source))
        named = system.glob(re.sub(r"[\[?]", r"[\g<0>]", path)) if "*" in path else [path]
        paths = []
        for one in named:
            if urlsplit(one).path.endswith(".parquet"):
                paths.append(one)
            else:
                paths += [
                    file for file in system.find(one, on_error=_raise_timeout) if file.endswith(".parquet")
                ]
    if not paths:
        raise InputError(f"{source}: no *.parquet in it; `sensemble history RECORD --heartbeats FILE`")
    before = source.partition("://")[0] + "://" if "://" in source else ""
    return [_File(path if "://" in path else before + path, system, path) for path in sorted(paths)]


def _options(source: str) -> dict[str, Any]:
    """Return the options of a file system: a web server that is silent is given up early."""
    if urlsplit(source).scheme not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(sock_connect=_PATIENCE, sock_read=_PATIENCE)}}


def _raise_timeout(error: Exception) -> None:
    if isinstance(error, TimeoutError):  # other folders that cannot be read are left out
        raise error


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except ArrowException as error:
        raise InputError(f"{name}: no Parquet file; `sensemble history RECORD --heartbeats FILE`") from error
    except Exception as error:  # any that the packages of object stores raise
        raise InputError(f"{name}: cannot be read: {str(error) or type(error).__name__}") from error


def _copied(files: Sequence[_File], folder: str) -> Iterator[_File]:
    """Yield the files, and of those that are elsewhere copies in a folder."""
    system = LocalFileSystem()
    for place, file in enumerate(files):
        copy = f"{folder}/{place}.parquet"
        if not file.local:
            with _reading(file.name):
                file.system.get_file(file.path, copy)
        yield file if file.local else _File(file.name, system, copy)


def _once(files: Sequence[_File], pool: ThreadPoolExecutor) -> list[_File]:
    """Return the files but those that repeat an earlier one: named twice, linked or copied."""
    sizes: dict[int, list[_File]] = {}
    for file, size in zip(files, pool.map(_size, files), strict=True):
        sizes.setdefault(size, []).append(file)
    alike = [file for some in sizes.values() if len(some) > 1 for file in some]
    first: dict[object, _File] = {}
    for file, digest in zip(alike, pool.map(_digest, alike), strict=True):
        first.setdefault(digest, file)
    kept = [some[0] for some in sizes.values() if len(some) == 1] + [*first.values()]
    if len(kept) < len(files):
        remark(f"sensemble: {len(files) - len(kept)} of {len(files)} files repeat others, and count once")
    return kept


def _size(file: _File) -> int:
    with _reading(file.name):
        return int(file.system.size(file.path) or 0)


def _digest(file: _File) -> bytes:
    with _read(file) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1 << 20):
            digest.update(piece)
        return digest.digest()


@contextmanager
def _read(file: _File) -> Iterator[IO[bytes]]:
    with (
        _reading(file.name),
        open_regular(Path(file.path)) if file.local else file.system.open(file.path) as stream,
    ):
        yield stream


def _check(file: _File) -> None:
    with _read(file) as stream:
        found, wanted = parquet.read_schema(stream), schema()
    if {*found.names} != {*wanted.names}:
        raise InputError(
            f"{file.name}: holds no heartbeats; its columns must be {', '.join(sorted(wanted.names))}"
        )
    for name in wanted.names:
        types = found.field(name).type, wanted.field(name).type
        if types[0] != types[1] and not all(map(is_timestamp, types)):  # a file has milliseconds
            raise InputError(f"{file.name}: holds no heartbeats; {name} must be {types[1]}, not {types[0]}")


@contextmanager
def _on_duckdb(files: Sequence[_File]) -> Iterator[ibis.Table]:
    connection = ibis.duckdb.connect()
    # Else it takes the bounds that a file states for true, and leaves out the checks of its rows.
    connection.con.execute("SET disabled_optimizers = 'statistics_propagation'")
    try:
        rows = connection.con.read_parquet([glob.escape(file.path) for file in files])
        # A cast, which Ibis would ask for, goes through ICU and takes half of the time.
        rows.project("* REPLACE (epoch_ms(hour) // 1000 AS hour)").create_view("heartbeats")
        yield connection.table("heartbeats")
    except duckdb.Error as error:
        raise InputError(f"heartbeats: DuckDB cannot read them: {error}") from error
    finally:
        connection.disconnect()


@contextmanager
def _on_spark(files: Sequence[_File], master: str) -> Iterator[ibis.Table]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import unix_timestamp

    options = {
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",  # nobody asked for a server
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.parquet.filterPushdown": "false",  # the bounds that a file states may be false
    }
    names = [f"file://{file.path}" if file.local else file.name for file in files]
    names = [re.sub(r"[][{}*?\\]", r"\\\g<0>", name) for name in names]  # Hadoop takes them for patterns
    session = None
    try:
        builder = SparkSession.builder.master(master).appName("sensemble fleet")
        session = builder.config(map=options).getOrCreate()
        connection = ibis.pyspark.connect(session)
        rows = session.read.parquet(*names)
        rows.withColumn("hour", unix_timestamp("hour")).createOrReplaceTempView("heartbeats")
        yield connection.table("heartbeats")
    except (PySparkException, Py4JError) as error:
        text = " ".join(str(error).splitlines()[:2])  # Java's stack follows
        raise InputError(f"--engine {master}: Spark failed: {text}") from error
    finally:
        if session is not None:
            session.stop()
