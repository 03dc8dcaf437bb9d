"""Delivery: a model onto phones of the local network, and files to download."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.errors import BundleError
from sensemble_sensors import durable

from sensemble_apps.console.output import refused
from sensemble_apps.errors import InputError
from sensemble_apps.studio.project import ProjectRun
from sensemble_apps.web.handlers import EVERYWHERE, PHONE_POLICY, phone_routes
from sensemble_apps.web.security import admit
from sensemble_apps.web.server import listen, running_server
from sensemble_apps.web.site import TARGET, Files, site_files

_PART = 1 << 20  # bytes


def is_for_phones(run: ProjectRun) -> bool:
    """Return whether browsers can run a model."""
    try:
        return run.bundle is not None and all(
            TARGET in entry.artifacts for entry in read_manifest(run.bundle / FILE_NAME).modalities.values()
        )
    except BundleError:  # such as one that the next fit has just replaced
        return False


class Phones:
    """Serves one model to phones of the local network until it is closed.

    Phones get a copy in `folder`: the instant model's own bundle is replaced with each take. Raises
    InputError if it cannot be copied, and as `bundle_files`.
    """

    def __init__(self, run: ProjectRun, folder: Path) -> None:
        self.run = run
        try:
            shutil.rmtree(folder, ignore_errors=True)
            durable.create_folder(folder)
            copy = Path(shutil.copytree(run.trained(), folder / "bundle"))
        except OSError as error:
            raise refused(error, folder) or InputError(f"{folder}: cannot be written ({error})") from error
        routes, listening = phone_routes(copy), listen(EVERYWHERE, 0)
        self._admitted = admit(EVERYWHERE, listening.getsockname()[1])
        self._serving = ExitStack()
        access, tls = self._admitted.access, self._admitted.tls
        self._serving.enter_context(running_server(listening, access, routes, 1, tls, PHONE_POLICY))

    def describe(self) -> dict[str, Any]:
        """Return the address for JSON, and its QR code as a picture's address."""
        admitted = self._admitted
        return {
            "run": self.run.number,
            "address": admitted.address,
            "certificate": admitted.fingerprint,
            "code": admitted.qr_picture(),
        }

    def close(self) -> None:
        """End the server."""
        self._serving.close()


def page_files(run: ProjectRun) -> Files:
    """Return the files of a static site of a run's bundle."""
    if not is_for_phones(run):
        raise InputError(f"run {run.number} is not ready for phones yet; wait a little")
    return site_files(run.trained())


def folder_files(folder: Path) -> Files:
    """Return the files of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes for path in paths}


def packed(files: Files, folder: Path) -> IO[bytes]:
    """Return a zip of files, open; it has no name, and its bytes are in `folder` until it is closed."""
    try:
        file = TemporaryFile(dir=folder)  # noqa: SIM115 - the reader closes it
        with zipfile.ZipFile(file, "w") as archive:  # models, films and sounds hardly shrink
            for name, read in files.items():
                archive.writestr(name, read())
    except OSError as error:
        raise refused(error, folder) or InputError(f"{folder}: cannot be written ({error})") from error
    file.seek(0)
    return file


def parts(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in parts, and close it."""
    with file:
        while part := file.read(_PART):
            yield part
