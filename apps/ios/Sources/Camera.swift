import AVFoundation

/// The back camera as windows of upright frames.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "camera")
    private let spec: Spec
    private let found: ([UInt8]) -> Void
    private var windows: VideoWindows

    init(spec: Spec, found: @escaping ([UInt8]) -> Void) throws {
        self.spec = spec
        self.found = found
        windows = VideoWindows(spec: spec)
        super.init()
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw BundleError("no camera")
        }
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.sessionPreset = .vga640x480
        session.addInput(try AVCaptureDeviceInput(device: device))
        session.addOutput(output)
        if let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(90) {
            connection.videoRotationAngle = 90  // the sample is held upright
        }
        queue.async { [session] in session.startRunning() }
    }

    func stop() {
        queue.async { [session] in session.stopRunning() }
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
        if let window = windows.append(frame, at: time) { found(window) }
    }
}
