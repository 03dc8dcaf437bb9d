package dev.sensemble.sample

import java.text.Normalizer
import java.util.Locale
import org.json.JSONArray
import org.json.JSONObject

/**
 * The byte-level BPE of a bundle's `tokenizer.json`, as the library `tokenizers` applies it.
 *
 * Takes what `sensemble train` writes (NFC, lower case, ByteLevel, BPE); any other step in the file is refused
 * rather than left out.
 */
class Tokenizer(json: JSONObject) {
    private val vocabulary = HashMap<String, Long>()
    private val ranks = HashMap<String, Int>()
    private val added = ArrayList<Pair<String, Long>>()
    private val normalizers = steps(json.optJSONObject("normalizer"), "normalizers")
    private val prefixed: Boolean

    init {
        val model = json.getJSONObject("model")
        require(model.getString("type") == "BPE") { "tokenizer.json: a model ${model.getString("type")}, not BPE" }
        for (name in listOf("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")) {
            require(model.isNull(name) || model.get(name) == "") { "tokenizer.json: $name is not supported" }
        }
        require(!model.optBoolean("ignore_merges")) { "tokenizer.json: ignore_merges is not supported" }
        val ids = model.getJSONObject("vocab")
        for (token in ids.keys()) vocabulary[token] = ids.getLong(token)
        val merges = model.getJSONArray("merges")
        for (rank in 0 until merges.length()) {
            val pair = merges.get(rank)
            ranks[if (pair is JSONArray) "${pair.getString(0)} ${pair.getString(1)}" else pair as String] = rank
        }
        for (name in normalizers) require(name == "NFC" || name == "Lowercase") { "tokenizer.json: normalizer $name" }
        val split = json.getJSONObject("pre_tokenizer")
        require(split.getString("type") == "ByteLevel" && split.optBoolean("use_regex", true)) {
            "tokenizer.json: a pre-tokenizer other than ByteLevel"
        }
        prefixed = split.getBoolean("add_prefix_space")
        require(json.isNull("post_processor")) { "tokenizer.json: a post-processor" }
        val tokens = json.optJSONArray("added_tokens") ?: JSONArray()
        for (index in 0 until tokens.length()) {
            val token = tokens.getJSONObject(index)
            for (name in listOf("single_word", "lstrip", "rstrip", "normalized")) {
                require(!token.optBoolean(name)) { "tokenizer.json: an added token with $name" }
            }
            added.add(Pair(token.getString("content"), token.getLong("id")))
        }
    }

    /** The ids of `caption`, cut at `length` and filled up with 0. */
    fun ids(caption: String, length: Int): LongArray {
        val ids = ArrayList<Long>()
        var rest = caption
        while (rest.isNotEmpty()) {
            val next = added.filter { rest.contains(it.first) }
                .minWithOrNull(compareBy({ rest.indexOf(it.first) }, { -it.first.length }))
            val end = if (next == null) rest.length else rest.indexOf(next.first)
            if (end > 0) encode(rest.substring(0, end), ids)
            if (next != null) ids.add(next.second)
            rest = if (next == null) "" else rest.substring(end + next.first.length)
        }
        return LongArray(length) { if (it < ids.size) ids[it] else 0L }
    }

    private fun encode(piece: String, ids: MutableList<Long>) {
        var text = piece
        for (name in normalizers) {
            text = if (name == "NFC") Normalizer.normalize(text, Normalizer.Form.NFC) else lower(text)
        }
        if (prefixed && !text.startsWith(" ")) text = " $text"
        for (word in WORDS.findAll(text)) {
            val letters = word.value.toByteArray(Charsets.UTF_8).map { BYTES[it.toInt() and 255] }
            for (token in merged(letters)) ids.add(vocabulary.getValue(token))
        }
    }

    /** Join the pair that was learned first, the leftmost of it, until none is left. */
    private fun merged(letters: List<String>): List<String> {
        val tokens = ArrayList(letters)
        while (true) {
            var at = -1
            var best = Int.MAX_VALUE
            for (index in 0 until tokens.size - 1) {
                val rank = ranks["${tokens[index]} ${tokens[index + 1]}"] ?: continue
                if (rank < best) {
                    best = rank
                    at = index
                }
            }
            if (at < 0) return tokens
            tokens[at] = tokens[at] + tokens.removeAt(at + 1)
        }
    }

    private companion object {
        // White space is spelled out, because Java and ICU differ in what \s is.
        const val SPACE = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
        val WORDS = Regex(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^$SPACE\\p{L}\\p{N}]+" +
                "|[$SPACE]+(?![^$SPACE])|[$SPACE]+"
        )

        /** A printable letter for each byte: itself, or the next one from U+0100 on. */
        val BYTES: List<String> = run {
            var next = 256
            (0..255).map { byte ->
                val itself = byte in 33..126 || byte in 161..172 || byte in 174..255
                (if (itself) byte else next++).toChar().toString()
            }
        }

        /** Letter by letter, as `tokenizers` does: a sigma at the end of a word is like any other. */
        fun lower(text: String): String {
            val out = StringBuilder()
            var at = 0
            while (at < text.length) {
                val point = text.codePointAt(at)
                out.append(String(Character.toChars(point)).lowercase(Locale.ROOT))
                at += Character.charCount(point)
            }
            return out.toString()
        }

        fun steps(step: JSONObject?, inside: String): List<String> {
            if (step == null) return emptyList()
            if (step.getString("type") != "Sequence") return listOf(step.getString("type"))
            val all = step.getJSONArray(inside)
            return (0 until all.length()).flatMap { steps(all.getJSONObject(it), inside) }
        }
    }
}
