import AVFoundation

/// The microphone at the encoder's rate, as windows.
final class Microphone {
    private let engine = AVAudioEngine()
    private var windows: AudioWindows

    init(spec: Spec, found: @escaping ([Float]) -> Void) throws {
        windows = AudioWindows(spec: spec)
        try AVAudioSession.sharedInstance().setCategory(.record, mode: .measurement)
        try AVAudioSession.sharedInstance().setActive(true)
        let input = engine.inputNode
        let given = input.outputFormat(forBus: 0)
        guard given.sampleRate > 0,
            let wanted = AVAudioFormat(
                commonFormat: .pcmFormatFloat32, sampleRate: spec.rate, channels: 1, interleaved: false),
            let converter = AVAudioConverter(from: given, to: wanted)
        else { throw BundleError("no microphone at \(Int(spec.rate)) Hz") }
        input.installTap(onBus: 0, bufferSize: 4096, format: given) { [self] buffer, _ in
            let count = AVAudioFrameCount(Double(buffer.frameLength) * spec.rate / given.sampleRate) + 1
            guard let converted = AVAudioPCMBuffer(pcmFormat: wanted, frameCapacity: count) else { return }
            var fed = false
            converter.convert(to: converted, error: nil) { _, status in
                status.pointee = fed ? .noDataNow : .haveData
                defer { fed = true }
                return fed ? nil : buffer
            }
            guard let samples = converted.floatChannelData?[0] else { return }
            let new = UnsafeBufferPointer(start: samples, count: Int(converted.frameLength))
            if let window = windows.append(new) { found(window) }
        }
        try engine.start()
    }

    func stop() {
        engine.inputNode.removeTap(onBus: 0)
        engine.stop()
    }
}
