"""Manifests of older schema versions, brought to the present one as they are read."""

from typing import Any

_ONLY_TARGET = "executorch-xnnpack"  # of version 1
_SCHEMES = {"int8": "int8-static"}  # all that version 1 wrote was calibrated


def migrate(raw: object) -> object:
    """Return the JSON document `raw` as the present schema has it; any other version stays as it is.

    What does not have version 1's form is handed on as it stands, for the strict reader to name.
    """
    if not isinstance(raw, dict) or raw.get("schema") != 1 or isinstance(raw["schema"], bool):
        return raw
    changed: dict[str, Any] = {**raw, "schema": 2, "held_out": {}}
    if isinstance(modalities := raw.get("modalities"), dict):
        changed["modalities"] = {name: _modality(entry) for name, entry in modalities.items()}
    made = raw.get("provenance")
    if isinstance(made, dict) and "accuracy_quantized" in made:
        scores = made["accuracy_quantized"]
        changed["provenance"] = {**made, "accuracy_quantized": {} if scores == {} else {_ONLY_TARGET: scores}}
    return changed


def _modality(entry: object) -> object:
    if not isinstance(entry, dict) or not isinstance(artifacts := entry.get("artifacts"), dict):
        return entry
    return {**entry, "artifacts": {target: _artifact(found) for target, found in artifacts.items()}}


def _artifact(entry: object) -> object:
    """Version 1 had one file an artifact, its size and hash beside the path; and no agreement."""
    if not isinstance(entry, dict):
        return entry
    file = {key: entry[key] for key in ("path", "bytes", "sha256") if key in entry}
    changed = {key: value for key, value in entry.items() if key not in {"bytes", "sha256"}}
    if isinstance(scheme := entry.get("scheme"), str):
        changed["scheme"] = _SCHEMES.get(scheme, scheme)
    if isinstance(parity := entry.get("parity"), dict):
        changed["parity"] = {**parity, "agreement": None}
    return {**changed, "files": [file], "kept": []}
