/// Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`.
private let skew = 2.0

/// What is known now: the modalities that count, the probability of each label, and which come into question.
struct Prediction {
    let live: [String]
    let probabilities: [Float]
    let candidates: [Int]
}

/// The newest embedding of each modality, for as long as it is fresh.
struct LiveSet {
    private var entries: [String: (embedding: [Float], time: Double)] = [:]
    private let specs: [String: Spec]
    private let head: Head
    private let calibration: [String: Calibration]

    init(specs: [String: Spec], head: Head, calibration: [String: Calibration]) {
        self.specs = specs
        self.head = head
        self.calibration = calibration
    }

    /// Keep the embedding of a window that ended at `time` (s).
    mutating func put(_ modality: String, _ embedding: [Float], at time: Double) {
        entries[modality] = (embedding, time)
    }

    mutating func remove(_ modality: String) {
        entries[modality] = nil
    }

    /// The classes of the mean of the live embeddings, or nil if nothing is live.
    func predict(at now: Double) -> Prediction? {
        let live = live(at: now)
        guard let size = live.first.map({ entries[$0]!.embedding.count }) else { return nil }
        let pooled = (0..<size).map { i in
            live.reduce(Float(0)) { $0 + entries[$1]!.embedding[i] } / Float(live.count)
        }
        let fitted = calibration[live.joined(separator: "+")] ?? Calibration(temperature: 1, power: 0, threshold: 0)
        let probabilities = head.probabilities(pooled, temperature: fitted.temperature, power: fitted.power)
        let candidates = head.candidates(probabilities, threshold: fitted.threshold)
        return Prediction(live: live, probabilities: probabilities, candidates: candidates)
    }

    private func live(at now: Double) -> [String] {
        let fresh = entries.filter { now <= $0.value.time + specs[$0.key]!.ttl }
        // A caption has no window: it holds for its time to live.
        let ends = fresh.filter { specs[$0.key]!.hop > 0 }.mapValues(\.time)
        let oldest = (ends.values.max() ?? 0) - skew
        return fresh.keys.filter { ends[$0] ?? oldest >= oldest }.sorted()
    }
}
