"""The code in a bundle's README: Kotlin and Swift that encode a window and classify what comes out.

Each piece brings its imports and takes `bundle`, the folder: a `File`, a `URL`.
"""

from collections.abc import Iterator

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.spec import InputSpec

from sensemble_export.targets import input_dtype

_KOTLIN = {"float32": "FloatArray", "int64": "LongArray", "uint8": "ByteArray"}
_ONNX_KOTLIN = {
    "float32": ("FloatBuffer", ""),
    "int64": ("LongBuffer", ""),
    "uint8": ("ByteBuffer", ", OnnxJavaType.UINT8"),
}
_SWIFT = {"float32": "Float", "int32": "Int32", "int64": "Int64", "uint8": "UInt8"}
_ONNX_SWIFT = {"float32": "float", "int64": "int64", "uint8": "uInt8"}


def encoder(target: str, modality: str, path: str, spec: InputSpec) -> Iterator[str]:
    """Yield a block for each language that can run the artifact at `path`."""
    shape = ", ".join(map(str, spec.shape))
    name = f"encode{modality.title()}"
    scalar = _SWIFT[input_dtype(spec.dtype, target)]
    if target == "executorch-xnnpack":
        yield _executorch_kotlin(modality, name, path, spec.dtype, shape)
    if target.startswith("executorch-"):
        yield _executorch_swift(modality, name, path, scalar, shape)
    elif target == "coreml":
        yield _coreml_swift(modality, name, path, scalar, shape)
    elif target == "onnx":
        yield _onnx_kotlin(modality, name, path, spec.dtype, shape)
        yield _onnx_swift(modality, name, path, spec.dtype, shape)


def classifier(path: str, size: int, task: Task) -> Iterator[str]:
    """Yield a block for each language that reads the head at `path` and classifies embeddings of `size`."""
    yield _classifier_kotlin(path, size, task)
    yield _classifier_swift(path, size, task)


def _classifier_kotlin(path: str, size: int, task: Task) -> str:
    last = (
        "    val top = logits.max()\n"
        "    val shares = logits.map { exp(it - top) }\n"
        "    return shares.map { it / shares.sum() }\n"
        if task == "multi-class"
        else "    return logits.map { 1 / (1 + exp(-it)) }\n"
    )
    return (
        "```kotlin\n"
        "import java.io.File\n"
        "import java.nio.ByteBuffer\n"
        "import java.nio.ByteOrder\n"
        "import kotlin.math.exp\n"
        "import org.json.JSONObject\n\n"
        f'val head = ByteBuffer.wrap(File(bundle, "{path}").readBytes()).order(ByteOrder.LITTLE_ENDIAN)\n'
        "val begin = 8 + head.getLong(0).toInt()\n"
        "val header = JSONObject(String(head.array(), 8, begin - 8))\n"
        "fun tensor(name: String): FloatArray {\n"
        '    val range = header.getJSONObject(name).getJSONArray("data_offsets")\n'
        "    val from = begin + range.getInt(0)\n"
        "    return FloatArray((range.getInt(1) - range.getInt(0)) / 4) { head.getFloat(from + 4 * it) }\n"
        "}\n"
        'val weight = tensor("weight") // row by row\n'
        'val bias = tensor("bias")\n\n'
        "/** The probability of each label, from the embeddings in the live set: one or more. */\n"
        "fun classify(live: List<FloatArray>): List<Double> {\n"
        f"    val pooled = DoubleArray({size}) {{ i -> live.sumOf {{ it[i].toDouble() }} / live.size }}\n"
        "    val logits = bias.indices.map { row ->\n"
        f"        bias[row] + pooled.indices.sumOf {{ weight[{size} * row + it] * pooled[it] }}\n"
        f"    }}\n{last}}}\n```"
    )


def _classifier_swift(path: str, size: int, task: Task) -> str:
    last = (
        "    let top = logits.max()!\n"
        "    let shares = logits.map { exp($0 - top) }\n"
        "    let whole = shares.reduce(0, +)\n"
        "    return shares.map { $0 / whole }\n"
        if task == "multi-class"
        else "    return logits.map { 1 / (1 + exp(-$0)) }\n"
    )
    return (
        "```swift\n"
        "import Foundation\n\n"
        f'let head = [UInt8](try Data(contentsOf: bundle.appending(path: "{path}")))\n'
        "let begin = 8 + head[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }\n"
        "struct Entry: Decodable { let data_offsets: [Int] }\n"
        "let header = try JSONDecoder().decode([String: Entry].self, from: Data(head[8..<begin]))\n"
        "func tensor(_ name: String) -> [Float] {\n"
        "    let range = header[name]!.data_offsets\n"
        "    return stride(from: begin + range[0], to: begin + range[1], by: 4).map { at in\n"
        "        Float(bitPattern: head[at..<at + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })\n"
        "    }\n"
        "}\n"
        'let weight = tensor("weight")  // row by row\n'
        'let bias = tensor("bias")\n\n'
        "/// The probability of each label, from the embeddings in the live set: one or more.\n"
        "func classify(_ live: [[Float]]) -> [Float] {\n"
        f"    let pooled = (0..<{size}).map {{ i in live.reduce(0) {{ $0 + $1[i] }} / Float(live.count) }}\n"
        "    let logits = bias.indices.map { row in\n"
        f"        pooled.indices.reduce(bias[row]) {{ $0 + weight[{size} * row + $1] * pooled[$1] }}\n"
        f"    }}\n{last}}}\n```"
    )


