"""The bundle: a folder written by an export, verified as a whole before anything in it runs."""

import hashlib
import threading
from collections.abc import Callable
from copy import copy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors import durable
from sensemble_sensors.clock import Patience
from sensemble_sensors.kinds.registry import kind_of

from sensemble_runtime.bundle import manifest, signature
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.files import check_file, map_file, read_file
from sensemble_runtime.bundle.head import Head, load_head
from sensemble_runtime.bundle.manifest import Artifact, FileEntry, Manifest, ModalityEntry
from sensemble_runtime.bundle.manifest_file import parse_manifest, read_data
from sensemble_runtime.bundle.tokenize import check_tokenizer, load_tokenizer, tokenize
from sensemble_runtime.errors import (
    BundleChangedError,
    BundleCorruptError,
    BundleError,
    BundleIncompatibleError,
)
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Contents, Embedding, Encoder, Input

if TYPE_CHECKING:  # loading the library is left to the first caption
    from mmap import mmap

    from sensemble_sensors.spec import InputSpec
    from tokenizers import Tokenizer


T = TypeVar("T")
_NAMED = 10  # classes that a printed bundle names


class Bundle:
    """A verified bundle, whose encoders are loaded on first use. Safe to use from several threads.

    Files are verified again when they are loaded: the bytes that run are the bytes that were hashed.

    Attributes:
        fingerprint: the SHA-256 of the bytes of `manifest.json`, in hex.
        modalities: the modalities that have an encoder, sorted.
        specs: the input of each encoder.
        executors: by modality, the target whose artifact encodes it.
        threads: of the executor's pool, for encoders loaded from now on; 0 means one per core, or a single
            one if, for every encoder of its executor, the export found that all cores save less than 5 ms.
    """

    def __init__(
        self,
        path: Path,
        contents: Manifest,
        fingerprint: str,
        head: Head,
        executors: dict[str, str],
    ) -> None:
        self.path = path
        self.manifest = contents
        self.fingerprint = fingerprint
        self.modalities = tuple(sorted(contents.modalities))
        self.specs = dict(sorted(contents.specs.items()))
        self.executors = executors
        self.head = head
        devices = {m: spec.device for m, spec in self.specs.items()}
        self.classifier = Classifier(head, contents.calibration, contents.labels, self.modalities, devices)
        self.threads = 0
        self._encoders: dict[str, Encoder] = {}
        self._freeing: set[threading.Thread] = set()
        self._locks = {modality: threading.Lock() for modality in self.modalities}
        self._tokenizer: Tokenizer | None = None
        self._tokenizer_lock = threading.Lock()

    @classmethod
    def open(
        cls,
        path: Path | str,
        executor: str | None = None,
        *,
        trust: Path | str | None = None,
    ) -> "Bundle":
        """Open the bundle in folder `path`: check its manifest, then every file's place, size and SHA-256.

        A bundle is code: without `trust`, the caller vouches for its origin.

        Args:
            executor: the target whose artifacts to run. By default, each modality runs by the first of its
                targets that runs here (`executors.executor.in_order`), measured ones first.
            trust: the PEM file of the public key that must have signed the bundle; None accepts any bundle.

        Raises:
            BundleError: it is corrupt, incompatible, untrusted, or leaves its folder, each with its subclass.
            KeyFileError: the file `trust` holds no key.
        """
        path = Path(path)
        data = read_data(path / manifest.FILE_NAME, None if trust is None else Path(trust))
        contents = parse_manifest(data, path / manifest.FILE_NAME)
        executors = {m: _choose(path, m, entry, executor) for m, entry in contents.modalities.items()}
        head = _verify(path, contents)
        return cls(path, contents, hashlib.sha256(data).hexdigest(), head, executors)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return self.manifest.labels

    def __repr__(self) -> str:
        """Write it in a few lines: the classes, the encoders, the score of all sensors, and the promise."""
        kinds = ", ".join(f"{m} ({spec.kind})" for m, spec in self.specs.items())
        some = ", ".join(self.labels[:_NAMED]) + ("..." if len(self.labels) > _NAMED else "")
        score = self.manifest.audited.get("+".join(self.modalities))
        right = "not audited" if score is None else f"right {score.accuracy:.0%} on {score.n} examples"
        calibration = self.manifest.calibration
        return (
            f"<Bundle {self.path}\n  {len(self.labels)} classes: {some}\n  sensors: {kinds}\n"
            f"  all sensors: {right}\n  {calibration.promise}>"
        )

    def with_head(self, other: "Bundle") -> "Bundle | None":
        """Return this bundle, loaded encoders included, with the head, labels and audit of another one.

        None if the other's encoders are not the same.
        """
        mine, theirs = (
            {m: (b.specs[m], b.manifest.modalities[m].artifacts[at].files) for m, at in b.executors.items()}
            for b in (self, other)
        )
        if mine != theirs or self.manifest.tokenizer != other.manifest.tokenizer:
            return None
        made = copy(self)
        made.path, made.manifest, made.fingerprint = other.path, other.manifest, other.fingerprint
        made.head, made.classifier = other.head, other.classifier
        return made

    def encode(self, modality: str, window: Input | str) -> Embedding:
        """Encode a caption, or a window of exactly the dtype and shape of its spec, to float32 [d]."""
        return self.load(modality)(self.tokenize(window) if isinstance(window, str) else window)

    def load(self, modality: str) -> Encoder:
        """Return the encoder of `modality`, loaded on first use; BundleError if it cannot run or changed."""
        if modality not in self._locks:
            raise BundleError(
                f"{self.path}: no encoder for {modality!r}; it has {', '.join(self.modalities)}"
            )
        with self._locks[modality]:
            encoder = self._encoders.get(modality)
            if encoder is None:
                encoder = self._encoders[modality] = self._load(modality)
            return encoder  # not what the dictionary holds now: `unload` waits for no lock

    def unload(self, modality: str) -> None:
        """Free the encoder of `modality` in a thread, after a call in progress; the next use loads it."""
        unused = [self._encoders.pop(modality, None)]  # the only reference: clearing the list frees it
        if unused[0] is None:
            return

        def free() -> None:
            unused.clear()
            executor.give_back_memory()
            self._freeing.discard(thread)

        thread = threading.Thread(target=free, name=f"sensemble {modality} unloading")
        self._freeing.add(thread)
        thread.start()

    def settle(self, patience: Patience) -> bool:
        """Wait until unloaded encoders are freed; False if some are not in time."""
        return all(patience.join(thread) for thread in tuple(self._freeing))

    def contents(self, modality: str, target: str) -> Contents:
        """Return an artifact's verified bytes for its executor; `BundleChangedError` if they have changed."""
        artifact = self.manifest.modalities[modality].artifacts[target]
        found = executor.executor_of(target)
        mapped = found is not None and found.mapped
        read: Callable[[Path, FileEntry], bytes | mmap] = map_file if mapped else read_file
        whole = PurePosixPath(artifact.path)
        names = {file: PurePosixPath(file.path).relative_to(whole).as_posix() for file in artifact.files}
        return {"" if name == "." else name: self._read(file, read) for file, name in names.items()}

    def tokenize(self, caption: str) -> NDArray[np.int64]:
        """Return the tokens of `caption` for the text encoder, int64 [1, L]; BundleError if there is none."""
        entry = self.manifest.tokenizer
        spec = _tokenized(self.manifest)
        if entry is None or spec is None:
            raise BundleError(f"{self.path}: no text encoder; it has {', '.join(self.modalities)}")
        with self._tokenizer_lock:
            if self._tokenizer is None:
                self._tokenizer = load_tokenizer(self._read(entry, read_file), self.path / entry.path)
        return tokenize(self._tokenizer, caption, spec.shape[1])

    def _is_single(self, target: str) -> bool:
        """Return whether one thread is best for all encoders of a target: they may share a pool."""
        entries = self.manifest.modalities
        alike = [m for m, other in self.executors.items() if other == target]
        return all(entries[m].artifacts[target].threads == 1 for m in alike)

    def _load(self, modality: str) -> Encoder:
        entry = self.manifest.modalities[modality]
        target = self.executors[modality]
        path = self.path / entry.artifacts[target].path
        contents = self.contents(modality, target)
        encoder = executor.load(path, target, self.threads, single=self._is_single(target), contents=contents)
        del contents
        executor.give_back_memory()
        loaded = (encoder.dtype, encoder.shape, encoder.embedding)
        expected = (entry.spec.dtype, entry.spec.shape, self.manifest.embedding)
        if loaded != expected:
            raise BundleCorruptError(
                f"{path}: (dtype, shape, embedding) {loaded}, the manifest says {expected}; export it again"
            )
        return encoder

    def _read(self, file: FileEntry, read: Callable[[Path, FileEntry], T]) -> T:
        try:
            return read(self.path, file)
        except BundleError as error:
            raise BundleChangedError(
                f"{self.path}: changed since it was opened ({error}); open the bundle again"
            ) from error


