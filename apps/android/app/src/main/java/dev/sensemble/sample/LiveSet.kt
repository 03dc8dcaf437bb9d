package dev.sensemble.sample

import kotlin.math.exp
import kotlin.math.ln

/** Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`. */
private const val SKEW = 2.0

/** The odds that a window shows one of the classes, before any evidence. */
private const val KNOWN = 29.0

/** The excess of a score of familiarity over its limit that speaks neither for a known scene nor against it. */
private const val MARGIN = 1.5

/** The log-odds by which a strange sensor speaks against a known scene. */
private const val STRANGE = 4.0

/** The most that an opinion is doubted: it still has a likeliest class. */
private const val UNKNOWN = 0.99

/** Why an answer is unsure: no window is like those of training, several classes are likely, or sensors disagree. */
enum class Doubt { UNFAMILIAR, SEVERAL, DISAGREEMENT }

/**
 * What is known now: the modalities that count, the probability of each label, the fewest that together are as probable as a sure
 * answer must be (likeliest first), and why it is unsure.
 */
class Prediction(val live: List<String>, val probabilities: FloatArray, threshold: Double, val doubt: Doubt?) {
    val sure get() = doubt == null
    val candidates: List<Int>

    init {
        val order = probabilities.indices.sortedByDescending { probabilities[it] }
        var before = 0.0
        candidates = order.takeWhile { (before < threshold).also { _ -> before += probabilities[it] } }
    }
}

/** The unfamiliar sensors that speak against a known scene: a far one does if an earlier one is far, but none of its own device. */
fun strange(unfamiliar: List<String>, isFar: (String) -> Boolean, deviceOf: (String) -> String): List<String> {
    val broken = HashSet<String>() // devices, and by "+" and its name what has none: a device may have the name of a sensor
    return unfamiliar.filter { !isFar(it) || (broken.add(deviceOf(it).ifEmpty { "+$it" }) && broken.size > 1) }
}

/** The newest embedding of each modality, for as long as it is fresh. For one thread at a time. */
class LiveSet(
    private val specs: Map<String, Spec>,
    private val head: Head,
    private val calibration: Calibration
) {
    private class Entry(val embedding: FloatArray, val time: Double)

    private val entries = HashMap<String, Entry>()
    private val belief = Belief(specs.keys.sorted()) { specs.getValue(it).device }
    private var changed = false // since the belief noted what is live
    private var suspects = emptyList<String>()

    /** Keep the embedding of a window that ended at `time` (s). */
    fun put(modality: String, embedding: FloatArray, time: Double) {
        entries[modality] = Entry(embedding, time)
        changed = true
    }

    fun remove(modality: String) {
        entries.remove(modality)
        belief.forget(modality)
    }

    /** What the live, familiar modalities say together, or null if nothing is live. */
    fun predict(now: Double): Prediction? {
        val near = near(now)
        if (near.isEmpty()) return null
        val familiar = near.filter { isFamiliar(it) }
        val live = familiar.ifEmpty { near.filter { (score(it) ?: 0.0) >= -ln(KNOWN) } } // a guess
        if (live.isEmpty()) return prediction(near, DoubleArray(head.size) { 1.0 / head.size }, Doubt.UNFAMILIAR)
        val classes = live.associateWith { classes(it) }
        val opinions = classes.mapValues { (modality, found) -> score(modality)?.let { doubted(found, it) } ?: found }
        val devices = carried(live.map { specs.getValue(it).device }).map { (device, rows) -> Witness(rows, belief.turned(device)) }
        val lies = live.map { belief.lies(it) }
        var fused = fuse(classes.values.toList(), lies, calibration.redundancy, head.multiClass, calibration.prior, devices)
        val unfamiliar = near - live.toSet()
        val against = strange(unfamiliar, ::isFar) { specs.getValue(it).device }.size
        known(live, against)?.let { fused = doubted(fused, it) }
        if (familiar.isEmpty()) return prediction(near, fused, Doubt.UNFAMILIAR)
        if (head.multiClass && changed) suspects = belief.note(opinions, now)
        changed = false
        val isApart = opinions.values.distinctBy { it.top() }.size > 1
        val unsure = if (isApart) Doubt.DISAGREEMENT else Doubt.SEVERAL
        val trusted = live.filter { it !in suspects }.ifEmpty { live }
        return prediction(trusted, fused, unsure.takeIf { fused.max() < calibration.threshold })
    }

    private fun prediction(live: List<String>, fused: DoubleArray, doubt: Doubt?) =
        Prediction(live, FloatArray(fused.size) { fused[it].toFloat() }, calibration.threshold, doubt)

    /** The log-odds that the scene is known, by the live sensors and the number of strange ones; null if nothing tells. */
    private fun known(live: List<String>, strange: Int): Double? {
        val excess = live.mapNotNull { modality ->
            score(modality)?.let { it - maxOf(calibration.familiar.getValue(modality) + MARGIN, -ln(KNOWN)) }
        }
        if (excess.isEmpty()) return null
        return if (live.size > 1 || strange > 0) excess.sum() - STRANGE * strange else score(live.single())
    }

    /** The calibrated probabilities of the classes, if the newest window shows one. */
    private fun classes(modality: String): DoubleArray {
        val fitted = calibration.modalities[modality]
        val found = head.probabilities(entries.getValue(modality).embedding, fitted?.temperature ?: 1.0, fitted?.power ?: 0.0)
        return DoubleArray(found.size) { found[it].toDouble() }
    }

    /** The probabilities, mixed with no evidence as far as windows may show no class, by their log-odds. */
    private fun doubted(classes: DoubleArray, known: Double): DoubleArray {
        val unknown = minOf(UNKNOWN, 1 / (1 + KNOWN * exp(known)))
        val nothing = if (head.multiClass) 1.0 / classes.size else 0.5
        return DoubleArray(classes.size) { classes[it] + unknown * (nothing - classes[it]) }
    }

    private fun isFamiliar(modality: String): Boolean {
        return (score(modality) ?: return true) >= calibration.familiar.getValue(modality)
    }

    /** Whether the newest window is as of a covered or broken sensor: it says nothing of the scene. */
    private fun isFar(modality: String) =
        head.isFar(modality, entries.getValue(modality).embedding, calibration.familiar.getValue(modality))

    /** The log-odds that the newest window is like those that were learned; null if the bundle has no such score. */
    private fun score(modality: String): Double? =
        if (modality in calibration.familiar) head.familiarity(modality, entries.getValue(modality).embedding) else null

    private fun near(now: Double): List<String> {
        val fresh = entries.filter { (modality, entry) -> now <= entry.time + specs.getValue(modality).ttl }
        // A caption has no window: it holds for its time to live.
        val ends = fresh.filterKeys { specs.getValue(it).hop > 0 }.mapValues { it.value.time }
        val oldest = (ends.values.maxOrNull() ?: 0.0) - SKEW
        return fresh.keys.filter { it !in ends || ends.getValue(it) >= oldest }.sorted()
    }
}
