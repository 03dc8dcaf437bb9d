/// What is known now: the modalities that count, and the probability of each label.
struct Prediction {
    let live: [String]
    let probabilities: [Float]
}

/// The newest embedding of each modality, for as long as it is fresh.
struct LiveSet {
    private var entries: [String: (embedding: [Float], time: Double)] = [:]
    private let specs: [String: Spec]
    private let head: Head

    init(specs: [String: Spec], head: Head) {
        self.specs = specs
        self.head = head
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
        let live = entries.filter { now - $0.value.time <= specs[$0.key]!.ttl }
        guard let size = live.first?.value.embedding.count else { return nil }
        let names = live.keys.sorted()
        let pooled = (0..<size).map { i in
            names.reduce(Float(0)) { $0 + live[$1]!.embedding[i] } / Float(names.count)
        }
        return Prediction(live: names, probabilities: head.probabilities(pooled))
    }
}
