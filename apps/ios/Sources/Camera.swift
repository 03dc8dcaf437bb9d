import AVFoundation

/// The back camera as windows of upright frames.
///
/// The system takes it away from an app that is not seen, among others, and gives it back by itself; after an error
/// it is started again.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "camera")
    private let spec: Spec
    private let found: ([UInt8]) -> Void
    private let lost: (String) -> Void
    private var windows: VideoWindows
    private var observers: [NSObjectProtocol] = []

    /// - Parameters:
    ///   - found: is given windows, on a queue of the camera's own.
    ///   - lost: is called with the reason why there are none for now, on any thread.
    init(spec: Spec, found: @escaping ([UInt8]) -> Void, lost: @escaping (String) -> Void) throws {
        self.spec = spec
        self.found = found
        self.lost = lost
        windows = VideoWindows(spec: spec)
        super.init()
        try configure()
        observe()
        queue.async { [session] in session.startRunning() }
    }

    func stop() {
        observers.forEach(NotificationCenter.default.removeObserver)
        queue.async { [session] in session.stopRunning() }
    }

    private func configure() throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw BundleError("no camera")
        }
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        guard session.canAddInput(input), session.canAddOutput(output) else {
            throw BundleError("the camera cannot be used")
        }
        session.addInput(input)
        session.addOutput(output)
        if session.canSetSessionPreset(.vga640x480) { session.sessionPreset = .vga640x480 }
        if let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(90) {
            connection.videoRotationAngle = 90  // the sample is held upright
        }
    }

    private func observe() {
        func on(_ name: Notification.Name, _ act: @escaping ([AnyHashable: Any]) -> Void) {
            observers.append(
                NotificationCenter.default.addObserver(forName: name, object: session, queue: nil) {
                    act($0.userInfo ?? [:])
                })
        }
        on(AVCaptureSession.wasInterruptedNotification) { [lost] info in
            let number = info[AVCaptureSessionInterruptionReasonKey] as? Int
            lost(Camera.reason(number.flatMap { .init(rawValue: $0) }))
        }
        on(AVCaptureSession.runtimeErrorNotification) { [lost, queue, session] info in
            lost((info[AVCaptureSessionErrorKey] as? Error)?.localizedDescription ?? "the camera failed")
            queue.asyncAfter(deadline: .now() + 1) { session.startRunning() }
        }
    }

    private static func reason(_ reason: AVCaptureSession.InterruptionReason?) -> String {
        switch reason {
        case .videoDeviceNotAvailableInBackground: "not in the background"
        case .videoDeviceInUseByAnotherClient: "in use by another app"
        case .videoDeviceNotAvailableWithMultipleForegroundApps: "not next to another app"
        case .videoDeviceNotAvailableDueToSystemPressure: "the phone is too hot or too busy"
        default: "interrupted"
        }
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let image = CMSampleBufferGetImageBuffer(sample) else { return }
        CVPixelBufferLockBaseAddress(image, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(image, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(image) else { return }
        let frame = fit(
            bgra: UnsafePointer(base.assumingMemoryBound(to: UInt8.self)),
            source: (CVPixelBufferGetHeight(image), CVPixelBufferGetWidth(image)),
            stride: CVPixelBufferGetBytesPerRow(image), height: spec.shape[2], width: spec.shape[3])
        let time = CMSampleBufferGetPresentationTimeStamp(sample).seconds
        if let window = windows.append(frame, at: time) { found(window.data) }
    }
}
