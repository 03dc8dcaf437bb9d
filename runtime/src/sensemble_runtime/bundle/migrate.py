"""Manifests of older schema versions, brought to the present one as they are read."""

from collections.abc import Callable
from typing import Any

_ONLY_TARGET = "executorch-xnnpack"  # of version 1
_SCHEMES = {"int8": "int8-static"}  # all that version 1 wrote was calibrated
_DIFFERS = {"executorch-coreml": "names and a date in it, of which version 2 says no more"}


def migrate(raw: object) -> object:
    """Return the JSON document `raw` as the present schema has it; any other version stays as it is.

    What does not have its version's form is handed on as it stands, for the strict reader to name.
    """
    if isinstance(raw, dict) and _version(raw) == 1:
        raw = _from_1(raw)
    if isinstance(raw, dict) and _version(raw) == 2:
        raw = _from_2(raw)
    return raw


def _version(raw: dict[str, Any]) -> int:
    found = raw.get("schema")
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _from_1(raw: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {**raw, "schema": 2}
    _change_artifacts(changed, lambda _, found: _artifact(found))
    made = raw.get("provenance")
    if isinstance(made, dict) and "accuracy_quantized" in made:
        scores = made["accuracy_quantized"]
        changed["provenance"] = {**made, "accuracy_quantized": {} if scores == {} else {_ONLY_TARGET: scores}}
    return changed


def _from_2(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 2 held its windows inside the bundle, and named neither tools nor what differs."""
    changed: dict[str, Any] = {**raw, "schema": 3, "held_out": {}}
    _change_artifacts(changed, lambda target, found: {**found, "differs": _DIFFERS.get(target)})
    if isinstance(made := raw.get("provenance"), dict):
        changed["provenance"] = {**made, "tools": {}}
    return changed


def _change_artifacts(raw: dict[str, Any], change: Callable[[str, dict[str, Any]], object]) -> None:
    """Change each artifact, given its target, that has the form of one."""
    if not isinstance(modalities := raw.get("modalities"), dict):
        return
    raw["modalities"] = dict(modalities)
    for name, entry in modalities.items():
        if isinstance(entry, dict) and isinstance(artifacts := entry.get("artifacts"), dict):
            changed = {
                t: change(t, found) if isinstance(found, dict) else found for t, found in artifacts.items()
            }
            raw["modalities"][name] = {**entry, "artifacts": changed}


def _artifact(entry: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had one file an artifact, its size and hash beside the path; and no agreement."""
    file = {key: entry[key] for key in ("path", "bytes", "sha256") if key in entry}
    changed = {key: value for key, value in entry.items() if key not in {"bytes", "sha256"}}
    if isinstance(scheme := entry.get("scheme"), str):
        changed["scheme"] = _SCHEMES.get(scheme, scheme)
    if isinstance(parity := entry.get("parity"), dict):
        changed["parity"] = {**parity, "agreement": None}
    return {**changed, "files": [file], "kept": []}
