"""A static site: the page in TypeScript (`apps/web`), and the files of a bundle that it reads."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sensemble_runtime.bundle import files, manifest
from sensemble_runtime.bundle.manifest_file import parse_manifest, read_data
from sensemble_runtime.record.writer import Records
from sensemble_sensors import durable
from sensemble_sensors.kinds.registry import kind_of

from sensemble_apps.console.kinds import DISPLAYS
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError, NotInstalledError

TARGET = "onnx"
RECORD = "record.sqlite"
APP = Path(__file__).with_name("app")
"""The built page; `npm run build` in `apps/web` writes it. No wheel holds it yet."""


def write_site(bundle: Path, out: Path, trust: Path | None = None) -> None:
    """Verify a bundle, and copy the page and the bundle's files that it reads into the folder `out`.

    Raises:
        InputError: the bundle has no artifacts for browsers, or a sensor that no browser has, or `out` holds
            other files.
        NotInstalledError: the page is not built.
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
    if lacking := [m for m, entry in contents.modalities.items() if TARGET not in entry.artifacts]:
        raise InputError(
            f"{bundle}: not exported for browsers: {words(lacking)}; run `sensemble export RUN --target onnx`"
        )
    if not (APP / "index.html").exists():
        raise NotInstalledError("the page is not built: in apps/web, `npm install` and `npm run build`")
    artifacts = [entry.artifacts[TARGET] for entry in contents.modalities.values()]
    needed = [contents.head, *(file for artifact in artifacts for file in artifact.files)]
    needed += [contents.tokenizer] if contents.tokenizer else []
    for file in needed:
        files.check_file(bundle, file)
    if out.exists() and any(out.iterdir()) and not (out / "app.webmanifest").exists():
        raise InputError(f"--out {out}: holds other files; give a new folder, or that of an earlier site")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(APP, out)
    (out / "bundle").mkdir()
    durable.write(out / "bundle" / manifest.FILE_NAME, data)
    # An empty record, which the page fills: the runtime alone knows its tables.
    Records(out / RECORD).close()
    with closing(sqlite3.connect(out / RECORD)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    for file in needed:
        copy = out / "bundle" / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(files.read_file(bundle, file))
