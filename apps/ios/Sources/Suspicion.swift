import Foundation

/// The probability that a sensor lies before any evidence, and that a scene changes who does.
private let rare = 0.02
/// Seconds that a scene lasts at least; its windows count once.
private let scene = 2.0
/// The least probability of an opinion that counts, relative to no evidence.
private let least = 1e-2

/// Which modality contradicts the others, which agree, scene by scene: the runtime's `session/suspicion.py`.
struct Suspicion {
    private let modalities: [String]
    // Of each explanation: none lies, this one does (in order), or several do.
    private let prior: [Double]
    private var chances: [Double]
    private var evidence: [Double]
    private var likeliest: [Int] = []
    private var began = -Double.infinity

    init(_ modalities: [String]) {
        self.modalities = modalities
        let others = modalities.count + 1
        prior = [1 - Double(others) * rare] + Array(repeating: rare, count: others)
        chances = prior
        evidence = prior.map { _ in 1 }
    }

    /// The suspect among the modalities of one moment (s), by the probabilities that each gives alone.
    mutating func note(_ opinions: [String: [Float]], at now: Double) -> String? {
        guard let classes = opinions.first?.value.count else { return nil }
        let logs = modalities.map { modality -> [Double] in
            guard let said = opinions[modality] else { return Array(repeating: 0, count: classes) }
            return said.map { log(max(Double($0) * Double(classes), least)) }
        }
        let everybody = (0..<classes).map { c in logs.reduce(0) { $0 + $1[c] } }
        let rests = logs.map { log in zip(everybody, log).map { $0 - $1 } }
        let found = ([everybody] + rests).map { $0.reduce(0) { $0 + exp($1) } / Double(classes) } + [1]
        let best = rests.map { rest in rest.firstIndex(of: rest.max()!)! }
        if best != likeliest && now - began >= scene {
            chances = zip(shares(evidence), prior).map { (1 - rare) * $0 + rare * $1 }
            (evidence, likeliest, began) = (found, best, now)
        } else if found[0] > evidence[0] {
            evidence = found
        }
        let lies = shares(found).dropFirst().dropLast()
        guard let most = lies.max(), most > 0.5 else { return nil }
        let suspect = modalities[lies.firstIndex(of: most)! - 1]
        return opinions[suspect] == nil ? nil : suspect
    }

    /// Forget what was noted of a modality, whose sensor left.
    mutating func forget(_ modality: String) {
        guard let row = modalities.firstIndex(of: modality).map({ $0 + 1 }) else { return }
        let excess = max(chances[row] - prior[row], 0)
        chances[0] += excess
        chances[row] -= excess
        evidence = prior.map { _ in 1 }
    }

    private func shares(_ evidence: [Double]) -> [Double] {
        let weights = zip(chances, evidence).map { $0 * $1 }
        let whole = weights.reduce(0, +)
        return weights.map { $0 / whole }
    }
}
