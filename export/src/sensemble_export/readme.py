"""The bundle's README: for Kotlin and Swift, what to feed each encoder and what to do with what comes out.

Every fact in it is the manifest's; what is the same for all bundles is how the runtime windows, tokenizes,
pools and classifies (`sensemble_runtime.session.windows`, `text`, `composition`, `fusion`, `head`).
"""

from collections.abc import Iterator

from sensemble_runtime.bundle.manifest import FILE_NAME, Artifact, Manifest, ModalityEntry
from sensemble_runtime.session.scheduler import Policy
from sensemble_sensors.spec import InputSpec

from sensemble_export import snippets
from sensemble_export.targets import input_dtype

_RUNS = {
    "executorch-xnnpack": (
        "A `.pte` file for `executorch-xnnpack` runs on ExecuTorch {executorch} or later: "
        "`org.pytorch:executorch-android:{executorch}` from Maven Central, or the Swift package "
        "`github.com/pytorch/executorch` on its branch `swiftpm-{executorch}`, with `executorch`, "
        "`backend_xnnpack`, `kernels_optimized` and `kernels_quantized` linked by `-all_load`."
    ),
    "executorch-coreml": (
        "A `.pte` file for `executorch-coreml` runs from iOS 17 on with the Swift package "
        "`github.com/pytorch/executorch` on its branch `swiftpm-{executorch}` or a later one, with "
        "`executorch` and `backend_coreml` linked by `-all_load`. Frames are fed as float32 (0 to 255), "
        "token ids as int32."
    ),
    "coreml": (
        "A `.mlpackage` runs on Core ML, from iOS 17 or macOS 14 on. Its input is `window`, its output "
        "`embedding`; frames are fed as float32 (0 to 255), token ids as int32."
    ),
    "onnx": (
        "An `.onnx` file (opset 20) runs on ONNX Runtime from 1.17 on: "
        "`com.microsoft.onnxruntime:onnxruntime-android` from Maven Central, or the Swift package "
        "`github.com/microsoft/onnxruntime-swift-package-manager`, or the pod `onnxruntime-objc`. Its input "
        "is `window`, its output `embedding`."
    ),
}


def readme(manifest: Manifest) -> str:
    """Return the text of the bundle's `README.md` (Markdown)."""
    blocks = [*_opening(manifest)]
    for modality, entry in sorted(manifest.modalities.items()):
        blocks += _modality(manifest, modality, entry)
    blocks += [*_pooling(manifest), *_classes(manifest)]
    return "\n\n".join(blocks) + "\n"


def _opening(manifest: Manifest) -> Iterator[str]:
    provenance = manifest.provenance
    yield "# A Sensemble bundle"
    yield (
        f"{len(manifest.modalities)} encoders ({', '.join(sorted(manifest.modalities))}) into one space of "
        f"{manifest.embedding} dimensions, and a classifier of {len(manifest.labels)} classes "
        f"({manifest.task}) that takes the mean of whichever embeddings there are. Trained by "
        f"{provenance.method} on {'+'.join(provenance.train_modalities)} of {provenance.dataset}. "
        f"`sensemble export` wrote this page from `{FILE_NAME}`, which a program should read instead."
    )
    yield (
        "Encoders take what the sensor gives: all preprocessing but the resizing of pictures is inside them. "
        "Arrays are dense, the last dimension varies fastest. Each encoder may be missing, at any time; run "
        "those whose sensor is there, each on its own thread if you like, one window at a time."
    )
    held = {target for entry in manifest.modalities.values() for target in entry.artifacts}
    version = provenance.tools.get("executorch", "VERSION").split("+")[0]
    yield from (text.format(executorch=version) for target, text in _RUNS.items() if target in held)
    yield (
        "The code below is complete but for `bundle`, this folder: a `File` in Kotlin, a `URL` in Swift. "
        "Each piece brings its imports."
    )


