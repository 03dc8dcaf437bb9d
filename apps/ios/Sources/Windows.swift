/// The samples of a microphone as windows: the first ends when there are enough samples, the others a hop apart.
///
/// As the runtime's `AudioWindows`.
struct AudioWindows {
    private let spec: Spec
    private let size: Int
    private let hop: Int
    private var ring: [Float]
    private var count = 0
    private var due = 0  // where the next window ends, counted in samples as `count` is
    private var newest = -Double.infinity

    init(spec: Spec) {
        self.spec = spec
        size = spec.shape[1]
        hop = max(1, Int((spec.hop * spec.rate).rounded(.toNearestOrEven)))
        // The newest window ends less than a hop before the newest sample.
        ring = Array(repeating: 0, count: size + hop)
    }

    /// Add samples in [-1, 1], the last one heard at `time` (s); returns the newest window that they complete, and
    /// when it ended.
    mutating func append(_ samples: some Collection<Float>, at time: Double) -> (data: [Float], time: Double)? {
        if time < newest || time - Double(samples.count) / spec.rate - newest > max(spec.window, spec.hop) {
            count = 0  // no window spans a gap
            due = size
        }
        newest = time
        for sample in samples {
            ring[count % ring.count] = sample
            count += 1
        }
        guard count >= due else { return nil }
        let end = count - (count - due) % hop
        due = end + hop
        let data = (end - size..<end).map { ring[$0 % ring.count] }
        return (data, time - Double(count - end) / spec.rate)
    }
}

/// The frames of a camera as windows of those nearest to its steps, one a hop. As the runtime's.
struct VideoWindows {
    /// Frames kept for each one that a window needs, so that memory does not grow with the camera's rate.
    private static let oversampling = 4

    private let spec: Spec
    private let count: Int
    private let step: Double
    private var frames: [(time: Double, pixels: [UInt8])] = []
    private var due: Double?  // when the next window is; nil before the first

    init(spec: Spec) {
        self.spec = spec
        count = spec.shape[1]
        step = 1 / spec.rate
    }

    /// Add a frame uint8 [H, W, 3] taken at `time` (s); returns the window that it completes, if any.
    mutating func append(_ pixels: [UInt8], at time: Double) -> (data: [UInt8], time: Double)? {
        keep(pixels, at: time)
        guard frames[0].time <= time - Double(count - 1) * step + step / 2, isDue(time) else { return nil }
        let data = (0..<count).flatMap { index in
            let wanted = time + Double(index - (count - 1)) * step
            return frames.min { abs($0.time - wanted) < abs($1.time - wanted) }!.pixels
        }
        return (data, time)
    }

    private mutating func keep(_ pixels: [UInt8], at time: Double) {
        let newest = frames.last?.time ?? time
        if time < newest || time - newest > max(spec.window, spec.hop) {
            frames.removeAll()  // no window spans a gap
            due = nil
        }
        // A frame too close to the one before it is only kept while it is the newest.
        if frames.count > 1 && newest - frames[frames.count - 2].time < step / Double(VideoWindows.oversampling) {
            frames.removeLast()
        }
        frames.append((time, pixels))
        if frames.count > VideoWindows.oversampling * count + 3 { frames.removeFirst() }
    }

    /// The frame nearest to when a window is due ends it. Hops count from the first, so jitter never adds up.
    private mutating func isDue(_ time: Double) -> Bool {
        guard let planned = due else {
            due = time + spec.hop
            return true
        }
        let soon = time + min((time - frames[0].time) / Double(frames.count - 1), spec.hop) / 2
        guard soon >= planned else { return false }
        due = planned + (((soon - planned) / spec.hop).rounded(.down) + 1) * spec.hop
        return true
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
