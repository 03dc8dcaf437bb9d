import Foundation

/// The byte-level BPE of a bundle's `tokenizer.json`, as the library `tokenizers` applies it.
///
/// Takes what `sensemble train` writes (NFC, lower case, ByteLevel, BPE); any other step in the file is refused
/// rather than left out.
struct Tokenizer {
    struct Unsupported: LocalizedError {
        let what: String
        var errorDescription: String? { "tokenizer.json: \(what) is not supported" }
    }

    private struct File: Decodable {
        struct Step: Decodable {
            let type: String
            let normalizers: [Step]?
            let add_prefix_space: Bool?
            let use_regex: Bool?
        }
        struct Added: Decodable {
            let id: Int64
            let content: String
            let single_word: Bool
            let lstrip: Bool
            let rstrip: Bool
            let normalized: Bool
        }
        struct Model: Decodable {
            let type: String
            let vocab: [String: Int64]
            let merges: [Merge]
            let dropout: Double?
            let unk_token: String?
            let continuing_subword_prefix: String?
            let end_of_word_suffix: String?
            let ignore_merges: Bool?
        }
        struct Merge: Decodable {
            let pair: String
            init(from decoder: Decoder) throws {
                let value = try decoder.singleValueContainer()
                pair = try (try? value.decode(String.self)) ?? value.decode([String].self).joined(separator: " ")
            }
        }
        struct Anything: Decodable {}
        let added_tokens: [Added]
        let normalizer: Step?
        let pre_tokenizer: Step
        let post_processor: Anything?
        let model: Model
    }

    private let vocabulary: [[UInt8]: Int64]
    private let ranks: [[UInt8]: Int]
    private let added: [(content: String, id: Int64)]
    private let normalizers: [String]
    private let prefixed: Bool

    init(json: Data) throws {
        let file = try JSONDecoder().decode(File.self, from: json)
        let model = file.model
        guard model.type == "BPE" else { throw Unsupported(what: "a model other than BPE") }
        guard model.dropout == nil, model.unk_token == nil, model.ignore_merges != true,
            (model.continuing_subword_prefix ?? "").isEmpty, (model.end_of_word_suffix ?? "").isEmpty
        else { throw Unsupported(what: "an option of its BPE") }
        // Bytes, because Swift's strings are equal when they are canonically equivalent, and tokens are not.
        vocabulary = Dictionary(uniqueKeysWithValues: model.vocab.map { (Array($0.key.utf8), $0.value) })
        ranks = Dictionary(
            model.merges.enumerated().map { (Array($0.element.pair.utf8), $0.offset) }, uniquingKeysWith: min)
        normalizers = Tokenizer.steps(file.normalizer)
        if let name = normalizers.first(where: { $0 != "NFC" && $0 != "Lowercase" }) {
            throw Unsupported(what: "the normalizer \(name)")
        }
        guard file.pre_tokenizer.type == "ByteLevel", file.pre_tokenizer.use_regex ?? true else {
            throw Unsupported(what: "a pre-tokenizer other than ByteLevel")
        }
        prefixed = file.pre_tokenizer.add_prefix_space ?? true
        guard file.post_processor == nil else { throw Unsupported(what: "a post-processor") }
        guard !file.added_tokens.contains(where: { $0.single_word || $0.lstrip || $0.rstrip || $0.normalized })
        else { throw Unsupported(what: "an option of an added token") }
        added = file.added_tokens.map { ($0.content, $0.id) }
    }

    /// The ids of `caption`, cut at `length` and filled up with 0.
    func ids(_ caption: String, length: Int) -> [Int64] {
        var ids: [Int64] = []
        var rest = Substring(caption)
        while !rest.isEmpty {
            let found = added.compactMap { token in
                rest.range(of: token.content, options: .literal).map { (range: $0, id: token.id) }
            }
            let next = found.min {
                ($0.range.lowerBound, $1.range.upperBound) < ($1.range.lowerBound, $0.range.upperBound)
            }
            let piece = rest[..<(next?.range.lowerBound ?? rest.endIndex)]
            if !piece.isEmpty { encode(String(piece), into: &ids) }
            if let next { ids.append(next.id) }
            rest = next.map { rest[$0.range.upperBound...] } ?? ""
        }
        return (0..<length).map { $0 < ids.count ? ids[$0] : 0 }
    }

    private func encode(_ piece: String, into ids: inout [Int64]) {
        var text = piece
        for name in normalizers {
            text = name == "NFC" ? text.precomposedStringWithCanonicalMapping : Tokenizer.lower(text)
        }
        if prefixed && text.unicodeScalars.first != " " { text = " " + text }
        let whole = NSRange(location: 0, length: text.utf16.count)
        for word in Tokenizer.words.matches(in: text, range: whole) {
            let letters = (text as NSString).substring(with: word.range).utf8.map { Tokenizer.bytes[Int($0)] }
            for token in merged(letters) { ids.append(vocabulary[token]!) }
        }
    }

    /// Join the pair that was learned first, the leftmost of it, until none is left.
    private func merged(_ letters: [[UInt8]]) -> [[UInt8]] {
        var tokens = letters
        while true {
            var best: (rank: Int, at: Int)?
            for at in tokens.indices.dropLast() {
                if let rank = ranks[tokens[at] + [0x20] + tokens[at + 1]], rank < best?.rank ?? .max {
                    best = (rank, at)
                }
            }
            guard let best else { return tokens }
            tokens[best.at] += tokens.remove(at: best.at + 1)
        }
    }

    // White space is spelled out, because regular expression engines differ in what \s is.
    private static let space = #"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"#
    private static let words = try! NSRegularExpression(
        pattern: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\#(space)\p{L}\p{N}]+"#
            + #"|[\#(space)]+(?![^\#(space)])|[\#(space)]+"#)

    /// A printable letter for each byte, in UTF-8: itself, or the next one from U+0100 on.
    private static let bytes: [[UInt8]] = {
        var next: UInt32 = 256
        return (UInt32(0)...255).map { byte in
            let itself = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            let scalar = Unicode.Scalar(itself ? byte : next)!
            if !itself { next += 1 }
            return Array(String(scalar).utf8)
        }
    }()

    /// Letter by letter, as `tokenizers` does: a sigma at the end of a word is like any other.
    private static func lower(_ text: String) -> String {
        text.unicodeScalars.map(\.properties.lowercaseMapping).joined()
    }

    private static func steps(_ step: File.Step?) -> [String] {
        guard let step else { return [] }
        return step.type == "Sequence" ? (step.normalizers ?? []).flatMap { steps($0) } : [step.type]
    }
}
