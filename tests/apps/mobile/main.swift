import Foundation

// `check FOLDER`: what the sample makes of the bundle and of `cases.json` in it, as JSON; see test_mobile.py.

struct Cases: Decodable {
    struct Picture: Decodable {
        let height: Int, width: Int, rgb: [UInt8], rows: Int, columns: Int
    }
    let captions: [String]
    let embeddings: [String: [Float]]
    let ages: [Double]
    let picture: Picture
}

struct Found: Encodable {
    let live: [String]
    let probabilities: [Float]
}

struct Answer: Encodable {
    let ids: [[Int64]]
    let predictions: [Found]
    let picture: [UInt8]
    let audio: [[Float]]
}

let folder = URL(fileURLWithPath: CommandLine.arguments[1])
let bundle = try ModelBundle(folder: folder)
let cases = try JSONDecoder().decode(
    Cases.self, from: Data(contentsOf: folder.appendingPathComponent("cases.json")))
var live = LiveSet(specs: bundle.specs, head: bundle.head)
for (modality, embedding) in cases.embeddings { live.put(modality, embedding, at: 0) }
let picture = cases.picture
let bgra = (0..<picture.height * picture.width).flatMap { at in
    [picture.rgb[3 * at + 2], picture.rgb[3 * at + 1], picture.rgb[3 * at], 255]
}
var audio = AudioWindows(spec: bundle.specs["audio"]!)
let answer = Answer(
    ids: cases.captions.map { bundle.tokenizer!.ids($0, length: bundle.specs["text"]!.shape[1]) },
    predictions: cases.ages.map { age in
        let found = live.predict(at: age)
        return Found(live: found?.live ?? [], probabilities: found?.probabilities ?? [])
    },
    picture: fit(
        bgra: bgra, source: (picture.height, picture.width), stride: 4 * picture.width, height: picture.rows,
        width: picture.columns),
    audio: (0..<40).compactMap { block in audio.append((0..<7).map { Float(7 * block + $0) }) })
print(String(decoding: try JSONEncoder().encode(answer), as: UTF8.self))
