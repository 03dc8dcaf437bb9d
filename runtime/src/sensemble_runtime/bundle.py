"""The bundle: a folder that export writes, verified whole before anything in it runs."""

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import executor, manifest
from sensemble_runtime.errors import BundleCorruptError, BundleError, BundleIncompatibleError, BundlePathError
from sensemble_runtime.executor import Embedding, Encoder, Window
from sensemble_runtime.head import Head, load_head
from sensemble_runtime.manifest import Artifact, FileEntry, Manifest, ModalityEntry, read_manifest
from sensemble_runtime.text import tokenize

if TYPE_CHECKING:  # loading the library is left to the first caption
    from sensemble_sensors.spec import InputSpec
    from tokenizers import Tokenizer


class Bundle:
    """A verified bundle; its encoders are loaded when they are first used. Safe to use from several threads.

    Attributes:
        path: the folder.
        manifest: what it says.
        modalities: the modalities that have an encoder, sorted.
        specs: what each of them takes.
        executors: which target's artifact encodes each of them.
        head: the classifier.
        threads: of the executor's pool, for the encoders that are loaded from now on; 0: one for each core,
            or a single one if every encoder took less than 2 ms where it was exported.
    """

    def __init__(self, path: Path, contents: Manifest, head: Head, executors: dict[str, str]) -> None:
        self.path = path
        self.manifest = contents
        self.modalities = tuple(sorted(contents.modalities))
        self.specs: dict[str, InputSpec] = {m: contents.modalities[m].spec for m in self.modalities}
        self.executors = executors
        self.head = head
        self.threads = 0
        self._encoders: dict[str, Encoder] = {}
        self._locks = {modality: threading.Lock() for modality in self.modalities}
        self._tokenizer: Tokenizer | None = None
        self._tokenizer_lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, executor: str | None = None) -> "Bundle":
        """Open the bundle in folder `path`: check its manifest, then every file's place, size and SHA-256.

        Args:
            path: the folder.
            executor: the target whose artifacts to run; without it, for each modality the first of
                `sensemble_runtime.executor.available` that it has an artifact for whose parity was measured,
                or, if there is none, any artifact. `executors` says which.

        Raises:
            BundleCorruptError: a file is missing, truncated or altered, or not what the manifest says.
            BundleIncompatibleError: it is of another schema version, or for executors that are not here.
            BundlePathError: a file lies outside the folder.
        """
        contents = read_manifest(path / manifest.FILE_NAME)
        executors = {m: _choose(path, m, entry, executor) for m, entry in contents.modalities.items()}
        for _, file in contents.files():
            check_file(path, file)
        for _, artifact in contents.artifacts():
            _verify_nothing_else(path, artifact)
        head = load_head(path / contents.head.path, contents.task)
        expected = (len(contents.labels), contents.embedding)
        if head.weight.shape != expected:
            raise BundleCorruptError(
                f"{path / contents.head.path}: weight is {list(head.weight.shape)}, the labels and "
                f"embedding of the manifest make it {list(expected)}; export the bundle again"
            )
        return cls(path, contents, head, executors)

    def encode(self, modality: str, window: Window) -> Embedding:
        """Encode one window of `modality`, of exactly its spec's dtype and shape, to float32 [d].

        Raises:
            BundleError: the encoder cannot be loaded; see `load`.
            ValueError: the window is of another dtype or shape.
            EncoderError: the executor failed; names its error.
        """
        return self.load(modality)(window)

    def load(self, modality: str) -> Encoder:
        """Return the encoder of `modality`, loading it if it is not.

        Raises:
            BundleError: the bundle has no such modality.
            BundleIncompatibleError: the executor cannot run the artifact.
            BundleCorruptError: the encoder is not of the manifest's input spec and embedding size.
        """
        if modality not in self._locks:
            raise BundleError(
                f"{self.path}: no encoder for {modality!r}; it has {', '.join(self.modalities)}"
            )
        with self._locks[modality]:
            if modality not in self._encoders:
                self._encoders[modality] = self._load(modality)
            return self._encoders[modality]

    def unload(self, modality: str) -> None:
        """Free the encoder of `modality`; a call in progress ends first, and the next use loads it again."""
        if self._encoders.pop(modality, None) is not None:
            executor.give_back_memory()

    def tokenize(self, caption: str) -> NDArray[np.int64]:
        """Return the token ids of `caption` as the text encoder takes them: int64 [1, L].

        Raises:
            BundleError: the bundle has no text encoder.
            BundleCorruptError: its tokenizer cannot be read.
        """
        entry = self.manifest.tokenizer
        if entry is None or "text" not in self.specs:
            raise BundleError(f"{self.path}: no text encoder; it has {', '.join(self.modalities)}")
        with self._tokenizer_lock:
            if self._tokenizer is None:
                self._tokenizer = _load_tokenizer(self.path / entry.path)
        return tokenize(self._tokenizer, caption, self.specs["text"].shape[1])

    @property
    def _quick(self) -> bool:
        """Whether all encoders are: those of one executor may share a pool, which the first of them sizes."""
        entries = self.manifest.modalities
        measured = [entries[m].artifacts[target].latency_ms for m, target in self.executors.items()]
        return all(latency is not None and latency < executor.QUICK for latency in measured)

    def _load(self, modality: str) -> Encoder:
        entry = self.manifest.modalities[modality]
        target = self.executors[modality]
        path = self.path / entry.artifacts[target].path
        encoder = executor.load(path, target, self.threads, quick=self._quick)
        found = (encoder.dtype, encoder.shape, encoder.embedding)
        expected = (entry.spec.dtype, entry.spec.shape, self.manifest.embedding)
        if found != expected:
            raise BundleCorruptError(
                f"{path}: (dtype, shape, embedding) is {found}, the manifest says {expected}; export it again"
            )
        return encoder


