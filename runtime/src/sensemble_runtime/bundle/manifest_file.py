"""Reading and writing `manifest.json`: strict JSON, checked field by field."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from sensemble_sensors import durable
from sensemble_sensors.lines import opened
from sensemble_sensors.strict_json import DecodeError, decode, document, encode

from sensemble_runtime.bundle import signature, validate
from sensemble_runtime.bundle.manifest import SCHEMA, Manifest
from sensemble_runtime.errors import BundleCorruptError, BundleIncompatibleError, BundlePathError

_LARGEST = 16 << 20  # bytes; a manifest with 100,000 labels has 3 MB


def read_manifest(path: Path, trust: Path | None = None) -> Manifest:
    """Read and check a `manifest.json`, but not the files it names.

    `trust` is the PEM file of the public key that must have signed it; None accepts any manifest. Raises
    BundleCorruptError, which names the field, if the file is missing or malformed; BundleIncompatibleError
    for another schema version; BundlePathError for a path that is absolute, contains `..` or is not portable;
    BundleUntrustedError and KeyFileError if that key did not sign it, or the file holds no key.
    """
    return parse_manifest(read_data(path, trust), path)


def read_data(path: Path, trust: Path | None = None) -> bytes:
    """Return the bytes of a `manifest.json`, signed by the key `trust` if given; raise as `read_manifest`."""
    try:
        with opened(path) as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleCorruptError(f"{path.parent}: there is no bundle there; {_suggestion(path)}") from error
    except OSError as error:
        reason = error.strerror or error
        raise BundleCorruptError(f"{path}: cannot be read ({reason}); export the bundle again") from error
    if len(data) > _LARGEST:
        raise BundleCorruptError(f"{path}: above {_LARGEST >> 20} MB; give the folder of a bundle")
    if trust is not None:
        signature.check(data, path, trust)
    return data


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """Check the bytes of a `manifest.json`; `path` names it in errors. Raise as `read_manifest`."""
    try:
        return _parse(data.decode(), path)
    except UnicodeDecodeError as error:
        raise BundleCorruptError(f"{path}: cannot be read ({error}); export the bundle again") from error


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write `manifest` as JSON, atomically, once `read_manifest` would accept it; raise as that."""
    text = json.dumps(encode(manifest), indent=2, ensure_ascii=False) + "\n"
    _parse(text, path)
    durable.write(path, text.encode())


def _parse(text: str, path: Path) -> Manifest:
    try:
        raw = document(text)
        _check_schema(raw, path)
        decoded: Manifest = decode(Manifest, raw)
        _check_devices(raw)
    except DecodeError as error:
        raise BundleCorruptError(f"{path}: {error}; export the bundle again") from error
    # As labels of a dataset are read, whose index may compose its characters otherwise.
    manifest = replace(decoded, labels=tuple(normalize("NFC", label) for label in decoded.labels))
    outside = next(validate.path_problems(manifest), None)
    if outside is not None:
        raise BundlePathError(f"{path}: {outside}")
    problem = next(validate.problems(manifest), None)
    if problem is not None:
        raise BundleCorruptError(f"{path}: {problem}; export the bundle again")
    return manifest


def _check_devices(raw: Any) -> None:  # noqa: ANN401 - the JSON of a manifest
    # Without its device a spec would take the one of its name, which the ports do not know.
    for modality, entry in raw["modalities"].items():
        if entry["spec"].get("device") is None:
            raise DecodeError(f"modalities.{modality}.spec.device: missing")


def _check_schema(raw: object, path: Path) -> None:
    # Any other field may differ in another version, so only the version is read.
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and not isinstance(schema, bool) and schema != SCHEMA:
        raise BundleIncompatibleError(
            f"{path}: schema: version {schema}, and this sensemble-runtime reads version {SCHEMA}; "
            "export the bundle again: `sensemble export RUN`"
        )


def _suggestion(path: Path) -> str:
    inside = path.parent / "bundle"
    if (inside / path.name).exists():
        return f"did you mean {inside}?"
    return f"give the folder of one, with its {path.name}"
