import Foundation

// `check FOLDER`: what the sample makes of the bundle and of `vectors.json` in it, as JSON; see test_mobile.py.

struct Vectors: Decodable { let inputs: Cases }

struct Cases: Decodable {
    /// Samples, a caption, or nothing where the sensor is lost.
    enum Sensed: Decodable {
        case samples([Float]), caption(String)
        init(from decoder: Decoder) throws {
            let value = try decoder.singleValueContainer()
            self = try (try? value.decode(String.self)).map(Sensed.caption) ?? .samples(value.decode([Float].self))
        }
    }
    struct Event: Decodable {
        let modality: String, time: Double, data: Sensed?
    }
    struct Break: Decodable {
        let devices: [String: String], far: [String: Bool]
    }
    struct Fused: Decodable {
        let opinions: [[Double]], lies: [Double], redundancy: Double, prior: [Double], devices: [Witness]
    }
    struct Moment: Decodable {
        let now: Double, opinions: [String: [Double]], forget: String?
    }
    struct Turns: Decodable {
        let devices: [String: String], moments: [Moment]
    }
    let captions: [String]
    let stream: [Event]
    let breaks: [Break]
    let fused: [Fused]
    let moments: [Moment]
    let turns: Turns
    let picture: [UInt8]
}

struct Found: Encodable {
    let time: Double
    let live: [String]
    let probabilities: [Float]
    let candidates: [Int]
    let doubt: String?
}

extension Found {
    init(_ found: Prediction?, at time: Double) {
        self.init(
            time: time, live: found?.live ?? [], probabilities: found?.probabilities ?? [],
            candidates: found?.candidates ?? [], doubt: found?.doubt.map { "\($0)" })
    }
}

struct Believed: Encodable {
    let suspect: String?
    let lies: [String: Double]
}

struct Answer: Encodable {
    let ids: [[Int64]]
    let picture: [UInt8]
    let predictions: [Found]
    let strange: [[String]]
    let fused: [[Double]]
    let beliefs: [Believed]
    let turns: [Believed]
    let failures: [String: String]
    let targets: [String: String]
}

/// The sensors of vectors.py into a session, each prediction awaited.
@MainActor
final class Stream {
    private(set) var predictions: [Found] = []
    private(set) var failures: [String: String] = [:]
    private let bundle: ModelBundle
    private var time = 0.0
    private var encoded = 0
    private var audio: AudioWindows
    private var video: VideoWindows
    private lazy var session = Session(
        live: LiveSet(specs: bundle.specs, head: bundle.head, calibration: bundle.calibration),
        clock: { self.time }, encode: encode, changed: changed)

    init(_ bundle: ModelBundle) {
        self.bundle = bundle
        audio = AudioWindows(spec: bundle.specs["audio"]!)
        video = VideoWindows(spec: bundle.specs["video"]!)
    }

    func play(_ event: Cases.Event) async {
        time = event.time
        switch event.data {
        case nil: lose(event.modality)
        case .caption(let caption): await offer("text", .text(caption), at: time)
        case .samples(let samples) where event.modality == "audio":
            guard let (window, end) = audio.append(samples, at: time) else { return }
            await offer("audio", .audio(window), at: end)
        case .samples(let samples):
            let frame = [UInt8](repeating: UInt8(samples[0]), count: 12 * 16 * 3)
            guard let (window, end) = video.append(frame, at: time) else { return }
            await offer("video", .video(window), at: end)
        }
    }

    private func offer(_ modality: String, _ window: Window, at end: Double) async {
        let before = predictions.count
        session.offer(modality, window, at: end)
        while predictions.count == before { await Task.yield() }
    }

    /// A window that is still with its encoder when its sensor goes says nothing any more.
    private func lose(_ modality: String) {
        session.offer(modality, modality == "audio" ? .audio([1]) : .video([1]), at: time)
        session.lost(modality, "unplugged")
        if modality == "audio" {
            audio = AudioWindows(spec: bundle.specs["audio"]!)
        } else {
            video = VideoWindows(spec: bundle.specs["video"]!)
        }
    }

    private func encode(_ modality: String, _ window: Window) -> [Float] {
        let numbers: [Double] =
            switch window {
            case .audio(let samples): samples.map(Double.init)
            case .video(let frames): frames.map(Double.init)
            case .text(let caption): bundle.ids(caption).map(Double.init)
            }
        encoded += 1
        return (0..<8).map { Float(sin(numbers[$0 * numbers.count / 8])) }
    }

    private func changed(_ found: Prediction?, _ failed: [String: String]) {
        failures.merge(failed) { $1 }
        guard encoded > 0 else { return }  // a loss
        encoded = 0
        predictions.append(Found(found, at: time))
    }
}

extension ModelBundle {
    func ids(_ caption: String) -> [Int64] { tokenizer!.ids(caption, length: specs["text"]!.shape[1]) }
}

let folder = URL(fileURLWithPath: CommandLine.arguments[1])
let bundle = try ModelBundle(folder: folder)
let cases = try JSONDecoder().decode(
    Vectors.self, from: Data(contentsOf: folder.appendingPathComponent("vectors.json"))
).inputs
let (height, width) = (37, 61)  // of the picture of vectors.py
var bgra = [UInt8](repeating: 255, count: 4 * height * width)
for at in 0..<height * width {
    for channel in 0..<3 { bgra[4 * at + channel] = cases.picture[3 * at + 2 - channel] }
}
let shape = bundle.specs["video"]!.shape
let stream = Stream(bundle)
for event in cases.stream { await stream.play(event) }
let fused = cases.fused.map {
    fuse($0.opinions, lies: $0.lies, redundancy: $0.redundancy, multiClass: bundle.head.multiClass, prior: $0.prior, witnesses: $0.devices)
}
let strangers = cases.breaks.map { one in
    strange(one.far.keys.sorted(), isFar: { one.far[$0]! }, device: { one.devices[$0]! })
}
func noted(_ moments: [Cases.Moment], _ modalities: [String], _ devices: [String: String]) -> [Believed] {
    var belief = Belief(modalities) { devices[$0] ?? "" }
    return moments.map { moment in
        if let left = moment.forget { belief.forget(left) }
        let suspects = belief.note(moment.opinions, at: moment.now)
        var lies = Dictionary(uniqueKeysWithValues: modalities.map { ($0, belief.lies($0)) })
        for device in Set(devices.values) where !device.isEmpty { lies["device " + device] = belief.turned(device) }
        return Believed(suspect: suspects.isEmpty ? nil : suspects.joined(separator: "+"), lies: lies)
    }
}
let beliefs = noted(cases.moments, bundle.specs.keys.sorted(), [:])
let turns = noted(cases.turns.moments, cases.turns.devices.keys.sorted(), cases.turns.devices)
let answer = Answer(
    ids: cases.captions.map(bundle.ids),
    picture: fit(
        bgra: bgra, source: (height, width), stride: 4 * width, height: shape[2], width: shape[3]),
    predictions: stream.predictions, strange: strangers, fused: fused, beliefs: beliefs, turns: turns, failures: stream.failures, targets: bundle.programs.mapValues(\.target))
print(String(decoding: try JSONEncoder().encode(answer), as: UTF8.self))
