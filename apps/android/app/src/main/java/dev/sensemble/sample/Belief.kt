package dev.sensemble.sample

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.pow

/** The probability that a sensor lies before any evidence, or that a scene changes whether it does. */
const val RARE = 0.02

/** Seconds that a scene lasts at least; its windows count once. */
private const val SCENE = 2.0

/** The probability from which a sensor is a suspect. */
private const val LIKELY = 0.5

/** This share of an opinion is no evidence. */
private const val LEAST = 0.01

/** Modalities of which every subset is a part that may answer; of more, each, all but each, and all. */
private const val WHOLE = 6

/**
 * The probabilities of the classes, by the calibrated opinion of each live sensor and the probability that it lies: the runtime's
 * `engine/belief.py`, which explains it. The answer is as sure as that of any part of the sensors that the others agree with.
 * Without a prior, the classes are alike before any sensor.
 */
fun fuse(
    opinions: List<DoubleArray>,
    lies: List<Double>,
    redundancy: Double,
    multiClass: Boolean,
    prior: DoubleArray = doubleArrayOf(),
): DoubleArray {
    val n = opinions.size
    val classes = opinions[0].size
    fun logs(opinion: DoubleArray, row: Int, size: Int, before: DoubleArray = doubleArrayOf()) =
        likelihoods(opinion, size.toDouble().pow(-redundancy), before).map { ln((1 - lies[row]) * it + lies[row]) }
    if (!multiClass) return DoubleArray(classes) { c ->
        val pairs = opinions.mapIndexed { row, p -> logs(doubleArrayOf(p[c], 1 - p[c]), row, n) }
        1 / (1 + exp(pairs.sumOf { (yes, no) -> no - yes }))
    }
    // As calibrated, as far as it is not suspected more than any.
    fun alone(row: Int): DoubleArray {
        val suspected = maxOf(lies[row] - RARE, 0.0) / (1 - RARE)
        return DoubleArray(classes) { opinions[row][it] + suspected * (1.0 / classes - opinions[row][it]) }
    }
    val bySize = HashMap<Int, List<List<Double>>>()
    fun believed(part: List<Int>): DoubleArray {
        if (part.size == 1) return alone(part[0])
        val known = bySize.getOrPut(part.size) { opinions.mapIndexed { row, p -> logs(p, row, part.size, prior) } }
        val sums = DoubleArray(classes) { c -> part.sumOf { known[it][c] } + (prior.getOrNull(c)?.let { ln(it) } ?: 0.0) }
        val most = sums.max()
        val whole = sums.sumOf { exp(it - most) }
        return DoubleArray(classes) { exp(sums[it] - most) / whole }
    }
    val tops = opinions.map { it.top() }
    var best = DoubleArray(classes)
    for (part in parts(n)) {
        val own = believed(part)
        val top = own.top()
        val agreed = tops.indices.all { it in part || tops[it] == top }
        if (agreed && own[top] > best.max()) best = own
    }
    return best
}

/** The sets of `n` sensors whose answers are asked, the largest first. */
private fun parts(n: Int): List<List<Int>> {
    val all = (0 until n).toList()
    if (n > WHOLE) return listOf(all) + all.map { all - it } + all.map { listOf(it) }
    return (1 until (1 shl n)).map { bits -> all.filter { bits shr it and 1 == 1 } }.sortedByDescending { it.size }
}

/** How much more probable a window is under each class than without knowing it. */
private fun likelihoods(opinion: DoubleArray, power: Double = 1.0, prior: DoubleArray = doubleArrayOf()): DoubleArray {
    val before = DoubleArray(opinion.size) { prior.getOrElse(it) { 1.0 / opinion.size } }
    val ratios = DoubleArray(opinion.size) { (opinion[it] / before[it]).pow(power) }
    val whole = ratios.indices.sumOf { before[it] * ratios[it] }
    return DoubleArray(ratios.size) { (1 - LEAST) * ratios[it] / whole + LEAST }
}

/** The place of the largest number, the first of several. */
fun DoubleArray.top(): Int = indices.maxByOrNull { this[it] }!!

/** The likeliest class by all, and by all but each, of log-likelihoods. */
private fun tops(logs: List<DoubleArray>): List<Int> {
    val whole = DoubleArray(logs[0].size) { c -> logs.sumOf { it[c] } }
    return listOf(whole.top()) + logs.map { row -> DoubleArray(row.size) { whole[it] - row[it] }.top() }
}

/** The probability that each modality lies, learned from scene to scene; times are in seconds. */
class Belief(private val modalities: List<String>) {
    private val chances = DoubleArray(modalities.size) { RARE } // when the scene began
    private var scene: List<DoubleArray>? = null // the likelihoods of its moment in which most agreed
    private var agreement = Double.NEGATIVE_INFINITY
    private val first = HashMap<String, DoubleArray>() // their logarithms when each was first live in it
    private var began = Double.NEGATIVE_INFINITY

    /** The probability that a modality lies, by the scenes before this one. */
    fun lies(modality: String): Double = chances[modalities.indexOf(modality)]

    /** Note the opinions of one moment; the suspect, if one sensor alone is likely to lie. */
    fun note(opinions: Map<String, DoubleArray>, now: Double): String? {
        val classes = opinions.values.firstOrNull()?.size ?: return null
        val said = modalities.map { modality -> opinions[modality]?.let { likelihoods(it) } ?: DoubleArray(classes) { 1.0 } }
        val logs = said.map { row -> DoubleArray(classes) { ln(row[it]) } }
        val sums = DoubleArray(classes) { c -> logs.sumOf { it[c] } }
        val most = sums.max()
        val agreed = most + ln(sums.sumOf { exp(it - most) })
        val live = modalities.zip(logs).filter { (modality, _) -> modality in opinions }
        if (now - began >= SCENE && isOver(live)) {
            scene?.let { posterior(it) }?.forEachIndexed { row, chance -> chances[row] = (1 - RARE) * chance + RARE * RARE }
            scene = said
            agreement = agreed
            began = now
            first.clear()
        } else if (agreed > agreement) {
            scene = said // sensors that lag behind disagree for a while
            agreement = agreed
        }
        for ((modality, row) in live) first.putIfAbsent(modality, row)
        val found = posterior(said)
        // Two that contradict each other are both suspect.
        return modalities.filterIndexed { row, modality -> modality in opinions && found[row] > LIKELY }.singleOrNull()
    }

    /** Whether those that were live say something else, all together or without one: one that only comes or goes begins no scene. */
    private fun isOver(live: List<Pair<String, DoubleArray>>): Boolean {
        val both = live.filter { (modality, _) -> modality in first }
        return both.isEmpty() || tops(both.map { it.second }) != tops(both.map { first.getValue(it.first) })
    }

    /** Forget what was noted of a modality, whose sensor left. */
    fun forget(modality: String) {
        val row = modalities.indexOf(modality)
        chances[row] = RARE
        first.remove(modality)
        scene?.get(row)?.fill(1.0)
    }

    /** The probability that each modality lies, by its likelihoods and those before. */
    private fun posterior(said: List<DoubleArray>): List<Double> {
        val logs = said.mapIndexed { m, row -> DoubleArray(row.size) { ln((1 - chances[m]) * row[it] + chances[m]) } }
        val whole = DoubleArray(logs[0].size) { c -> logs.sumOf { it[c] } }
        val largest = whole.max() // keeps the exponentials from overflowing
        val everybody = whole.sumOf { exp(it - largest) }
        return logs.mapIndexed { m, row -> chances[m] * row.indices.sumOf { exp(whole[it] - row[it] - largest) } / everybody }
    }
}
