import AVFoundation
import UIKit

/// The microphone at the encoder's rate, as windows, while the app is seen.
///
/// Another app, a call, or a headset that comes or goes stops it; it starts again when that is over.
@MainActor
final class Microphone {
    private let spec: Spec
    private let found: ([Float], Double) -> Void
    private let lost: (String) -> Void
    private var engine: AVAudioEngine?
    private var observers: [NSObjectProtocol] = []
    private var again: Task<Void, Error>?

    /// - Parameters:
    ///   - found: is given windows and when they ended, on the audio thread.
    ///   - lost: is called with the reason why there are none for now.
    init(spec: Spec, found: @escaping ([Float], Double) -> Void, lost: @escaping (String) -> Void) {
        self.spec = spec
        self.found = found
        self.lost = lost
        on(AVAudioSession.interruptionNotification) { microphone, info in
            let ended = info[AVAudioSessionInterruptionTypeKey] as? UInt
                == AVAudioSession.InterruptionType.ended.rawValue
            if ended { microphone.start() } else { microphone.pause("interrupted") }
        }
        on(UIApplication.didEnterBackgroundNotification) { microphone, _ in microphone.pause("not in the background") }
        on(UIApplication.willEnterForegroundNotification) { microphone, _ in microphone.start() }
        on(AVAudioSession.mediaServicesWereResetNotification) { microphone, _ in microphone.start() }
        on(.AVAudioEngineConfigurationChange) { microphone, _ in
            // Only the change that stopped it: to start it may be one, too.
            if microphone.engine?.isRunning == false { microphone.start() }
        }
    }

    /// Listen from now on, with an engine of its own, for the old one may have the format of another device; if that
    /// fails, report it and try again in a second.
    func start() {
        halt()
        do { try listen() } catch {
            lost(error.localizedDescription)
            again = Task { [weak self] in
                try await Task.sleep(for: .seconds(1))
                self?.start()
            }
        }
    }

    func stop() {
        observers.forEach(NotificationCenter.default.removeObserver)
        halt()
    }

    private func pause(_ reason: String) {
        halt()
        lost(reason)
    }

    private func halt() {
        again?.cancel()
        engine?.inputNode.removeTap(onBus: 0)
        engine?.stop()
        engine = nil
    }

    private func listen() throws {
        try AVAudioSession.sharedInstance().setCategory(.record, mode: .measurement)
        try AVAudioSession.sharedInstance().setActive(true)
        let engine = AVAudioEngine()
        let given = engine.inputNode.outputFormat(forBus: 0)
        guard given.sampleRate > 0,
            let wanted = AVAudioFormat(
                commonFormat: .pcmFormatFloat32, sampleRate: spec.rate, channels: 1, interleaved: false),
            let converter = AVAudioConverter(from: given, to: wanted)
        else { throw BundleError("no microphone at \(Int(spec.rate)) Hz") }
        let tap = Microphone.tap(spec, converter, found)
        engine.inputNode.installTap(onBus: 0, bufferSize: 4096, format: given, block: tap)
        try engine.start()
        self.engine = engine
    }

    /// What the audio thread does with each buffer: windows of its own, so that none spans a stop.
    private nonisolated static func tap(
        _ spec: Spec, _ converter: AVAudioConverter, _ found: @escaping ([Float], Double) -> Void
    ) -> AVAudioNodeTapBlock {
        var windows = AudioWindows(spec: spec)
        return { buffer, _ in
            let ratio = spec.rate / converter.inputFormat.sampleRate
            let count = AVAudioFrameCount(Double(buffer.frameLength) * ratio) + 1
            let format = converter.outputFormat
            guard let converted = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: count) else { return }
            var fed = false
            converter.convert(to: converted, error: nil) { _, status in
                status.pointee = fed ? .noDataNow : .haveData
                defer { fed = true }
                return fed ? nil : buffer
            }
            guard let samples = converted.floatChannelData?[0] else { return }
            let new = UnsafeBufferPointer(start: samples, count: Int(converted.frameLength))
            if let (window, time) = windows.append(new, at: now()) { found(window, time) }
        }
    }

    /// Act on the main actor after the notification, whose thread must not let go of an engine.
    private func on(_ name: Notification.Name, _ act: @escaping @MainActor (Microphone, [AnyHashable: Any]) -> Void) {
        observers.append(
            NotificationCenter.default.addObserver(forName: name, object: nil, queue: nil) { [weak self] note in
                let info = note.userInfo ?? [:]
                Task { @MainActor in
                    if let self { act(self, info) }
                }
            })
    }
}
