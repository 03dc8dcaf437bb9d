"""The bundle's README: for Kotlin and Swift, what to feed each encoder and what to do with what comes out.

Every fact in it is the manifest's; what is the same for all bundles is how the runtime windows, tokenizes,
pools and classifies (`sensemble_runtime.windows`, `text`, `fusion`, `head`).
"""

from collections.abc import Iterator

from sensemble_runtime.manifest import FILE_NAME, Artifact, Manifest, ModalityEntry
from sensemble_sensors.spec import InputSpec

from sensemble_export.targets import fed

_KOTLIN = {
    "float32": ("FloatArray", "Tensor.fromBlob"),
    "int64": ("LongArray", "Tensor.fromBlob"),
    "uint8": ("ByteArray", "Tensor.fromBlobUnsigned"),
}
_SWIFT = {"float32": "Float", "int32": "Int32", "int64": "Int64", "uint8": "UInt8"}
_RUNS = {
    "executorch-xnnpack": (
        "A `.pte` file for `executorch-xnnpack` runs on ExecuTorch: `org.pytorch:executorch-android` from "
        "Maven Central, or the Swift package `github.com/pytorch/executorch` on its branch "
        "`swiftpm-VERSION`, with `executorch`, `backend_xnnpack`, `kernels_optimized` and "
        "`kernels_quantized` linked by `-all_load`; take the version that wrote the file."
    ),
    "executorch-coreml": (
        "A `.pte` file for `executorch-coreml` runs from iOS 17 on with the Swift package "
        "`github.com/pytorch/executorch` and its `backend_coreml`. Frames are fed as float32 (0 to 255), "
        "token ids as int32."
    ),
    "coreml": (
        "A `.mlpackage` runs on Core ML, from iOS 17 or macOS 14 on. Its input is `window`, its output "
        "`embedding`; frames are fed as float32 (0 to 255), token ids as int32."
    ),
    "onnx": (
        "An `.onnx` file (opset 20) runs on ONNX Runtime from 1.17 on. Its input is `window`, its output "
        "`embedding`."
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
    yield from (text for target, text in _RUNS.items() if target in held)


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
        scalar = _SWIFT[fed(spec.dtype, target)]
        if target == "executorch-xnnpack":
            yield _kotlin(modality, artifact.path, spec.dtype, shape)
        if target.startswith("executorch-"):
            yield _swift(modality, artifact.path, scalar, shape)
        elif target == "coreml":
            yield _core_ml(modality, artifact.path, scalar, shape)


def _artifact(target: str, artifact: Artifact, dtype: str, shape: str) -> str:
    """Return the row of an artifact."""
    feed = f"{fed(dtype, target)} [{shape}]" + ("" if target.startswith("executorch-") else " as `window`")
    parity = f"cosine {artifact.parity.cosine:.4f}" if artifact.parity else "unproved: no machine has run it"
    return f"| {target} | `{artifact.path}` | {feed} | {artifact.scheme} | {artifact.bytes} | {parity} |"


def _kotlin(modality: str, path: str, dtype: str, shape: str) -> str:
    array, make = _KOTLIN[dtype]
    return (
        "```kotlin\n"
        f'val {modality} = Module.load(File(bundle, "{path}").path, Module.LOAD_MODE_MMAP)\n'
        f"fun encode(window: {array}): FloatArray {{\n"
        f"    val tensor = {make}(window, longArrayOf({shape}))\n"
        f"    return {modality}.forward(EValue.from(tensor))[0].toTensor().dataAsFloatArray\n"
        "}\n```"
    )


def _swift(modality: str, path: str, scalar: str, shape: str) -> str:
    return (
        "```swift\n"
        f'let {modality} = Module(filePath: bundle.appending(path: "{path}").path)\n'
        f"func encode(_ window: [{scalar}]) throws -> [Float] {{\n"
        f"    let tensor = Tensor<{scalar}>(window, shape: [{shape}])\n"
        f"    return try Tensor<Float>({modality}.forward(tensor)).scalars()\n"
        "}\n```"
    )


def _core_ml(modality: str, path: str, scalar: str, shape: str) -> str:
    return (
        "```swift\n"
        f'let compiled = try await MLModel.compileModel(at: bundle.appending(path: "{path}"))\n'
        f"let {modality} = try MLModel(contentsOf: compiled)\n"
        f"func encode(_ window: [{scalar}]) throws -> [Float] {{\n"
        f"    let array = MLMultiArray(MLShapedArray(scalars: window, shape: [{shape}]))\n"
        '    let fed = try MLDictionaryFeatureProvider(dictionary: ["window": array])\n'
        f'    let found = try {modality}.prediction(from: fed).featureValue(for: "embedding")!\n'
        "    return MLShapedArray<Float>(found.multiArrayValue!).scalars\n"
        "}\n```"
    )


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
        "cut the ids at {count}, and fill up with 0. The embedding of an empty caption means nothing: leave "
        "it out."
    ),
}


def _pooling(manifest: Manifest) -> Iterator[str]:
    classes, size = len(manifest.labels), manifest.embedding
    function = "softmax over the classes" if manifest.task == "multi-class" else "a sigmoid for each class"
    yield "## Pool and classify"
    yield (
        "The live set holds, for each modality, its newest embedding, until that is older than the time "
        "above. The pooled representation is the mean of the embeddings in the live set, in every dimension; "
        "with one alone, that embedding. Nothing live means no prediction, not a prediction of zeros."
    )
    yield (
        f"`{manifest.head.path}` (safetensors) holds `weight` float32 [{classes}, {size}] and `bias` float32 "
        f"[{classes}]: the logits are `weight x pooled + bias`, and the probabilities are {function}, in the "
        "order of the labels below."
    )
    last = (
        "val top = logits.max()\n"
        "val e = logits.map { exp(it - top) }\n"
        "val probabilities = e.map { it / e.sum() }"
        if manifest.task == "multi-class"
        else "val probabilities = logits.map { 1 / (1 + exp(-it)) }"
    )
    yield (
        "```kotlin\n"
        f"val pooled = FloatArray({size}) {{ i -> live.map {{ it[i] }}.average().toFloat() }}\n"
        "val logits = weight.zip(bias.asIterable()) { row, b -> "
        "row.indices.sumOf { (row[it] * pooled[it]).toDouble() } + b }\n"
        f"{last}\n```"
    )
    last = (
        "let e = logits.map { exp($0 - logits.max()!) }\nlet probabilities = e.map { $0 / e.reduce(0, +) }"
        if manifest.task == "multi-class"
        else "let probabilities = logits.map { 1 / (1 + exp(-$0)) }"
    )
    yield (
        "```swift\n"
        f"let pooled = (0..<{size}).map {{ i in live.map {{ $0[i] }}.reduce(0, +) / Float(live.count) }}\n"
        "let logits = zip(weight, bias).map { row, b in zip(row, pooled).map(*).reduce(b, +) }\n"
        f"{last}\n```"
    )


def _classes(manifest: Manifest) -> Iterator[str]:
    yield "## Labels"
    yield "\n".join(f"{index}. {label}" for index, label in enumerate(manifest.labels))