def _modality(manifest: Manifest, modality: str, entry: ModalityEntry) -> Iterator[str]:
    spec = entry.spec
    shape = ", ".join(map(str, spec.shape))
    rows = [f"| {key} | {value} |" for key, value in _facts(spec)]
    rows.append(f"| stays in the live set for | {spec.ttl:g} s after the end of its window |")
    rows.append(f"| gives | float32 [1, {manifest.embedding}], of length 1 |")
    yield f"## {modality}"
    yield "\n".join(["| | |", "| --- | --- |", *rows])
    artifacts = [
        _artifact(target, artifact, spec.dtype, shape) for target, artifact in entry.artifacts.items()
    ]
    yield "\n".join(
        [
            "| for | file | feed | scheme | bytes | parity |",
            "| --- | --- | --- | --- | --- | --- |",
            *artifacts,
        ]
    )
    yield _ABOUT[spec.modality].format(
        count=spec.shape[1], size=" x ".join(map(str, spec.shape[2:4])), window=f"{spec.window:g}"
    )
    for target, artifact in entry.artifacts.items():
        yield from snippets.encoder(target, modality, artifact.path, spec)


def _artifact(target: str, artifact: Artifact, dtype: str, shape: str) -> str:
    """Return the row of an artifact."""
    feed = f"{input_dtype(dtype, target)} [{shape}]" + (
        "" if target.startswith("executorch-") else " as `window`"
    )
    parity = f"cosine {artifact.parity.cosine:.4f}" if artifact.parity else "unproved: no machine has run it"
    kept = f", but float: {', '.join(f'`{name}`' for name in artifact.kept)}" if artifact.kept else ""
    scheme = f"{artifact.scheme}{kept}"
    return f"| {target} | `{artifact.path}` | {feed} | {scheme} | {artifact.bytes} | {parity} |"


def _facts(spec: InputSpec) -> Iterator[tuple[str, str]]:
    if spec.modality == "audio":
        yield "range", "-1 to 1; divide 16-bit samples by 32768"
        yield "rate", f"{spec.rate:g} Hz, mono"
    elif spec.modality == "video":
        yield "range", "0 to 255, RGB"
        yield "rate", f"{spec.rate:g} frames a second"
    else:
        yield "range", "token ids of `tokenizer.json`; 0 is padding"
    if spec.modality == "text":
        yield "window", "one caption"
        yield "hop", "none: encode each caption when it comes"
    else:
        yield "window", f"the newest {spec.window:g} s"
        yield "hop", f"encode every {spec.hop:g} s"


_ABOUT = {
    "audio": (
        "{count} consecutive samples, oldest first. After a gap, wait until {window} s are there again."
    ),
    "video": (
        "{count} frames, oldest first, the last one the newest; each the frame nearest to its step of the "
        "rate above. A frame is {size} (height x width), red, green, blue for each pixel, row by row: scale "
        "the upright picture until it just covers that size, averaging when it shrinks, and crop the middle."
    ),
    "text": (
        "Tokenize the caption as the library `tokenizers` does (`encode(caption)` with `tokenizer.json`), "
        "cut the ids at {count}, and fill up with 0. In Kotlin and Swift, `Tokenizer` in Sensemble's samples "
        "(`apps/android`, `apps/ios`) gives the same ids without that library: one file each, to be copied. "
        "It takes what `sensemble train` writes, byte-level BPE after NFC and lower case, and refuses any "
        "other `tokenizer.json`. The embedding of an empty caption means nothing: leave it out."
    ),
}


def _pooling(manifest: Manifest) -> Iterator[str]:
    classes, size = len(manifest.labels), manifest.embedding
    function = "softmax over the classes" if manifest.task == "multi-class" else "a sigmoid for each class"
    yield "## Pool and classify"
    yield (
        "The live set holds, for each modality, its newest embedding, until that is older than the time "
        f"above; of those with a hop, only the ones whose windows end within {Policy().skew:g} s of the "
        "newest window. The pooled representation is the mean of the embeddings in the live set, in every "
        "dimension; with one alone, that embedding. Nothing live means no prediction, not a prediction of "
        "zeros."
    )
    yield (
        f"`{manifest.head.path}` holds `weight` float32 [{classes}, {size}] and `bias` float32 [{classes}]: "
        f"the logits are `weight x pooled + bias`, and the probabilities are {function}, in the order of the "
        "labels below. It is safetensors: the length of its header in 8 bytes, the header (JSON), and then "
        "the numbers, all little-endian."
    )
    yield from snippets.classifier(manifest.head.path, size, manifest.task)


def _classes(manifest: Manifest) -> Iterator[str]:
    yield "## Labels"
    yield "\n".join(f"{index}. {label}" for index, label in enumerate(manifest.labels))
