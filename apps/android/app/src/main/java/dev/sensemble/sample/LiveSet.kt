package dev.sensemble.sample

/** Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`. */
private const val SKEW = 2.0

/** What is known now: the modalities that count, the probability of each label, and which come into question. */
class Prediction(val live: List<String>, val probabilities: FloatArray, val candidates: List<Int>)

/** The newest embedding of each modality, for as long as it is fresh. For one thread at a time. */
class LiveSet(
    private val specs: Map<String, Spec>,
    private val head: Head,
    private val calibration: Map<String, Calibration>
) {
    private class Entry(val embedding: FloatArray, val time: Double)

    private val entries = HashMap<String, Entry>()

    /** Keep the embedding of a window that ended at `time` (s). */
    fun put(modality: String, embedding: FloatArray, time: Double) {
        entries[modality] = Entry(embedding, time)
    }

    fun remove(modality: String) {
        entries.remove(modality)
    }

    /** The classes of the mean of the live embeddings, or null if nothing is live. */
    fun predict(now: Double): Prediction? {
        val live = live(now)
        if (live.isEmpty()) return null
        val members = live.map { entries.getValue(it).embedding }
        val pooled = FloatArray(members[0].size) { i ->
            var sum = 0f
            for (member in members) sum += member[i]
            sum / members.size
        }
        val fitted = calibration[live.joinToString("+")]
        val probabilities = head.probabilities(pooled, fitted?.temperature ?: 1.0, fitted?.power ?: 0.0)
        return Prediction(live, probabilities, head.candidates(probabilities, fitted?.threshold ?: 0.0))
    }

    private fun live(now: Double): List<String> {
        val fresh = entries.filter { (modality, entry) -> now <= entry.time + specs.getValue(modality).ttl }
        // A caption has no window: it holds for its time to live.
        val ends = fresh.filterKeys { specs.getValue(it).hop > 0 }.mapValues { it.value.time }
        val oldest = (ends.values.maxOrNull() ?: 0.0) - SKEW
        return fresh.keys.filter { it !in ends || ends.getValue(it) >= oldest }.sorted()
    }
}
