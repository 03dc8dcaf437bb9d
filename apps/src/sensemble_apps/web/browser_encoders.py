"""Encoders for browsers, added to a bundle when a page first asks for them."""

from pathlib import Path

from sensemble_runtime import subsets
from sensemble_runtime.bundle import signature
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest

from sensemble_apps.console.child import run_command
from sensemble_apps.console.output import remark
from sensemble_apps.tables.run_folder import BUNDLE, MODELS
from sensemble_apps.web.site import TARGET


def add_browsers(bundle: Path) -> None:
    """Add encoders for browsers to an unsigned bundle that has none, if it is in the folder of its run.

    Raises StepError if they cannot be exported.
    """
    contents, run = read_manifest(bundle / FILE_NAME), bundle.resolve().parent
    method, train = contents.provenance.method, subsets.name(contents.provenance.train_modalities)
    if all(TARGET in entry.artifacts for entry in contents.modalities.values()):
        return
    is_own = bundle.resolve() == run / BUNDLE and (run / MODELS / method / train).is_dir()
    if is_own and not (bundle / signature.FILE_NAME).exists():
        remark(f"{bundle}: has no encoders for browsers yet; they are added now, in half a minute")
        run_command("export", run, "--method", method, "--train-modalities", train, "--target", TARGET)
