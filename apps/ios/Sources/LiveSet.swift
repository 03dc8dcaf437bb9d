/// Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`.
private let skew = 2.0

/// Modalities of a bundle of which every subset is measured.
private let most = 6

/// What is known now: the modalities that count, the probability of each label, which come into question, and if one is sure.
struct Prediction {
    let live: [String]
    let probabilities: [Float]
    let candidates: [Int]
    var sure: Bool
}

/// The newest embedding of each modality, for as long as it is fresh.
struct LiveSet {
    private var entries: [String: (embedding: [Float], time: Double)] = [:]
    private let specs: [String: Spec]
    private let head: Head
    private let calibration: Calibration
    private var suspicion: Suspicion

    init(specs: [String: Spec], head: Head, calibration: Calibration) {
        self.specs = specs
        self.head = head
        self.calibration = calibration
        suspicion = Suspicion(specs.keys.sorted())
    }

    /// Keep the embedding of a window that ended at `time` (s).
    mutating func put(_ modality: String, _ embedding: [Float], at time: Double) {
        entries[modality] = (embedding, time)
    }

    mutating func remove(_ modality: String) {
        entries[modality] = nil
        suspicion.forget(modality)
    }

    /// The classes of the mean of the live, familiar embeddings, or nil if nothing is live; judged as by the runtime.
    mutating func predict(at now: Double) -> Prediction? {
        let near = near(at: now)
        if near.isEmpty { return nil }
        var live = near.filter(isFamiliar)
        if live.isEmpty {
            let uniform = [Float](repeating: 1 / Float(head.size), count: head.size)
            return Prediction(live: near, probabilities: uniform, candidates: Array(0..<head.size), sure: false)
        }
        if head.multiClass {
            let alone = Dictionary(uniqueKeysWithValues: live.map { ($0, judge([$0]).probabilities) })
            let suspect = suspicion.note(alone, at: now)
            if live.count > 1 { live.removeAll { $0 == suspect } }
        }
        var whole = judge(live, as: measuredAs(live))
        let alone = live.map { Set(judge([$0]).candidates) }
        // Of two modalities without a candidate in common, one is wrong.
        let apart = alone.contains { one in alone.contains { one.isDisjoint(with: $0) } }
        if head.multiClass && apart { whole.sure = false }
        return whole
    }

    private func isFamiliar(_ modality: String) -> Bool {
        guard let least = calibration.familiar[modality] else { return true }
        return head.familiarity(modality, entries[modality]!.embedding) >= least
    }

    /// The subset whose numbers a live set takes: its own or, if it was not measured, the nearest, of several the smallest.
    private func measuredAs(_ live: [String]) -> String {
        let own = live.joined(separator: "+")
        if head.modalities.count <= most || calibration.subsets[own] != nil { return own }
        func rank(_ name: String) -> (Int, Int, String) {
            let one = name.split(separator: "+").map(String.init)
            return (Set(one).symmetricDifference(live).count, one.count, name)
        }
        return calibration.subsets.keys.min { rank($0) < rank($1) } ?? own
    }

    private func judge(_ live: [String], as measured: String? = nil) -> Prediction {
        let pooled = entries[live[0]]!.embedding.indices.map { i in
            live.reduce(Float(0)) { $0 + entries[$1]!.embedding[i] } / Float(live.count)
        }
        let name = measured ?? live.joined(separator: "+")
        let fitted = calibration.subsets[name] ?? Fitted(temperature: 1, power: 0, threshold: 0)
        let probabilities = head.probabilities(pooled, temperature: fitted.temperature, power: fitted.power)
        let candidates = head.candidates(probabilities, threshold: fitted.threshold)
        let isStrong = Double(probabilities.max() ?? 0) >= calibration.floor
        let sure = fitted.threshold > 0 && candidates.count == 1 && isStrong
        return Prediction(live: live, probabilities: probabilities, candidates: candidates, sure: sure)
    }

    private func near(at now: Double) -> [String] {
        let fresh = entries.filter { now <= $0.value.time + specs[$0.key]!.ttl }
        // A caption has no window: it holds for its time to live.
        let ends = fresh.filter { specs[$0.key]!.hop > 0 }.mapValues(\.time)
        let oldest = (ends.values.max() ?? 0) - skew
        return fresh.keys.filter { ends[$0] ?? oldest >= oldest }.sorted()
    }
}
