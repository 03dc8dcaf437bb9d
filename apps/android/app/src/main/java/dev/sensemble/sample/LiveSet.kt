package dev.sensemble.sample

/** Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`. */
private const val SKEW = 2.0

/** Modalities of a bundle of which every subset is measured. */
private const val WHOLE = 6

/** What is known now: the modalities that count, the probability of each label, which come into question, and if one is sure. */
class Prediction(val live: List<String>, val probabilities: FloatArray, val candidates: List<Int>, val sure: Boolean)

/** The newest embedding of each modality, for as long as it is fresh. For one thread at a time. */
class LiveSet(
    private val specs: Map<String, Spec>,
    private val head: Head,
    private val calibration: Calibration
) {
    private class Entry(val embedding: FloatArray, val time: Double)

    private val entries = HashMap<String, Entry>()
    private val suspicion = Suspicion(specs.keys.sorted())

    /** Keep the embedding of a window that ended at `time` (s). */
    fun put(modality: String, embedding: FloatArray, time: Double) {
        entries[modality] = Entry(embedding, time)
    }

    fun remove(modality: String) {
        entries.remove(modality)
        suspicion.forget(modality)
    }

    /** The classes of the mean of the live, familiar embeddings, or null if nothing is live; judged as by the runtime. */
    fun predict(now: Double): Prediction? {
        val near = near(now)
        var live = near.filter { isFamiliar(it) }
        if (near.isEmpty()) return null
        if (live.isEmpty()) return Prediction(near, FloatArray(head.size) { 1f / head.size }, List(head.size) { it }, false)
        if (head.multiClass) {
            val suspect = suspicion.note(live.associateWith { judge(listOf(it)).probabilities }, now)
            live = live.filter { it != suspect }.ifEmpty { live }
        }
        val whole = judge(live, measuredAs(live))
        val alone = live.map { judge(listOf(it)).candidates.toSet() }
        // Of two modalities without a candidate in common, one is wrong.
        val apart = head.multiClass && alone.any { one -> alone.any { (one intersect it).isEmpty() } }
        return if (apart) Prediction(live, whole.probabilities, whole.candidates, false) else whole
    }

    private fun isFamiliar(modality: String): Boolean {
        val least = calibration.familiar[modality] ?: return true
        return head.familiarity(modality, entries.getValue(modality).embedding) >= least
    }

    /** The subset whose numbers a live set takes: its own or, if it was not measured, the nearest, of several the smallest. */
    private fun measuredAs(live: List<String>): String {
        val own = live.joinToString("+")
        if (head.modalities.size <= WHOLE || own in calibration.subsets) return own
        val apart = { name: String -> name.split("+").let { (it union live).size - (it intersect live.toSet()).size } }
        val size = { name: String -> name.count { it == '+' } }
        return calibration.subsets.keys.minWithOrNull(compareBy<String>(apart, size, { it })) ?: own
    }

    private fun judge(live: List<String>, measured: String = live.joinToString("+")): Prediction {
        val members = live.map { entries.getValue(it).embedding }
        val pooled = FloatArray(members[0].size) { i ->
            var sum = 0f
            for (member in members) sum += member[i]
            sum / members.size
        }
        val fitted = calibration.subsets[measured]
        val probabilities = head.probabilities(pooled, fitted?.temperature ?: 1.0, fitted?.power ?: 0.0)
        val threshold = fitted?.threshold ?: 0.0
        val candidates = head.candidates(probabilities, threshold)
        val sure = threshold > 0 && candidates.size == 1 && probabilities.max() >= calibration.floor
        return Prediction(live, probabilities, candidates, sure)
    }

    private fun near(now: Double): List<String> {
        val fresh = entries.filter { (modality, entry) -> now <= entry.time + specs.getValue(modality).ttl }
        // A caption has no window: it holds for its time to live.
        val ends = fresh.filterKeys { specs.getValue(it).hop > 0 }.mapValues { it.value.time }
        val oldest = (ends.values.maxOrNull() ?: 0.0) - SKEW
        return fresh.keys.filter { it !in ends || ends.getValue(it) >= oldest }.sorted()
    }
}
