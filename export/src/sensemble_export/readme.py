"""The bundle's README for app developers: the input of each encoder, and the use of its output.

The template `README.md.j2` takes every fact from the manifest. Its fixed text describes how the runtime makes
windows, tokenizes, pools and classifies. Each kind of modality has a template of its own, `KIND.md.j2`.
"""

from jinja2 import Template
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.subsets import measured, name

from sensemble_export import snippets
from sensemble_export.targets import input_dtype


def _words_of(kind: str) -> Template:
    # A kind of an installed package is described as a series is.
    return snippets.templates().select_template([f"{kind}.md.j2", "series.md.j2"])


def readme(manifest: Manifest) -> str:
    """Return the text of the bundle's `README.md` (Markdown)."""
    tools = manifest.provenance.tools
    return (
        snippets.templates()
        .get_template("README.md.j2")
        .render(
            manifest=manifest,
            modalities=sorted(manifest.modalities.items()),
            targets={target for entry in manifest.modalities.values() for target in entry.artifacts},
            executorch=tools.get("executorch", "VERSION").split("+")[0],
            skew=Policy().skew,
            input_dtype=input_dtype,
            words_of=_words_of,
            encoder_code=snippets.encoder,
            classifier_code=snippets.classifier,
            subsets=[name(subset) for subset in measured(manifest.modalities)],
        )
    )
