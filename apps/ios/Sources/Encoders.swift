import CoreML
import ExecuTorch
import Foundation

/// The encoders of a bundle, each loaded when its first window comes.
actor Encoders {
    private let bundle: ModelBundle
    private var executorch: [String: Module] = [:]
    private var coreml: [String: MLModel] = [:]

    init(bundle: ModelBundle) { self.bundle = bundle }

    /// Encode a window of a modality that the bundle has.
    func encode(_ modality: String, _ window: Window) async throws -> [Float] {
        let program = bundle.programs[modality]!
        return program.target == "coreml"
            ? try await predict(modality, program.file, window) : try forward(modality, program, window)
    }

    private func tokens(_ caption: String) -> [Int64] {
        bundle.tokenizer!.ids(caption, length: bundle.specs["text"]!.shape[1])
    }

    private func forward(
        _ modality: String, _ program: ModelBundle.Program, _ window: Window
    ) throws -> [Float] {
        let module = executorch[modality] ?? Module(filePath: program.file.path)
        executorch[modality] = module
        let shape = bundle.specs[modality]!.shape
        let input: ValueConvertible
        switch window {
        case .audio(let samples): input = Tensor<Float>(samples, shape: shape)
        case .video(let frames): input = Tensor<UInt8>(frames, shape: shape)
        case .text(let caption): input = Tensor<Int64>(tokens(caption), shape: shape)
        }
        return try Tensor<Float>(module.forward(input)).scalars()
    }

    /// Core ML has neither bytes nor 64-bit integers: its frames are float32, its token ids int32.
    private func predict(_ modality: String, _ file: URL, _ window: Window) async throws -> [Float] {
        if coreml[modality] == nil {
            coreml[modality] = try MLModel(contentsOf: await MLModel.compileModel(at: file))
        }
        let model = coreml[modality]!
        let shape = bundle.specs[modality]!.shape
        let input: MLMultiArray
        switch window {
        case .audio(let samples): input = array(MLShapedArray(scalars: samples, shape: shape))
        case .video(let frames): input = array(MLShapedArray(scalars: frames.map(Float.init), shape: shape))
        case .text(let caption):
            input = array(MLShapedArray(scalars: tokens(caption).map(Int32.init), shape: shape))
        }
        let description = model.modelDescription
        guard let given = description.inputDescriptionsByName.keys.first,
            let asked = description.outputDescriptionsByName.keys.first
        else { throw BundleError("\(file.lastPathComponent): no input or no output") }
        let features = try MLDictionaryFeatureProvider(dictionary: [given: input])
        let found = try await model.prediction(from: features)
        guard let embedding = found.featureValue(for: asked)?.multiArrayValue else {
            throw BundleError("\(file.lastPathComponent): gives no array")
        }
        return (0..<embedding.count).map { embedding[$0].floatValue }
    }

    private func array<T: MLShapedArrayScalar>(_ shaped: MLShapedArray<T>) -> MLMultiArray { MLMultiArray(shaped) }
}
