/// The newest samples of a microphone, and a window of them once a hop.
struct AudioWindows {
    private let size: Int
    private let hop: Int
    private var ring: [Float]
    private var count = 0
    private var due: Int

    init(spec: Spec) {
        size = spec.shape[1]
        hop = max(1, Int((spec.hop * spec.rate).rounded(.toNearestOrEven)))
        ring = Array(repeating: 0, count: size)
        due = size
    }

    /// Add samples in [-1, 1], oldest first; returns the window that they complete, if any.
    mutating func append(_ samples: some Sequence<Float>) -> [Float]? {
        for sample in samples {
            ring[count % size] = sample
            count += 1
        }
        guard count >= due else { return nil }
        while due <= count { due += hop }
        let begin = count % size
        return Array(ring[begin...] + ring[..<begin])
    }
}

/// The newest frames of a camera, and once a hop those nearest to the window's steps.
struct VideoWindows {
    private let spec: Spec
    private var frames: [(time: Double, pixels: [UInt8])] = []
    private var due = -Double.infinity

    init(spec: Spec) { self.spec = spec }

    /// Add a frame uint8 [H, W, 3] taken at `time` (s); returns the window that it completes, if any.
    mutating func append(_ pixels: [UInt8], at time: Double) -> [UInt8]? {
        let step = 1 / spec.rate
        let begin = time - Double(spec.shape[1] - 1) * step
        if let last = frames.last, time - last.time > max(spec.window, spec.hop) { frames.removeAll() }
        frames.append((time, pixels))
        while frames.count > 1 && frames[1].time < begin - step / 2 { frames.removeFirst() }
        guard frames[0].time <= begin + step / 2 && time >= due else { return nil }
        due = time + spec.hop
        return (0..<spec.shape[1]).flatMap { index in
            let wanted = begin + Double(index) * step
            return frames.min { abs($0.time - wanted) < abs($1.time - wanted) }!.pixels
        }
    }
}

/// Shrink an upright picture until it just covers `height` x `width`, averaging, and crop its middle.
///
/// Each pixel of the result is the mean of the rectangle it comes from (OpenCV's INTER_AREA, which Sensemble's
/// own sensors use).
///
/// - Parameters:
///   - bgra: four bytes a pixel, blue first, `stride` bytes a row.
///   - source: its height and width.
/// - Returns: red, green, blue for each pixel, row by row.
func fit(
    bgra: UnsafePointer<UInt8>, source: (height: Int, width: Int), stride: Int, height: Int, width: Int
) -> [UInt8] {
    let scale = max(Double(height) / Double(source.height), Double(width) / Double(source.width))
    func covering(_ length: Int, _ least: Int) -> Int {
        max(Int((Double(length) * scale).rounded(.toNearestOrEven)), least)
    }
    let rows = covering(source.height, height), columns = covering(source.width, width)
    let top = (rows - height) / 2, left = (columns - width) / 2
    var out = [UInt8](repeating: 0, count: height * width * 3)
    for y in 0..<height {
        let above = Double((y + top) * source.height) / Double(rows)
        let below = Double((y + top + 1) * source.height) / Double(rows)
        for x in 0..<width {
            let before = Double((x + left) * source.width) / Double(columns)
            let after = Double((x + left + 1) * source.width) / Double(columns)
            var blue = 0.0, green = 0.0, red = 0.0, total = 0.0
            for row in Int(above)..<min(Int(below.rounded(.up)), source.height) {
                let tall = min(below, Double(row + 1)) - max(above, Double(row))
                for column in Int(before)..<min(Int(after.rounded(.up)), source.width) {
                    let weight = tall * (min(after, Double(column + 1)) - max(before, Double(column)))
                    let at = row * stride + column * 4
                    blue += weight * Double(bgra[at])
                    green += weight * Double(bgra[at + 1])
                    red += weight * Double(bgra[at + 2])
                    total += weight
                }
            }
            for (channel, sum) in [red, green, blue].enumerated() {
                out[(y * width + x) * 3 + channel] = UInt8((sum / total).rounded(.toNearestOrEven))
            }
        }
    }
    return out
}
