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

/** A device: the rows of its sensors, and the probability that it lies as a whole. */
class Witness(val rows: List<Int>, val lies: Double)

/** The rows of the sensors of each device, by the device of each sensor, empty without one. */
fun carried(devices: List<String>): Map<String, List<Int>> =
    devices.indices.filter { devices[it].isNotEmpty() }.groupBy { devices[it] }

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
    witnesses: List<Witness> = emptyList(),
): DoubleArray {
    val n = opinions.size
    val classes = opinions[0].size
    fun logs(opinion: DoubleArray, row: Int, size: Int, before: DoubleArray = doubleArrayOf()) =
        likelihoods(opinion, size.toDouble().pow(-redundancy), before).let { said ->
            DoubleArray(said.size) { ln((1 - lies[row]) * said[it] + lies[row]) }
        }
    if (!multiClass) return DoubleArray(classes) { c ->
        val pairs = opinions.mapIndexed { row, p -> logs(doubleArrayOf(p[c], 1 - p[c]), row, n) }
        val (yes, no) = joined(pairs, pairs.indices.toList(), witnesses)
        1 / (1 + exp(no - yes))
    }
    // As calibrated, as far as it is not suspected more than any.
    fun alone(row: Int): DoubleArray {
        val own = excess(lies[row])
        val suspected = own + excess(witnesses.find { row in it.rows }?.lies ?: RARE) * (1 - own)
        return DoubleArray(classes) { opinions[row][it] + suspected * (1.0 / classes - opinions[row][it]) }
    }
    val bySize = HashMap<Int, List<DoubleArray>>()
    fun believed(part: List<Int>): DoubleArray {
        if (part.size == 1) return alone(part[0])
        val known = bySize.getOrPut(part.size) { opinions.mapIndexed { row, p -> logs(p, row, part.size, prior) } }
        val logs = joined(known, part, witnesses, prior)
        val sums = DoubleArray(classes) { c -> logs[c] + (prior.getOrNull(c)?.let { ln(it) } ?: 0.0) }
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

/** The log-likelihoods of a part of the sensors, of which those of a device are one. */
private fun joined(
    logs: List<DoubleArray>,
    part: List<Int>,
    witnesses: List<Witness>,
    prior: DoubleArray = doubleArrayOf(),
): DoubleArray {
    fun sumsOf(rows: List<Int>) = DoubleArray(logs[0].size) { c -> rows.sumOf { logs[it][c] } }
    val sums = sumsOf(part)
    for (witness in witnesses) {
        val some = witness.rows.filter { it in part }
        val chance = chanceOf(witness.lies, some.size, part.size)
        if (chance <= 0) continue
        val own = sumsOf(some)
        val mixed = mixed(own, chance, prior)
        for (c in sums.indices) sums[c] += mixed[c] - own[c]
    }
    return sums
}

private fun excess(lies: Double) = maxOf(lies - RARE, 0.0) / (1 - RARE)

/** The probability that a device lies, `some` of whose sensors are live, of `every` live ones. */
private fun chanceOf(lies: Double, some: Int, every: Int) =
    if (some == 0) 0.0 else if (some in 2 until every) lies else excess(lies)

/** The log-likelihoods of a device that may lie as a whole, by those of its sensors. */
private fun mixed(own: DoubleArray, chance: Double, prior: DoubleArray = doubleArrayOf()): DoubleArray {
    val most = own.max()
    val shares = DoubleArray(own.size) { exp(own[it] - most) }
    val mean = shares.indices.sumOf { shares[it] * prior.getOrElse(it) { 1.0 / own.size } }
    return DoubleArray(own.size) { ln((1 - chance) * shares[it] / mean + chance) }
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

/** The likeliest class by all log-likelihoods, and by all but each of some parts. */
private fun tops(logs: List<DoubleArray>, parts: List<List<Int>>): List<Int> {
    val every = DoubleArray(logs[0].size) { c -> logs.sumOf { it[c] } }
    return listOf(every.top()) + parts.map { part -> DoubleArray(every.size) { c -> every[c] - part.sumOf { logs[it][c] } }.top() }
}

/** The probability that each modality lies, learned from scene to scene; times are in seconds. */
class Belief(private val modalities: List<String>, deviceOf: (String) -> String = { "" }) {
    private val chances = DoubleArray(modalities.size) { RARE } // when the scene began
    private val devices = carried(modalities.map(deviceOf)).filterValues { it.size > 1 } // each may lie as a whole
    private val turned = HashMap(devices.mapValues { RARE })
    private var scene: List<DoubleArray>? = null // the likelihoods of its moment in which most agreed
    private var agreement = Double.NEGATIVE_INFINITY
    private val first = HashMap<String, DoubleArray>() // their logarithms when each was first live in it
    private var began = Double.NEGATIVE_INFINITY

    /** The probability that a modality lies, by the scenes before this one. */
    fun lies(modality: String): Double = chances[modalities.indexOf(modality)]

    /** The probability that a device lies as a whole; `RARE` if it has one modality. */
    fun turned(device: String): Double = turned[device] ?: RARE

    /** Note the opinions of one moment; the suspects: a sensor, or those of a device. */
    fun note(opinions: Map<String, DoubleArray>, now: Double): List<String> {
        val classes = opinions.values.firstOrNull()?.size ?: return emptyList()
        val said = modalities.map { modality -> opinions[modality]?.let { likelihoods(it) } ?: DoubleArray(classes) { 1.0 } }
        val logs = said.map { row -> DoubleArray(classes) { ln(row[it]) } }
        val sums = DoubleArray(classes) { c -> logs.sumOf { it[c] } }
        val most = sums.max()
        val agreed = most + ln(sums.sumOf { exp(it - most) })
        val live = modalities.zip(logs).filter { (modality, _) -> modality in opinions }
        if (now - began >= SCENE && isOver(live)) {
            scene?.let { posterior(it) }?.let { found ->
                found.lies.forEachIndexed { row, chance -> chances[row] = (1 - RARE) * chance + RARE * RARE }
                for ((device, chance) in found.turned) turned[device] = (1 - RARE) * chance + RARE * RARE
            }
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
        val rows = modalities.indices.filter { modalities[it] in opinions && found.lying[it] > LIKELY }
        val isOne = found.turned.any { (device, chance) -> chance > LIKELY && devices.getValue(device).containsAll(rows) }
        // Two that contradict each other are both suspect.
        return if (rows.size == 1 || isOne) rows.map { modalities[it] } else emptyList()
    }

    /** Whether those that were live say something else, all together or without one or a device: one that only comes or goes begins no scene. */
    private fun isOver(live: List<Pair<String, DoubleArray>>): Boolean {
        val both = live.filter { (modality, _) -> modality in first }
        val parts = both.indices.map { listOf(it) } +
            devices.values.map { rows -> both.indices.filter { modalities.indexOf(both[it].first) in rows } }
        return both.isEmpty() || tops(both.map { it.second }, parts) != tops(both.map { first.getValue(it.first) }, parts)
    }

    /** Forget what was noted of a modality, whose sensor left, and of a device without another. */
    fun forget(modality: String) {
        val row = modalities.indexOf(modality)
        chances[row] = RARE
        first.remove(modality)
        for ((device, rows) in devices) if (rows.none { modalities[it] in first }) turned[device] = RARE
        scene?.get(row)?.fill(1.0)
    }

    /** Who lies: each modality by itself, by itself or with its device, and each device. */
    private class Found(val lies: DoubleArray, val lying: DoubleArray, val turned: Map<String, Double>)

    /** A device that may lie: its name, the probability of that, and its log-likelihoods if it cannot and if it may. */
    private class Joint(val device: String, val chance: Double, val own: DoubleArray, val mixed: DoubleArray, val isWhole: Boolean)

    /** Who lies, by the likelihoods of a moment and the probabilities before it. */
    private fun posterior(said: List<DoubleArray>): Found {
        val live = said.map { row -> row.any { it != 1.0 } }
        val logs = said.mapIndexed { m, row -> DoubleArray(row.size) { ln((1 - chances[m]) * row[it] + chances[m]) } }
        val sums = DoubleArray(logs[0].size) { c -> logs.sumOf { it[c] } }
        val joint = devices.mapNotNull { (device, rows) ->
            val (some, every) = listOf(rows.count { live[it] }, live.count { it })
            val chance = chanceOf(turned.getValue(device), some, every)
            if (chance <= 0) return@mapNotNull null
            val own = DoubleArray(sums.size) { c -> rows.sumOf { logs[it][c] } }
            Joint(device, chance, own, mixed(own, chance), some in 2 until every)
        }
        for (one in joint) for (c in sums.indices) sums[c] += one.mixed[c] - one.own[c]
        val largest = sums.max() // keeps the exponentials from overflowing
        val everybody = sums.map { exp(it - largest) }.average()
        val lies = DoubleArray(logs.size) { m ->
            chances[m] * sums.indices.map { exp(sums[it] - logs[m][it] - largest) }.average() / everybody
        }
        val (lying, now) = lies.copyOf() to HashMap(turned)
        for (one in joint) {
            val others = DoubleArray(sums.size) { exp(sums[it] - one.mixed[it] - largest) }
            val isTurned = one.chance * others.average() / everybody
            val most = one.own.max()
            val average = one.own.map { exp(it - most) }.average()
            for (row in devices.getValue(one.device)) {
                val rest = DoubleArray(sums.size) { exp(one.own[it] - logs[row][it] - most) / average }
                val both = rest.indices.map { rest[it] * others[it] }.average()
                val honest = chances[row] * (1 - one.chance) * both / everybody
                lying[row] = isTurned + honest
                lies[row] = honest + chances[row] * rest.average() * isTurned
            }
            now[one.device] = if (one.isWhole) isTurned else RARE + (1 - RARE) * isTurned
        }
        return Found(lies, lying, now)
    }
}
