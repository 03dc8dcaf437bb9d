import AVFoundation
import Foundation
import Observation

/// What the screen shows, and the sensors behind it: whichever there are, each of them a modality of the session.
@MainActor @Observable
final class SessionModel {
    private(set) var prediction: Prediction?
    private(set) var problems: [String: String] = [:]
    private(set) var labels: [String] = []
    private(set) var camera: Camera?
    private(set) var takesCaptions = false

    @ObservationIgnored private var session: Session?
    @ObservationIgnored private var microphone: Microphone?

    /// Open the bundle and start whichever sensors there are; a refused one is a missing modality.
    func run() async {
        do {
            guard let folder = Bundle.main.url(forResource: "bundle", withExtension: nil) else {
                throw BundleError("There is none in the app; put one into Resources/bundle")
            }
            let bundle = try await Task.detached { try ModelBundle(folder: folder) }.value
            await start(bundle)
        } catch {
            problems["bundle"] = error.localizedDescription
        }
        while !Task.isCancelled {
            session?.report()
            try? await Task.sleep(for: .seconds(1))
        }
        camera?.stop()
        microphone?.stop()
    }

    func say(_ caption: String) {
        if caption.contains(where: { !$0.isWhitespace }) { session?.offer("text", .text(caption), at: now()) }
    }

    private func start(_ bundle: ModelBundle) async {
        labels = bundle.labels
        takesCaptions = bundle.specs["text"] != nil
        let encoders = Encoders(bundle: bundle)
        session = Session(
            live: LiveSet(specs: bundle.specs, head: bundle.head, calibration: bundle.calibration), clock: now,
            encode: { try await encoders.encode($0, $1) },
            changed: { [weak self] in
                self?.prediction = $0
                self?.problems = $1
            })
        if let spec = bundle.specs["video"], await permits(.video, "video") { see(spec) }
        if let spec = bundle.specs["audio"], await permits(.audio, "audio") { hear(spec) }
    }

    private func permits(_ media: AVMediaType, _ modality: String) async -> Bool {
        let granted = await AVCaptureDevice.requestAccess(for: media)
        if !granted { session?.lost(modality, "not permitted") }
        return granted
    }

    private func see(_ spec: Spec) {
        do {
            camera = try Camera(spec: spec) { [weak self] window in
                let time = now()  // the camera has a clock of its own
                Task { @MainActor in self?.session?.offer("video", .video(window), at: time) }
            } lost: { [weak self] reason in
                Task { @MainActor in self?.session?.lost("video", reason) }
            }
        } catch {
            session?.lost("video", error.localizedDescription)
        }
    }

    private func hear(_ spec: Spec) {
        microphone = Microphone(spec: spec) { [weak self] window, time in
            Task { @MainActor in self?.session?.offer("audio", .audio(window), at: time) }
        } lost: { [weak self] reason in
            self?.session?.lost("audio", reason)
        }
        microphone?.start()
    }
}

/// The clock of the session (s).
func now() -> Double { ProcessInfo.processInfo.systemUptime }
