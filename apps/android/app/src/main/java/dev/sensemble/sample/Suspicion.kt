package dev.sensemble.sample

import kotlin.math.exp
import kotlin.math.ln

/** The probability that a sensor lies before any evidence, and that a scene changes who does. */
private const val RARE = 0.02

/** Seconds that a scene lasts at least; its windows count once. */
private const val SCENE = 2.0

/** The least probability of an opinion that counts, relative to no evidence. */
private const val LEAST = 1e-2

/** Which modality contradicts the others, which agree, scene by scene: the runtime's `session/suspicion.py`. */
class Suspicion(private val modalities: List<String>) {
    // Of each explanation: none lies, this one does (in order), or several do.
    private val prior = DoubleArray(modalities.size + 2) { if (it == 0) 1 - (modalities.size + 1) * RARE else RARE }
    private var chances = prior
    private var evidence = DoubleArray(prior.size) { 1.0 }
    private var likeliest = emptyList<Int>()
    private var began = Double.NEGATIVE_INFINITY

    /** The suspect among the modalities of one moment (s), by the probabilities that each gives alone. */
    fun note(opinions: Map<String, FloatArray>, now: Double): String? {
        val classes = opinions.values.firstOrNull()?.size ?: return null
        val logs = modalities.map { modality ->
            DoubleArray(classes) { c -> opinions[modality]?.let { ln(maxOf(it[c] * classes.toDouble(), LEAST)) } ?: 0.0 }
        }
        val everybody = DoubleArray(classes) { c -> logs.sumOf { it[c] } }
        val rests = logs.map { log -> DoubleArray(classes) { everybody[it] - log[it] } }
        val found = (listOf(everybody) + rests).map { sums -> sums.sumOf { exp(it) } / classes }.toDoubleArray() + 1.0
        val best = rests.map { rest -> rest.indices.maxByOrNull { rest[it] }!! }
        if (best != likeliest && now - began >= SCENE) {
            val known = shares(evidence)
            chances = DoubleArray(prior.size) { (1 - RARE) * known[it] + RARE * prior[it] }
            evidence = found
            likeliest = best
            began = now
        } else if (found[0] > evidence[0]) {
            evidence = found
        }
        val lies = shares(found)
        val suspect = modalities.indices.maxByOrNull { lies[1 + it] } ?: return null
        return modalities[suspect].takeIf { lies[1 + suspect] > 0.5 && it in opinions }
    }

    /** Forget what was noted of a modality, whose sensor left. */
    fun forget(modality: String) {
        val row = 1 + modalities.indexOf(modality)
        val excess = maxOf(chances[row] - prior[row], 0.0)
        chances = chances.copyOf().also {
            it[0] += excess
            it[row] -= excess
        }
        evidence = DoubleArray(prior.size) { 1.0 }
    }

    private fun shares(evidence: DoubleArray): DoubleArray {
        val weights = DoubleArray(prior.size) { chances[it] * evidence[it] }
        val whole = weights.sum()
        return DoubleArray(prior.size) { weights[it] / whole }
    }
}
