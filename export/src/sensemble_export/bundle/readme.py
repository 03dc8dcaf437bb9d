"""The bundle's README for app developers: the input of each encoder, the use of its output, code for both.

The template `README.md.j2` takes every fact from the manifest; its fixed text describes how the runtime makes
windows, tokenizes, pools and classifies. Each kind of modality has a template, `KIND.md.j2`, and so has each
library and language; such code brings its imports and takes `bundle`, the folder: a `File` in Kotlin, a `URL`
in Swift.
"""

import re
from collections.abc import Iterator
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.subsets import measured, name
from sensemble_sensors.spec import InputSpec

from sensemble_export.lowering.targets import input_dtype

_CODE = {
    "executorch-xnnpack": ("executorch.kt", "executorch.swift"),
    "coreml": ("coreml.swift",),
    "onnx": ("onnx.kt", "onnx.swift"),
}
_LANGUAGES = {"kt": "kotlin", "swift": "swift"}
_KOTLIN = {"float32": "FloatArray", "int64": "LongArray", "uint8": "ByteArray"}
_BUFFERS = {"float32": "FloatBuffer", "int64": "LongBuffer", "uint8": "ByteBuffer"}
_SWIFT = {"float32": "Float", "int32": "Int32", "int64": "Int64", "uint8": "UInt8"}
_ELEMENTS = {"float32": "float", "int64": "int64", "uint8": "uInt8"}


def readme(manifest: Manifest) -> str:
    """Return the text of the bundle's `README.md` (Markdown)."""
    tools = manifest.provenance.tools
    return (
        _templates()
        .get_template("README.md.j2")
        .render(
            manifest=manifest,
            modalities=sorted(manifest.modalities.items()),
            targets={target for entry in manifest.modalities.values() for target in entry.artifacts},
            executorch=tools.get("executorch", "VERSION").split("+")[0],
            skew=Policy().skew,
            input_dtype=input_dtype,
            words_of=_words_of,
            encoder_code=_encoder,
            classifier_code=classifier,
            subsets=[name(subset) for subset in measured(manifest.modalities)],
        )
    )


def _words_of(kind: str) -> Template:
    # A kind of an installed package is described like a series.
    return _templates().select_template([f"{kind}.md.j2", "series.md.j2"])


@cache
def _templates() -> Environment:
    """Return the environment of the templates; its filter `g` writes a number without trailing zeros."""
    environment = Environment(
        loader=PackageLoader("sensemble_export.bundle"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, Kotlin and Swift, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["g"] = "{:g}".format
    return environment


def _encoder(target: str, modality: str, path: str, spec: InputSpec) -> Iterator[str]:
    """Yield a Markdown code block for each language that can run the artifact at `path`."""
    for file in _CODE.get(target, ()):
        yield _block(
            file,
            modality=modality,
            name="encode" + "".join(re.findall("[a-z0-9]+", modality.title(), re.IGNORECASE)),
            path=path,
            dtype=spec.dtype,
            shape=", ".join(map(str, spec.shape)),
            kotlin=_KOTLIN[spec.dtype],
            buffer=_BUFFERS[spec.dtype],
            swift=_SWIFT[input_dtype(spec.dtype, target)],
            element=_ELEMENTS[spec.dtype],
        )


def classifier(manifest: Manifest) -> Iterator[str]:
    """Yield a block for each language that answers from embeddings, by the code of the samples."""
    for file in ("classifier.kt", "classifier.swift"):
        yield _block(file, path=manifest.head.path, multi_class=str(manifest.task == "multi-class").lower())


def _block(template: str, **values: object) -> str:
    language = _LANGUAGES[template.rpartition(".")[2]]
    code = _templates().get_template(f"{template}.j2").render(values)
    return f"```{language}\n{code.rstrip()}\n```"
