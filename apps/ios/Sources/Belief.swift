import Foundation

/// The probability that a sensor lies before any evidence, or that a scene changes whether it does.
let rare = 0.02
/// Seconds that a scene lasts at least; its windows count once.
private let sceneLength = 2.0
/// The probability from which a sensor is a suspect.
private let likely = 0.5
/// This share of an opinion is no evidence.
private let least = 0.01
/// Modalities of which every subset is a part that may answer; of more, each, all but each, and all.
private let most = 6

/// The probabilities of the classes, by the calibrated opinion of each live sensor and the probability that it lies: the
/// runtime's `engine/belief.py`, which explains it. The answer is as sure as that of any part of the sensors that the others
/// agree with. Without a prior, the classes are alike before any sensor.
func fuse(
    _ opinions: [[Double]], lies: [Double], redundancy: Double, multiClass: Bool, prior: [Double] = []
) -> [Double] {
    let n = opinions.count
    let classes = opinions[0].indices
    func logs(_ opinion: [Double], _ row: Int, _ size: Int, _ before: [Double] = []) -> [Double] {
        likelihoods(opinion, power: pow(Double(size), -redundancy), prior: before).map { log((1 - lies[row]) * $0 + lies[row]) }
    }
    if !multiClass {
        return classes.map { c in
            let pairs = opinions.indices.map { logs([opinions[$0][c], 1 - opinions[$0][c]], $0, n) }
            return 1 / (1 + exp(pairs.reduce(0) { $0 + $1[1] - $1[0] }))
        }
    }
    // As calibrated, as far as it is not suspected more than any.
    func alone(_ row: Int) -> [Double] {
        let suspected = max(lies[row] - rare, 0) / (1 - rare)
        return opinions[row].map { $0 + suspected * (1 / Double(classes.count) - $0) }
    }
    var bySize: [Int: [[Double]]] = [:]
    func believed(_ part: [Int]) -> [Double] {
        if part.count == 1 { return alone(part[0]) }
        let known = bySize[part.count] ?? opinions.indices.map { logs(opinions[$0], $0, part.count, prior) }
        bySize[part.count] = known
        let sums = classes.map { c in part.reduce(prior.isEmpty ? 0 : log(prior[c])) { $0 + known[$1][c] } }
        let odds = sums.map { exp($0 - sums.max()!) }
        let whole = odds.reduce(0, +)
        return odds.map { $0 / whole }
    }
    let tops = opinions.map(top)
    var (best, surest) = ([Double](), 0.0)
    for part in parts(n) {
        let own = believed(part)
        let label = top(own)
        let agreed = tops.indices.allSatisfy { tops[$0] == label || part.contains($0) }
        if agreed && own[label] > surest { (best, surest) = (own, own[label]) }
    }
    return best
}

/// The sets of `n` sensors whose answers are asked, the largest first.
private func parts(_ n: Int) -> [[Int]] {
    let all = Array(0..<n)
    if n > most { return [all] + all.map { one in all.filter { $0 != one } } + all.map { [$0] } }
    return (1..<1 << n).map { bits in all.filter { bits >> $0 & 1 == 1 } }.sorted { $0.count > $1.count }
}

/// How much more probable a window is under each class than without knowing it.
private func likelihoods(_ opinion: [Double], power: Double = 1, prior: [Double] = []) -> [Double] {
    let before = prior.isEmpty ? opinion.map { _ in 1 / Double(opinion.count) } : prior
    let ratios = zip(opinion, before).map { pow($0 / $1, power) }
    let whole = zip(before, ratios).reduce(0) { $0 + $1.0 * $1.1 }
    return ratios.map { (1 - least) * $0 / whole + least }
}

/// The place of the largest number, the first of several.
func top(_ numbers: [Double]) -> Int { numbers.firstIndex(of: numbers.max()!)! }

/// The likeliest class by all, and by all but each, of log-likelihoods.
private func tops(_ logs: [[Double]]) -> [Int] {
    let whole = logs[0].indices.map { c in logs.reduce(0) { $0 + $1[c] } }
    return [top(whole)] + logs.map { row in top(zip(whole, row).map { $0 - $1 }) }
}

/// The probability that each modality lies, learned from scene to scene; times are in seconds.
struct Belief {
    private let modalities: [String]
    private var chances: [Double]  // when the scene began
    private var scene: [[Double]]?  // the likelihoods of its moment in which most agreed
    private var agreement = -Double.infinity
    private var first: [String: [Double]] = [:]  // their logarithms when each was first live in it
    private var began = -Double.infinity

    init(_ modalities: [String]) {
        self.modalities = modalities
        chances = modalities.map { _ in rare }
    }

    /// The probability that a modality lies, by the scenes before this one.
    func lies(_ modality: String) -> Double { chances[modalities.firstIndex(of: modality)!] }

    /// Note the opinions of one moment; the suspect, if one sensor alone is likely to lie.
    mutating func note(_ opinions: [String: [Double]], at now: Double) -> String? {
        guard let classes = opinions.first?.value.count else { return nil }
        let said = modalities.map { opinions[$0].map { likelihoods($0) } ?? Array(repeating: 1, count: classes) }
        let logs = said.map { $0.map { log($0) } }
        let sums = (0..<classes).map { c in logs.reduce(0) { $0 + $1[c] } }
        let most = sums.max()!
        let agreed = most + log(sums.reduce(0) { $0 + exp($1 - most) })
        let live = zip(modalities, logs).filter { opinions[$0.0] != nil }
        if now - began >= sceneLength && isOver(live) {
            if let scene { chances = posterior(scene).map { (1 - rare) * $0 + rare * rare } }
            (scene, agreement, began, first) = (said, agreed, now, [:])
        } else if agreed > agreement {
            (scene, agreement) = (said, agreed)  // sensors that lag behind disagree for a while
        }
        for (modality, row) in live where first[modality] == nil { first[modality] = row }
        let found = posterior(said)
        let suspects = modalities.indices.filter { opinions[modalities[$0]] != nil && found[$0] > likely }
        return suspects.count == 1 ? modalities[suspects[0]] : nil  // two that contradict each other are both suspect
    }

    /// Whether those that were live say something else, all together or without one: one that only comes or goes begins no scene.
    private func isOver(_ live: [(String, [Double])]) -> Bool {
        let both = live.filter { first[$0.0] != nil }
        return both.isEmpty || tops(both.map { $0.1 }) != tops(both.map { first[$0.0]! })
    }

    /// Forget what was noted of a modality, whose sensor left.
    mutating func forget(_ modality: String) {
        guard let row = modalities.firstIndex(of: modality) else { return }
        chances[row] = rare
        first[modality] = nil
        if let known = scene { scene![row] = known[row].map { _ in 1 } }
    }

    /// The probability that each modality lies, by its likelihoods and those before.
    private func posterior(_ said: [[Double]]) -> [Double] {
        let logs = zip(said, chances).map { row, chance in row.map { log((1 - chance) * $0 + chance) } }
        let whole = logs[0].indices.map { c in logs.reduce(0) { $0 + $1[c] } }
        let largest = whole.max()!  // keeps the exponentials from overflowing
        let everybody = whole.reduce(0) { $0 + exp($1 - largest) }
        return zip(logs, chances).map { row, chance in
            chance * zip(whole, row).reduce(0) { $0 + exp($1.0 - $1.1 - largest) } / everybody
        }
    }
}
