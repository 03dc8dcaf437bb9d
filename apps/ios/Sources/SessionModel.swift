import AVFoundation
import Foundation
import Observation

/// Windows in, predictions out: one window of a modality is encoded at a time and the newest one wins, and what
/// fails takes its own modality away and nothing else.
@MainActor @Observable
final class SessionModel {
    private(set) var prediction: Prediction?
    private(set) var problems: [String: String] = [:]
    private(set) var labels: [String] = []
    private(set) var camera: Camera?
    private(set) var takesCaptions = false

    @ObservationIgnored private var live: LiveSet?
    @ObservationIgnored private var encoders: Encoders?
    @ObservationIgnored private var microphone: Microphone?
    @ObservationIgnored private var waiting: [String: (window: Window, time: Double)] = [:]
    @ObservationIgnored private var busy: Set<String> = []

    /// Open the bundle and start whichever sensors there are; a refused one is a missing modality.
    func run() async {
        do {
            guard let folder = Bundle.main.url(forResource: "bundle", withExtension: nil) else {
                throw BundleError("There is none in the app; put one into Resources/bundle")
            }
            let bundle = try await Task.detached { try ModelBundle(folder: folder) }.value
            labels = bundle.labels
            live = LiveSet(specs: bundle.specs, head: bundle.head)
            encoders = Encoders(bundle: bundle)
            takesCaptions = bundle.specs["text"] != nil
            if let spec = bundle.specs["video"] { await start("video", for: .video) { try self.see(spec) } }
            if let spec = bundle.specs["audio"] { await start("audio", for: .audio) { try self.hear(spec) } }
        } catch {
            problems["bundle"] = error.localizedDescription
        }
        // An embedding leaves the live set by age, even if nothing new comes.
        while !Task.isCancelled {
            prediction = live?.predict(at: now())
            try? await Task.sleep(for: .seconds(1))
        }
        camera?.stop()
        microphone?.stop()
    }

    func say(_ caption: String) {
        if caption.contains(where: { !$0.isWhitespace }) { offer("text", .text(caption)) }
    }

    private func start(_ modality: String, for media: AVMediaType, _ sensor: () throws -> Void) async {
        guard await AVCaptureDevice.requestAccess(for: media) else {
            problems[modality] = "not permitted"
            return
        }
        do { try sensor() } catch { problems[modality] = error.localizedDescription }
    }

    private func see(_ spec: Spec) throws {
        camera = try Camera(spec: spec) { [weak self] window in
            Task { @MainActor in self?.offer("video", .video(window)) }
        }
    }

    private func hear(_ spec: Spec) throws {
        microphone = try Microphone(spec: spec) { [weak self] window in
            Task { @MainActor in self?.offer("audio", .audio(window)) }
        }
    }

    private func offer(_ modality: String, _ window: Window) {
        waiting[modality] = (window, now())
        guard busy.insert(modality).inserted, let encoders else { return }
        Task {
            while let (window, time) = waiting.removeValue(forKey: modality) {
                do {
                    live?.put(modality, try await encoders.encode(modality, window), at: time)
                    problems[modality] = nil
                } catch {
                    live?.remove(modality)
                    problems[modality] = error.localizedDescription
                }
                prediction = live?.predict(at: now())
            }
            busy.remove(modality)
        }
    }

    private func now() -> Double { ProcessInfo.processInfo.systemUptime }
}
