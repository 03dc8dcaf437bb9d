"""`sensemble web`: a bundle as a page that runs in a browser, for any server."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sensemble_runtime.bundle import files, manifest
from sensemble_runtime.bundle.manifest_file import parse_manifest, read_data
from sensemble_sensors import durable

from sensemble_apps.arguments import Folder, Positional, Trusting
from sensemble_apps.console.output import say
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError, NotInstalledError

TARGET = "onnx"
APP = Path(__file__).parents[2] / "web" / "app"
"""The built page; `npm run build` in `apps/web` writes it. No wheel holds it yet."""


@dataclass(frozen=True, kw_only=True)
class Web(Trusting):
    """Write a static site that runs a bundle in a browser or on a phone, offline once it was opened.

    Any server hosts it; a camera or microphone needs HTTPS, or localhost. What the sensors give stays in the
    browser.
    """

    bundle: Positional[Folder]
    """A bundle folder with artifacts for ONNX Runtime (`sensemble export RUN --target onnx`)."""
    out: Annotated[Path, "FOLDER"]
    """The folder of the site; a site that is there is replaced."""


def main(arguments: Web) -> None:
    """Verify the bundle, and copy the page and the bundle's files that it reads."""
    folder, out = arguments.bundle, arguments.out
    path = folder / manifest.FILE_NAME
    data = read_data(path, arguments.trust)
    contents = parse_manifest(data, path)
    if lacking := [m for m, entry in contents.modalities.items() if TARGET not in entry.artifacts]:
        raise InputError(
            f"{folder}: not exported for browsers: {words(lacking)}; run `sensemble export RUN --target onnx`"
        )
    if not (APP / "index.html").exists():
        raise NotInstalledError("the page is not built: in apps/web, `npm install` and `npm run build`")
    artifacts = [entry.artifacts[TARGET] for entry in contents.modalities.values()]
    needed = [contents.head, *(file for artifact in artifacts for file in artifact.files)]
    needed += [contents.tokenizer] if contents.tokenizer else []
    for file in needed:
        files.check_file(folder, file)
    if out.exists() and any(out.iterdir()) and not (out / "app.webmanifest").exists():
        raise InputError(f"--out {out}: holds other files; give a new folder, or that of an earlier site")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(APP, out)
    (out / "bundle").mkdir()
    durable.write(out / "bundle" / manifest.FILE_NAME, data)
    for file in needed:
        copy = out / "bundle" / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(files.read_file(folder, file))
    say(f"{out}: try it with `python -m http.server -d {out}` and http://localhost:8000")
