import Foundation

/// Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`.
private let skew = 2.0

/// The odds that a window shows one of the classes, before any evidence.
private let knownOdds = 29.0

/// The excess of a score of familiarity over its limit that speaks neither for a known scene nor against it.
private let margin = 1.5

/// The log-odds by which a strange sensor speaks against a known scene.
private let strangeness = 4.0

/// The most that an opinion is doubted: it still has a likeliest class.
private let mostDoubt = 0.99

/// Why an answer is unsure: no window is like those of training, several classes are likely, or sensors disagree.
enum Doubt { case unfamiliar, several, disagreement }

/// What is known now: the modalities that count, the probability of each label, the fewest that together are as probable as a sure
/// answer must be (likeliest first), and why it is unsure.
struct Prediction {
    let live: [String]
    let probabilities: [Float]
    let candidates: [Int]
    let doubt: Doubt?
    var sure: Bool { doubt == nil }

    init(live: [String], probabilities: [Float], threshold: Double, doubt: Doubt?) {
        self.live = live
        self.probabilities = probabilities
        self.doubt = doubt
        var before = 0.0
        let order = probabilities.indices.sorted { (probabilities[$1], $0) < (probabilities[$0], $1) }
        var chosen: [Int] = []
        for label in order where before < threshold {
            chosen.append(label)
            before += Double(probabilities[label])
        }
        candidates = chosen
    }
}

/// The unfamiliar sensors that speak against a known scene: a far one does if an earlier one is far, but none of its own device.
func strange(_ unfamiliar: [String], isFar: (String) -> Bool, device: (String) -> String) -> [String] {
    var broken = Set<String>()  // devices, and by "+" and its name what has none: a device may have the name of a sensor
    func breaks(_ modality: String) -> Bool {
        broken.insert(device(modality).isEmpty ? "+" + modality : device(modality)).inserted && broken.count > 1
    }
    return unfamiliar.filter { !isFar($0) || breaks($0) }
}

/// The newest embedding of each modality, for as long as it is fresh.
struct LiveSet {
    private var entries: [String: (embedding: [Float], time: Double)] = [:]
    private let specs: [String: Spec]
    private let head: Head
    private let calibration: Calibration
    private var belief: Belief
    private var changed = false  // since the belief noted what is live
    private var suspects: [String] = []

    init(specs: [String: Spec], head: Head, calibration: Calibration) {
        self.specs = specs
        self.head = head
        self.calibration = calibration
        belief = Belief(specs.keys.sorted()) { specs[$0]!.device }
    }

    /// Keep the embedding of a window that ended at `time` (s).
    mutating func put(_ modality: String, _ embedding: [Float], at time: Double) {
        entries[modality] = (embedding, time)
        changed = true
    }

    mutating func remove(_ modality: String) {
        entries[modality] = nil
        belief.forget(modality)
    }

    /// What the live, familiar modalities say together, or nil if nothing is live.
    mutating func predict(at now: Double) -> Prediction? {
        let near = near(at: now)
        if near.isEmpty { return nil }
        let familiar = near.filter(isFamiliar)
        let live = familiar.isEmpty ? near.filter { (score($0) ?? 0) >= -log(knownOdds) } : familiar  // a guess
        if live.isEmpty {
            return prediction(near, Array(repeating: 1 / Double(head.size), count: head.size), .unfamiliar)
        }
        let classes = live.map(classes)
        let opinions = zip(live, classes).map { modality, found in
            score(modality).map { doubted(found, known: $0) } ?? found
        }
        let devices = carried(live.map { specs[$0]!.device }).map { Witness(rows: $0.rows, lies: belief.turned($0.device)) }
        var fused = fuse(
            classes, lies: live.map(belief.lies), redundancy: calibration.redundancy, multiClass: head.multiClass,
            prior: calibration.prior ?? [], witnesses: devices)
        let unfamiliar = near.filter { !live.contains($0) }
        let against = strange(unfamiliar, isFar: isFar, device: { specs[$0]!.device }).count
        if let known = known(live, strange: against) { fused = doubted(fused, known: known) }
        if familiar.isEmpty { return prediction(near, fused, .unfamiliar) }
        if head.multiClass && changed {
            suspects = belief.note(Dictionary(uniqueKeysWithValues: zip(live, opinions)), at: now)
        }
        changed = false
        let unsure: Doubt = Set(opinions.map(top)).count > 1 ? .disagreement : .several
        let trusted = live.count > 1 ? live.filter { !suspects.contains($0) } : live
        return prediction(trusted, fused, fused.max()! < calibration.threshold ? unsure : nil)
    }

    private func prediction(_ live: [String], _ fused: [Double], _ doubt: Doubt?) -> Prediction {
        Prediction(live: live, probabilities: fused.map { Float($0) }, threshold: calibration.threshold, doubt: doubt)
    }

    /// The log-odds that the scene is known, by the live sensors and the number of strange ones; nil if nothing tells.
    private func known(_ live: [String], strange: Int) -> Double? {
        let excess = live.compactMap { modality in
            score(modality).map { $0 - max(calibration.familiar[modality]! + margin, -log(knownOdds)) }
        }
        if excess.isEmpty { return nil }
        return live.count > 1 || strange > 0 ? excess.reduce(0, +) - strangeness * Double(strange) : score(live[0])
    }

    /// The calibrated probabilities of the classes, if the newest window shows one.
    private func classes(_ modality: String) -> [Double] {
        let fitted = calibration.modalities[modality] ?? Fitted(temperature: 1, power: 0)
        let embedding = entries[modality]!.embedding
        return head.probabilities(embedding, temperature: fitted.temperature, power: fitted.power).map(Double.init)
    }

    /// The probabilities, mixed with no evidence as far as windows may show no class, by their log-odds.
    private func doubted(_ classes: [Double], known: Double) -> [Double] {
        let unknown = min(mostDoubt, 1 / (1 + knownOdds * exp(known)))
        let nothing = head.multiClass ? 1 / Double(classes.count) : 0.5
        return classes.map { $0 + unknown * (nothing - $0) }
    }

    private func isFamiliar(_ modality: String) -> Bool {
        guard let score = score(modality) else { return true }
        return score >= calibration.familiar[modality]!
    }

    /// Whether the newest window is as of a covered or broken sensor: it says nothing of the scene.
    private func isFar(_ modality: String) -> Bool {
        head.isFar(modality, entries[modality]!.embedding, below: calibration.familiar[modality]!)
    }

    /// The log-odds that the newest window is like those that were learned; nil if the bundle has no such score.
    private func score(_ modality: String) -> Double? {
        calibration.familiar[modality].map { _ in head.familiarity(modality, entries[modality]!.embedding) }
    }

    private func near(at now: Double) -> [String] {
        let fresh = entries.filter { now <= $0.value.time + specs[$0.key]!.ttl }
        // A caption has no window: it holds for its time to live.
        let ends = fresh.filter { specs[$0.key]!.hop > 0 }.mapValues(\.time)
        let oldest = (ends.values.max() ?? 0) - skew
        return fresh.keys.filter { ends[$0] ?? oldest >= oldest }.sorted()
    }
}
