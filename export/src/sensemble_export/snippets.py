"""The code in a bundle's README: Kotlin and Swift that encode a window, and classify embeddings.

Each piece brings its imports and takes `bundle`, the folder: a `File` in Kotlin, a `URL` in Swift. The code
is in `templates/`, one file for each library and language.
"""

import re
from collections.abc import Iterator
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_sensors.spec import InputSpec

from sensemble_export.targets import input_dtype

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


@cache
def templates() -> Environment:
    """Return the environment of the templates; its filter `g` writes a number without trailing zeros."""
    environment = Environment(
        loader=PackageLoader("sensemble_export"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, Kotlin and Swift, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["g"] = "{:g}".format
    return environment


def encoder(target: str, modality: str, path: str, spec: InputSpec) -> Iterator[str]:
    """Yield a Markdown code block for each language that can run the artifact at `path`."""
    for name in _CODE.get(target, ()):
        yield _block(
            name,
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
    """Yield a block for each language that reads the head, and classifies the embeddings of a live set."""
    for name in ("classifier.kt", "classifier.swift"):
        yield _block(
            name,
            path=manifest.head.path,
            size=manifest.embedding,
            task=manifest.task,
            calibration=manifest.calibration,
        )


def _block(template: str, **values: object) -> str:
    language = _LANGUAGES[template.rpartition(".")[2]]
    code = templates().get_template(f"{template}.j2").render(values)
    return f"```{language}\n{code.rstrip()}\n```"