def _executorch_kotlin(modality: str, name: str, path: str, dtype: str, shape: str) -> str:
    make = "fromBlobUnsigned" if dtype == "uint8" else "fromBlob"
    return (
        "```kotlin\n"
        "import java.io.File\n"
        "import org.pytorch.executorch.EValue\n"
        "import org.pytorch.executorch.Module\n"
        "import org.pytorch.executorch.Tensor\n\n"
        f'val {modality} = Module.load(File(bundle, "{path}").path, Module.LOAD_MODE_MMAP)\n'
        f"fun {name}(window: {_KOTLIN[dtype]}): FloatArray {{\n"
        f"    val tensor = Tensor.{make}(window, longArrayOf({shape}))\n"
        f"    return {modality}.forward(EValue.from(tensor))[0].toTensor().dataAsFloatArray\n"
        "}\n```"
    )


def _executorch_swift(modality: str, name: str, path: str, scalar: str, shape: str) -> str:
    return (
        "```swift\n"
        "import ExecuTorch\n"
        "import Foundation\n\n"
        f'let {modality} = Module(filePath: bundle.appending(path: "{path}").path)\n'
        f"func {name}(_ window: [{scalar}]) throws -> [Float] {{\n"
        f"    let tensor = Tensor<{scalar}>(window, shape: [{shape}])\n"
        f"    return try Tensor<Float>({modality}.forward(tensor)).scalars()\n"
        "}\n```"
    )


def _coreml_swift(modality: str, name: str, path: str, scalar: str, shape: str) -> str:
    return (
        "```swift\n"
        "import CoreML\n\n"
        f"let {modality} = try MLModel(\n"
        f'    contentsOf: await MLModel.compileModel(at: bundle.appending(path: "{path}")))\n'
        f"func {name}(_ window: [{scalar}]) async throws -> [Float] {{\n"
        f"    let array = MLMultiArray(MLShapedArray(scalars: window, shape: [{shape}]))\n"
        '    let fed = try MLDictionaryFeatureProvider(dictionary: ["window": array])\n'
        f'    let found = try await {modality}.prediction(from: fed).featureValue(for: "embedding")!\n'
        "    return MLShapedArray<Float>(found.multiArrayValue!).scalars\n"
        "}\n```"
    )


def _onnx_kotlin(modality: str, name: str, path: str, dtype: str, shape: str) -> str:
    buffer, kind = _ONNX_KOTLIN[dtype]
    imports = ["OnnxJavaType", "OnnxTensor", "OrtEnvironment"] if kind else ["OnnxTensor", "OrtEnvironment"]
    return (
        "```kotlin\n"
        + "".join(f"import ai.onnxruntime.{found}\n" for found in imports)
        + "import java.io.File\n"
        f"import java.nio.{buffer}\n\n"
        f'val {modality} = OrtEnvironment.getEnvironment().createSession(File(bundle, "{path}").path)\n'
        f"fun {name}(window: {_KOTLIN[dtype]}): FloatArray {{\n"
        f"    val array = {buffer}.wrap(window)\n"
        "    val all = OrtEnvironment.getEnvironment()\n"
        f"    OnnxTensor.createTensor(all, array, longArrayOf({shape}){kind}).use {{ tensor ->\n"
        f'        {modality}.run(mapOf("window" to tensor)).use {{ found ->\n'
        "            return (found[0] as OnnxTensor).floatBuffer.array()\n"
        "        }\n"
        "    }\n"
        "}\n```"
    )


def _onnx_swift(modality: str, name: str, path: str, dtype: str, shape: str) -> str:
    return (
        "```swift\n"
        "import Foundation\n"
        "import OnnxRuntimeBindings  // onnxruntime_objc where CocoaPods brought it\n\n"
        f"let {modality}Environment = try ORTEnv(loggingLevel: .warning)\n"
        f"let {modality} = try ORTSession(\n"
        f'    env: {modality}Environment, modelPath: bundle.appending(path: "{path}").path, '
        "sessionOptions: nil)\n"
        f"func {name}(_ window: [{_SWIFT[dtype]}]) throws -> [Float] {{\n"
        "    let data = window.withUnsafeBytes { NSMutableData(bytes: $0.baseAddress!, length: $0.count) }\n"
        "    let fed = try ORTValue(\n"
        f"        tensorData: data, elementType: .{_ONNX_SWIFT[dtype]}, shape: [{shape}])\n"
        f"    let all = try {modality}.run(\n"
        '        withInputs: ["window": fed], outputNames: ["embedding"], runOptions: nil)\n'
        '    let found = Data(referencing: try all["embedding"]!.tensorData())\n'
        "    return found.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }\n"
        "}\n```"
    )