def _choose(path: Path, modality: str, entry: ModalityEntry, wanted: str | None) -> str:
    """Return the target whose artifact encodes `modality` here."""
    if wanted is not None and wanted not in entry.artifacts:
        raise BundleIncompatibleError(
            f"{path}: {modality} is for {', '.join(entry.artifacts)}, not {wanted}; export it for {wanted}"
        )
    here = [target for target in executor.available() if target in entry.artifacts]
    for target in sorted(here, key=lambda target: entry.artifacts[target].parity is None):  # proved first
        if wanted in (None, target):
            return target
    lacks = (f"{target} {executor.missing(target)}" for target in ([wanted] if wanted else entry.artifacts))
    raise BundleIncompatibleError(
        f"{path}: {modality} does not run here: {'; '.join(lacks)}; here run "
        f"{', '.join(executor.available())}"
    )


def _verify_nothing_else(folder: Path, artifact: Artifact) -> None:
    """Refuse a package (a folder) with files that its manifest does not list."""
    listed = {folder / file.path for file in artifact.files}
    for found in (folder / artifact.path).rglob("*"):
        if found not in listed and (found.is_symlink() or not found.is_dir()):
            raise BundleCorruptError(f"{found}: not in the manifest; copy the bundle again")


def check_file(folder: Path, file: FileEntry) -> None:
    """Check that a file is in `folder`, and of the size and SHA-256 that the manifest says.

    Raises:
        BundleCorruptError: it is not.
        BundlePathError: it lies outside the folder.
    """
    path = folder / file.path
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise BundlePathError(f"{path}: a link that leaves the bundle; put the file itself there")
        size = path.stat().st_size
        if size != file.bytes:
            raise BundleCorruptError(
                f"{path}: {size} bytes, the manifest says {file.bytes}; copy the bundle again"
            )
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise BundleCorruptError(f"{path}: cannot be read ({error}); copy the bundle again") from error
    if digest != file.sha256:
        raise BundleCorruptError(f"{path}: altered, its SHA-256 is not the manifest's; copy the bundle again")


def _load_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer  # 7 MB that a session without captions does not need

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise BundleCorruptError(f"{path}: not a tokenizer ({error}); export the bundle again") from error
