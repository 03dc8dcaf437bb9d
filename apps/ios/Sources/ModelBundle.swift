import Foundation

/// What one encoder takes: see the bundle's README.md.
struct Spec: Decodable {
    let shape: [Int]
    let rate: Double
    let window: Double
    let hop: Double
    let ttl: Double
    let device: String
}

/// Of one modality: the divisor of its logits, and the power of their own confidence that multiplies them.
struct Fitted: Decodable {
    let temperature: Double
    let power: Double
}

/// The confidence from which an answer is sure, how far sensors repeat each other (0 to 1), by modality what was fitted and the
/// least score of a familiar window, and the prior that opinions hold.
struct Calibration: Decodable {
    let threshold: Double
    let redundancy: Double
    let modalities: [String: Fitted]
    let familiar: [String: Double]
    let prior: [Double]?
}

struct BundleError: LocalizedError {
    let errorDescription: String?
    init(_ text: String) { errorDescription = text }
}

/// A bundle that `sensemble export` wrote: what its encoders take, where their programs lie, and the classifier.
struct ModelBundle {
    private struct Manifest: Decodable {
        struct Artifact: Decodable {
            struct Parity: Decodable {}
            let path: String
            let parity: Parity?
        }
        struct Entry: Decodable {
            let spec: Spec
            let artifacts: [String: Artifact]
        }
        struct File: Decodable { let path: String }
        let modalities: [String: Entry]
        let labels: [String]
        let task: String
        let head: File
        let tokenizer: File?
        let calibration: Calibration
    }

    struct Program {
        let target: String
        let file: URL
    }

    /// What runs on iOS, the fastest first; but one that was proved against its float original comes before any
    /// that was not, as in the runtime.
    static let targets = ["coreml", "executorch-xnnpack"]

    let specs: [String: Spec]
    let programs: [String: Program]
    let labels: [String]
    let head: Head
    let calibration: Calibration
    let tokenizer: Tokenizer?

    init(folder: URL) throws {
        let data = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
        let manifest = try JSONDecoder().decode(Manifest.self, from: data)
        // An encoder that was exported for other targets only cannot run here; its sensor stays off.
        programs = manifest.modalities.compactMapValues { entry in
            let here = ModelBundle.targets.filter { entry.artifacts[$0] != nil }
            let chosen = here.first { entry.artifacts[$0]!.parity != nil } ?? here.first
            return chosen.map {
                Program(target: $0, file: folder.appendingPathComponent(entry.artifacts[$0]!.path))
            }
        }
        let runnable = programs
        specs = manifest.modalities.mapValues(\.spec).filter { runnable[$0.key] != nil }
        guard !specs.isEmpty else {
            throw BundleError("It has no artifact for \(ModelBundle.targets.joined(separator: ", "))")
        }
        labels = manifest.labels
        calibration = manifest.calibration
        let weights = try Data(contentsOf: folder.appendingPathComponent(manifest.head.path))
        head = try Head(safetensors: weights, multiClass: manifest.task == "multi-class", modalities: manifest.modalities.keys.sorted())
        tokenizer = try manifest.tokenizer.map {
            try Tokenizer(json: Data(contentsOf: folder.appendingPathComponent($0.path)))
        }
    }
}

/// The classifier: `weight x embedding + bias`, times the confidence of that to a power, divided by a temperature, then softmax
/// or, multi-label, a sigmoid for each class. And how familiar a window is: the smaller of a linear score and the nearness of some
/// means of each class, by its embedding and modality.
struct Head {
    private struct Entry: Decodable {
        let dtype: String
        let data_offsets: [Int]
    }

    private let weight: [Float]
    private let bias: [Float]
    private let familiarWeight: [Float]
    private let familiarBias: [Float]
    private let familiarMeans: [Float]
    private let familiarOffset: [Float]
    let modalities: [String]
    let multiClass: Bool
    var size: Int { bias.count }

    init(safetensors: Data, multiClass: Bool, modalities: [String]) throws {
        let bytes = [UInt8](safetensors)
        let start = 8 + (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
        let header = try JSONDecoder().decode([String: Entry].self, from: Data(bytes[8..<start]))
        func tensor(_ name: String) throws -> [Float] {
            guard let entry = header[name], entry.dtype == "F32" else {
                throw BundleError("head.safetensors: no \(name) of type F32")
            }
            return stride(from: entry.data_offsets[0], to: entry.data_offsets[1], by: 4).map { offset in
                Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + offset + $1]) << (8 * $1) })
            }
        }
        weight = try tensor("weight")
        bias = try tensor("bias")
        let isScored = header["familiar_weight"] != nil
        familiarWeight = try isScored ? tensor("familiar_weight") : []
        familiarBias = try isScored ? tensor("familiar_bias") : []
        let hasMeans = header["familiar_means"] != nil
        familiarMeans = try hasMeans ? tensor("familiar_means") : []
        familiarOffset = try hasMeans ? tensor("familiar_offset") : []
        self.modalities = modalities
        self.multiClass = multiClass
    }

    func familiarity(_ modality: String, _ embedding: [Float]) -> Double {
        let row = modalities.firstIndex(of: modality)!
        let linear = score(familiarWeight, familiarBias, row, embedding)
        if familiarMeans.isEmpty { return linear }
        let each = familiarMeans.count / familiarBias.count / embedding.count
        let offsets = [Float](repeating: familiarOffset[row], count: (row + 1) * each)
        return min(linear, (row * each..<offsets.count).map { score(familiarMeans, offsets, $0, embedding) }.max()!)
    }

    /// Whether the linear score is below a limit; without means, it is not known.
    func isFar(_ modality: String, _ embedding: [Float], below limit: Double) -> Bool {
        let row = modalities.firstIndex(of: modality)!
        return !familiarMeans.isEmpty && score(familiarWeight, familiarBias, row, embedding) < limit
    }

    private func score(_ weight: [Float], _ bias: [Float], _ row: Int, _ x: [Float]) -> Double {
        x.indices.reduce(Double(bias[row])) { $0 + Double(weight[row * x.count + $1]) * Double(x[$1]) }
    }

    func probabilities(_ embedding: [Float], temperature: Double, power: Double) -> [Float] {
        let logits = bias.indices.map { score(weight, bias, $0, embedding) }
        if !multiClass { return logits.map { Float(1 / (1 + exp(-$0 / temperature))) } }
        let top = logits.max() ?? 0
        let confidence = 1 / logits.reduce(0) { $0 + exp($1 - top) }
        let scale = pow(confidence, power) / temperature
        let shares = logits.map { exp(($0 - top) * scale) }
        let whole = shares.reduce(0, +)
        return shares.map { Float($0 / whole) }
    }
}
