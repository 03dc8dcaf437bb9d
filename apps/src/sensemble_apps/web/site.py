"""A static site: the page in TypeScript (`apps/web`), and the files of a bundle that it reads, compressed."""

import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sensemble_runtime import subsets
from sensemble_runtime.bundle import files, manifest, signature
from sensemble_runtime.bundle.manifest import Manifest, Provenance
from sensemble_runtime.bundle.manifest_file import parse_manifest, read_data
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors.kinds.registry import kind_of

from sensemble_apps.console.kinds import DISPLAYS
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError
from sensemble_apps.tables.run_folder import BUNDLE, MODELS
from sensemble_apps.web import site_folder

TARGET = "onnx"
_STDERR = 2  # of a command whose tables are no result of ours
RECORD = "record.sqlite"
APP = Path(__file__).with_name("app")
"""The built page; `npm run build` in `apps/web` writes it."""

Files = Mapping[str, Callable[[], bytes]]
"""By the path of a file in a site, the function that returns its bytes."""


def bundle_files(bundle: Path, trust: Path | None = None) -> Files:
    """Verify a bundle, and return the files that a page reads beside its own: the bundle's, an empty record.

    A bundle in the folder of its run gets encoders for browsers first, if it has none. Each file is verified
    again when it is read.

    Raises:
        InputError: the bundle has no artifacts for browsers, or a sensor that no browser has.
        BundleError: the bundle is damaged, or was not signed with the private key to `trust`.
    """
    path = bundle / manifest.FILE_NAME
    data = read_data(path, trust)
    contents = parse_manifest(data, path)
    for m, entry in contents.modalities.items():
        kind = entry.spec.kind
        if kind not in DISPLAYS or entry.spec.dtype != kind_of(entry.spec).dtype:
            form = f"{kind} of one channel" if kind in DISPLAYS else f"the kind {kind}"
            raise InputError(
                f"{bundle}: {m}: {form}, which no browser gives; export a run without that sensor"
            )
    if _lacking(contents) and trust is None:
        _add_encoders(bundle, contents.provenance)
        data = read_data(path, trust)
        contents = parse_manifest(data, path)
    if lacking := _lacking(contents):
        raise InputError(
            f"{bundle}: not exported for browsers: {words(lacking)}; run `sensemble export RUN --target onnx`"
        )
    artifacts = [entry.artifacts[TARGET] for entry in contents.modalities.values()]
    needed = [contents.head, *(file for artifact in artifacts for file in artifact.files)]
    needed += [contents.tokenizer] if contents.tokenizer else []
    for file in needed:
        files.check_file(bundle, file)
    return {
        RECORD: _empty_record,
        f"bundle/{manifest.FILE_NAME}": lambda: data,
        **{f"bundle/{file.path}": partial(files.read_file, bundle, file) for file in needed},
    }


def _lacking(contents: Manifest) -> list[str]:
    return [m for m, entry in contents.modalities.items() if TARGET not in entry.artifacts]


def _add_encoders(bundle: Path, origin: Provenance) -> None:
    """Export for browsers, too, if an unsigned bundle is in the folder of its run; what fails is said."""
    run, train = bundle.resolve().parent, subsets.name(origin.train_modalities)
    is_own = bundle.resolve() == run / BUNDLE and (run / MODELS / origin.method / train).is_dir()
    if is_own and not (bundle / signature.FILE_NAME).exists():
        remark(f"{bundle}: encoders for browsers are added to it, once")
        asked = ["--method", origin.method, "--train-modalities", train, "--target", TARGET, "--only-add"]
        command = [sys.executable, "-P", "-m", "sensemble_apps", "export", str(run), *asked]
        subprocess.run(command, stdout=_STDERR, check=False)


def check_place(out: Path) -> None:
    """Check that a site can be written into a folder, before it is computed; raise as `write_site`."""
    site_folder.check(out, (APP,))


def site_files(bundle: Path, trust: Path | None = None) -> Files:
    """Return the page and the files of a bundle, by path in a site; raise as `bundle_files`.

    The bundle's files but the manifest are compressed, for few servers compress a model: the page
    decompresses them, and then hashes them.
    """
    kept = (RECORD, f"bundle/{manifest.FILE_NAME}")
    page = {
        path.relative_to(APP).as_posix(): path.read_bytes for path in sorted(APP.rglob("*")) if path.is_file()
    }
    beside = bundle_files(bundle, trust).items()
    return {**page, **{name: read if name in kept else partial(_compressed, read) for name, read in beside}}


def _compressed(read: Callable[[], bytes]) -> bytes:
    return gzip.compress(read(), 6, mtime=0)


def write_site(bundle: Path, out: Path, trust: Path | None = None) -> None:
    """Write the page and the files of a bundle into the folder `out`; raise as `bundle_files`, `replace`."""
    site_folder.check(out, (bundle, APP))
    site_folder.replace(out, site_files(bundle, trust), apart=(bundle, APP))


def _empty_record() -> bytes:
    """Return a record that the page fills: the runtime alone knows its tables."""
    with TemporaryDirectory() as folder:
        path = Path(folder, RECORD)
        RecordWriter(path).close()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()
