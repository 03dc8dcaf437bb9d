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

/// A device: the rows of its sensors, and the probability that it lies as a whole.
struct Witness: Decodable { let rows: [Int], lies: Double }

/// The rows of the sensors of each device, sorted, by the device of each sensor, empty without one.
func carried(_ devices: [String]) -> [(device: String, rows: [Int])] {
    Set(devices).subtracting([""]).sorted().map { device in (device, devices.indices.filter { devices[$0] == device }) }
}

/// The probabilities of the classes, by the calibrated opinion of each live sensor and the probability that it lies: the
/// runtime's `engine/belief.py`, which explains it. The answer is as sure as that of any part of the sensors that the others
/// agree with. Without a prior, the classes are alike before any sensor.
func fuse(
    _ opinions: [[Double]], lies: [Double], redundancy: Double, multiClass: Bool, prior: [Double] = [],
    witnesses: [Witness] = []
) -> [Double] {
    let n = opinions.count
    let classes = opinions[0].indices
    func logs(_ opinion: [Double], _ row: Int, _ size: Int, _ before: [Double] = []) -> [Double] {
        likelihoods(opinion, power: pow(Double(size), -redundancy), prior: before).map { log((1 - lies[row]) * $0 + lies[row]) }
    }
    if !multiClass {
        return classes.map { c in
            let pairs = opinions.indices.map { logs([opinions[$0][c], 1 - opinions[$0][c]], $0, n) }
            let both = joined(pairs, Array(pairs.indices), witnesses)
            return 1 / (1 + exp(both[1] - both[0]))
        }
    }
    // As calibrated, as far as it is not suspected more than any.
    func alone(_ row: Int) -> [Double] {
        let (own, device) = (excess(lies[row]), witnesses.first { $0.rows.contains(row) })
        let suspected = own + excess(device?.lies ?? rare) * (1 - own)
        return opinions[row].map { $0 + suspected * (1 / Double(classes.count) - $0) }
    }
    var bySize: [Int: [[Double]]] = [:]
    func believed(_ part: [Int]) -> [Double] {
        if part.count == 1 { return alone(part[0]) }
        let known = bySize[part.count] ?? opinions.indices.map { logs(opinions[$0], $0, part.count, prior) }
        bySize[part.count] = known
        let logs = joined(known, part, witnesses, prior)
        let sums = classes.map { logs[$0] + (prior.isEmpty ? 0 : log(prior[$0])) }
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

/// The log-likelihoods of a part of the sensors, of which those of a device are one.
private func joined(_ logs: [[Double]], _ part: [Int], _ witnesses: [Witness], _ prior: [Double] = []) -> [Double] {
    witnesses.reduce(sums(logs, part)) { found, witness in
        let some = witness.rows.filter(part.contains)
        let chance = chanceOf(witness.lies, some.count, part.count)
        if chance <= 0 { return found }
        let own = sums(logs, some)
        let both = mixed(own, chance, prior)
        return found.indices.map { found[$0] - own[$0] + both[$0] }
    }
}

private func sums(_ logs: [[Double]], _ rows: [Int]) -> [Double] {
    logs[0].indices.map { c in rows.reduce(0) { $0 + logs[$1][c] } }
}

private func excess(_ lies: Double) -> Double { max(lies - rare, 0) / (1 - rare) }

/// The probability that a device lies, `some` of whose sensors are live, of `every` live ones.
private func chanceOf(_ lies: Double, _ some: Int, _ every: Int) -> Double {
    if some == 0 { return 0 }
    return 1 < some && some < every ? lies : excess(lies)
}

/// The log-likelihoods of a device that may lie as a whole, by those of its sensors.
private func mixed(_ own: [Double], _ chance: Double, _ prior: [Double] = []) -> [Double] {
    let most = own.max()!
    let shares = own.map { exp($0 - most) }
    let mean = shares.indices.reduce(0) { $0 + shares[$1] * (prior.isEmpty ? 1 / Double(own.count) : prior[$1]) }
    return shares.map { log((1 - chance) * $0 / mean + chance) }
}

private func mean(_ numbers: [Double]) -> Double { numbers.reduce(0, +) / Double(numbers.count) }

/// How much more probable a window is under each class than without knowing it.
private func likelihoods(_ opinion: [Double], power: Double = 1, prior: [Double] = []) -> [Double] {
    let before = prior.isEmpty ? opinion.map { _ in 1 / Double(opinion.count) } : prior
    let ratios = zip(opinion, before).map { pow($0 / $1, power) }
    let whole = zip(before, ratios).reduce(0) { $0 + $1.0 * $1.1 }
    return ratios.map { (1 - least) * $0 / whole + least }
}

/// The place of the largest number, the first of several.
func top(_ numbers: [Double]) -> Int { numbers.firstIndex(of: numbers.max()!)! }

/// The likeliest class by all log-likelihoods, and by all but each of some parts.
private func tops(_ logs: [[Double]], _ parts: [[Int]]) -> [Int] {
    let every = sums(logs, Array(logs.indices))
    return [top(every)] + parts.map { part in top(zip(every, sums(logs, part)).map { $0 - $1 }) }
}

/// The probability that each modality lies, learned from scene to scene; times are in seconds.
struct Belief {
    private let modalities: [String]
    private var chances: [Double]  // when the scene began
    private let devices: [(device: String, rows: [Int])]  // those of two modalities or more, which may lie as a whole
    private var turned: [Double]  // the probability of each that it does
    private var scene: [[Double]]?  // the likelihoods of its moment in which most agreed
    private var agreement = -Double.infinity
    private var first: [String: [Double]] = [:]  // their logarithms when each was first live in it
    private var began = -Double.infinity

    init(_ modalities: [String], deviceOf: (String) -> String = { _ in "" }) {
        self.modalities = modalities
        chances = modalities.map { _ in rare }
        devices = carried(modalities.map(deviceOf)).filter { $0.rows.count > 1 }
        turned = devices.map { _ in rare }
    }

    /// The probability that a modality lies, by the scenes before this one.
    func lies(_ modality: String) -> Double { chances[modalities.firstIndex(of: modality)!] }

    /// The probability that a device lies as a whole; `rare` if it has one modality.
    func turned(_ device: String) -> Double { devices.firstIndex { $0.device == device }.map { turned[$0] } ?? rare }

    /// Note the opinions of one moment; the suspects: a sensor, or those of a device.
    mutating func note(_ opinions: [String: [Double]], at now: Double) -> [String] {
        guard let classes = opinions.first?.value.count else { return [] }
        let said = modalities.map { opinions[$0].map { likelihoods($0) } ?? Array(repeating: 1, count: classes) }
        let logs = said.map { $0.map { log($0) } }
        let sums = (0..<classes).map { c in logs.reduce(0) { $0 + $1[c] } }
        let most = sums.max()!
        let agreed = most + log(sums.reduce(0) { $0 + exp($1 - most) })
        let live = zip(modalities, logs).filter { opinions[$0.0] != nil }
        if now - began >= sceneLength && isOver(live) {
            if let scene {
                let found = posterior(scene)
                chances = found.lies.map { (1 - rare) * $0 + rare * rare }
                turned = found.turned.map { (1 - rare) * $0 + rare * rare }
            }
            (scene, agreement, began, first) = (said, agreed, now, [:])
        } else if agreed > agreement {
            (scene, agreement) = (said, agreed)  // sensors that lag behind disagree for a while
        }
        for (modality, row) in live where first[modality] == nil { first[modality] = row }
        let found = posterior(said)
        let rows = modalities.indices.filter { opinions[modalities[$0]] != nil && found.lying[$0] > likely }
        let isOne = zip(devices, found.turned).contains { one, chance in
            chance > likely && rows.allSatisfy(one.rows.contains)
        }
        return rows.count == 1 || isOne ? rows.map { modalities[$0] } : []  // two that contradict each other are both suspect
    }

    /// Whether those that were live say something else, all together or without one or a device: one that only comes or goes begins no scene.
    private func isOver(_ live: [(String, [Double])]) -> Bool {
        let both = live.filter { first[$0.0] != nil }
        let parts = both.indices.map { [$0] } + devices.map { one in
            both.indices.filter { place in one.rows.contains { modalities[$0] == both[place].0 } }
        }
        return both.isEmpty || tops(both.map { $0.1 }, parts) != tops(both.map { first[$0.0]! }, parts)
    }

    /// Forget what was noted of a modality, whose sensor left, and of a device without another.
    mutating func forget(_ modality: String) {
        guard let row = modalities.firstIndex(of: modality) else { return }
        chances[row] = rare
        first[modality] = nil
        for (place, one) in devices.enumerated() where one.rows.allSatisfy({ first[modalities[$0]] == nil }) {
            turned[place] = rare
        }
        if let known = scene { scene![row] = known[row].map { _ in 1 } }
    }

    /// Who lies: each modality by itself, by itself or with its device, and each device.
    private typealias Found = (lies: [Double], lying: [Double], turned: [Double])

    /// Who lies, by the likelihoods of a moment and the probabilities before it.
    private func posterior(_ said: [[Double]]) -> Found {
        let live = said.map { row in row.contains { $0 != 1 } }
        let every = live.filter { $0 }.count
        let logs = zip(said, chances).map { row, chance in row.map { log((1 - chance) * $0 + chance) } }
        let some = devices.map { one in one.rows.filter { live[$0] }.count }
        let may = devices.indices.map { chanceOf(turned[$0], some[$0], every) }
        let own = devices.map { sums(logs, $0.rows) }
        let both = devices.indices.map { may[$0] > 0 ? mixed(own[$0], may[$0]) : own[$0] }
        let whole = devices.indices.reduce(sums(logs, Array(logs.indices))) { found, place in
            found.indices.map { found[$0] - own[place][$0] + both[place][$0] }
        }
        let largest = whole.max()!  // keeps the exponentials from overflowing
        let everybody = mean(whole.map { exp($0 - largest) })
        var lies = zip(logs, chances).map { row, chance in
            chance * mean(zip(whole, row).map { exp($0 - $1 - largest) }) / everybody
        }
        var (lying, now) = (lies, turned)
        for (place, one) in devices.enumerated() where may[place] > 0 {
            let others = zip(whole, both[place]).map { exp($0 - $1 - largest) }
            let isTurned = may[place] * mean(others) / everybody
            let most = own[place].max()!
            let average = mean(own[place].map { exp($0 - most) })
            for row in one.rows {
                let rest = zip(own[place], logs[row]).map { exp($0 - $1 - most) / average }
                let honest = chances[row] * (1 - may[place]) * mean(zip(rest, others).map { $0 * $1 }) / everybody
                lying[row] = isTurned + honest
                lies[row] = honest + chances[row] * mean(rest) * isTurned
            }
            let isWhole = 1 < some[place] && some[place] < every
            now[place] = isWhole ? isTurned : rare + (1 - rare) * isTurned
        }
        return (lies, lying, now)
    }
}