def _choose(path: Path, modality: str, entry: ModalityEntry, wanted: str | None) -> str:
    if wanted is not None and wanted not in entry.artifacts:
        raise BundleIncompatibleError(
            f"{path}: {modality} is for {', '.join(entry.artifacts)}, not {wanted}; export it for {wanted}"
        )
    here = [target for target in executor.in_order(entry.artifacts) if not executor.missing(target)]
    for target in sorted(here, key=lambda target: entry.artifacts[target].parity is None):  # measured first
        if wanted in (None, target):
            return target
    lacks = (f"{target} {executor.missing(target)}" for target in ([wanted] if wanted else entry.artifacts))
    raise BundleIncompatibleError(
        f"{path}: {modality} does not run here: {'; '.join(lacks)}; here run "
        f"{', '.join(executor.available())}"
    )


def _verify(folder: Path, contents: Manifest) -> Head:
    for file in dict.fromkeys(file for _, file in contents.files()):
        check_file(folder, file)
    _verify_nothing_else(folder, [artifact for _, artifact in contents.artifacts()])
    spec = _tokenized(contents)
    if contents.tokenizer is not None and spec is not None:
        path = folder / contents.tokenizer.path
        check_tokenizer(read_file(folder, contents.tokenizer), spec.shape[1], path)
    path = folder / contents.head.path
    head = load_head(read_file(folder, contents.head), contents.task, path)
    expected = (len(contents.labels), contents.embedding)
    if head.weight.shape != expected:
        raise BundleCorruptError(
            f"{path}: weight is {list(head.weight.shape)}, the labels and embedding of the manifest make it "
            f"{list(expected)}; export the bundle again"
        )
    scored = 0 if head.familiarity is None else len(head.familiarity.bias)
    if scored not in (0, len(contents.modalities)) or (contents.calibration.familiar and not scored):
        raise BundleCorruptError(
            f"{path}: scores the familiarity of {scored} modalities, not of "
            f"{len(contents.modalities)} as the manifest says; export the bundle again"
        )
    return head


def _tokenized(contents: Manifest) -> "InputSpec | None":
    specs = (entry.spec for entry in contents.modalities.values())
    return next((spec for spec in specs if kind_of(spec).tokenized), None)


def _verify_nothing_else(folder: Path, artifacts: list[Artifact]) -> None:
    """Refuse a package (a folder) with files that its manifest does not list; walk each folder once."""
    for path, files in {artifact.path: artifact.files for artifact in artifacts}.items():
        listed = {folder / file.path for file in files}
        for inside in (folder / path).rglob("*"):
            if (inside.is_symlink() or not inside.is_dir()) and inside not in listed:
                raise BundleCorruptError(f"{inside}: not in the manifest; copy the bundle again")


def sign(path: Path, key: Path) -> Path:
    """Verify a bundle, sign its manifest with the private key in a PEM file, return the signature's file."""
    data = read_data(path / manifest.FILE_NAME)
    _verify(path, parse_manifest(data, path / manifest.FILE_NAME))
    written = path / signature.FILE_NAME
    durable.write(written, signature.sign(data, key))
    return written
