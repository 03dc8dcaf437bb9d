import Foundation

/// A window as its sensor gives it.
enum Window {
    case audio([Float])  // [S]
    case video([UInt8])  // [T, H, W, 3]
    case text(String)
}

/// Windows in, predictions out: one window of a modality is encoded at a time and the newest one wins, and an
/// encoder that fails takes its own modality away and nothing else.
@MainActor
final class Session {
    private var live: LiveSet
    private let clock: () -> Double
    private let encode: (String, Window) async throws -> [Float]
    private let changed: (Prediction?, [String: String]) -> Void
    private var waiting: [String: (window: Window, time: Double)] = [:]
    private var busy: Set<String> = []
    private var lostAt: [String: Double] = [:]
    private var failures: [String: String] = [:]

    /// - Parameters:
    ///   - encode: runs the encoder of a modality on a window.
    ///   - changed: is called with the prediction, if any, and the failures by modality.
    init(
        live: LiveSet, clock: @escaping () -> Double,
        encode: @escaping (String, Window) async throws -> [Float],
        changed: @escaping (Prediction?, [String: String]) -> Void
    ) {
        self.live = live
        self.clock = clock
        self.encode = encode
        self.changed = changed
    }

    /// Give a window of `modality` that ended at `time` (s).
    func offer(_ modality: String, _ window: Window, at time: Double) {
        waiting[modality] = (window, time)
        guard busy.insert(modality).inserted else { return }
        Task {
            while let (window, time) = waiting.removeValue(forKey: modality) {
                await step(modality, window, time)
            }
            busy.remove(modality)
        }
    }

    /// Say that a sensor is not there, and why; its next window says that it is back.
    func lost(_ modality: String, _ reason: String) {
        lostAt[modality] = clock()
        live.remove(modality)
        failures[modality] = reason
        report()
    }

    /// Predict again: an embedding leaves the live set by age, even if nothing new comes.
    func report() { changed(live.predict(at: clock()), failures) }

    private func step(_ modality: String, _ window: Window, _ time: Double) async {
        do {
            let embedding = try await encode(modality, window)
            // The sensor may have gone while its window was encoded.
            if time <= lostAt[modality] ?? -.infinity { return }
            live.put(modality, embedding, at: time)
            failures[modality] = nil
        } catch {
            live.remove(modality)
            failures[modality] = error.localizedDescription
        }
        report()
    }
}
