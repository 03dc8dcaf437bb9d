package dev.sensemble.sample

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.exp
import kotlin.math.pow
import org.json.JSONObject

/** What one encoder takes: see the bundle's README.md. */
class Spec(json: JSONObject) {
    val shape: LongArray = json.getJSONArray("shape").let { all -> LongArray(all.length()) { all.getLong(it) } }
    val rate: Double = json.getDouble("rate")
    val window: Double = json.getDouble("window")
    val hop: Double = json.getDouble("hop")
    val ttl: Double = json.getDouble("ttl")
}

/**
 * Of one live set: the divisor of its logits, the power of their own confidence that multiplies them, and the share of
 * probability from which a class is a candidate.
 */
class Calibration(json: JSONObject) {
    val temperature: Double = json.getDouble("temperature")
    val power: Double = json.getDouble("power")
    val threshold: Double = json.getDouble("threshold")
}

/** A bundle that `sensemble export` wrote: what its encoders take, where their programs lie, and the classifier. */
class Bundle(val folder: File) {
    val specs: Map<String, Spec>
    val programs: Map<String, File>
    val labels: List<String>
    val head: Head
    val calibration: Map<String, Calibration>
    val tokenizer: Tokenizer?

    init {
        val manifest = JSONObject(File(folder, "manifest.json").readText())
        val modalities = manifest.getJSONObject("modalities")
        val specs = HashMap<String, Spec>()
        val programs = HashMap<String, File>()
        for (modality in modalities.keys()) {
            val entry = modalities.getJSONObject(modality)
            // An encoder that was exported for other targets only cannot run here; its sensor stays off.
            val artifact = entry.getJSONObject("artifacts").optJSONObject(TARGET) ?: continue
            specs[modality] = Spec(entry.getJSONObject("spec"))
            programs[modality] = File(folder, artifact.getString("path"))
        }
        check(specs.isNotEmpty()) { "The bundle has no artifact for $TARGET; export it for that." }
        this.specs = specs
        this.programs = programs
        val names = manifest.getJSONArray("labels")
        labels = (0 until names.length()).map { names.getString(it) }
        val head = File(folder, manifest.getJSONObject("head").getString("path"))
        this.head = Head(head.readBytes(), manifest.getString("task") == "multi-class")
        val fitted = manifest.getJSONObject("calibration").getJSONObject("subsets")
        calibration = fitted.keys().asSequence().associateWith { Calibration(fitted.getJSONObject(it)) }
        tokenizer = manifest.optJSONObject("tokenizer")?.let {
            Tokenizer(JSONObject(File(folder, it.getString("path")).readText()))
        }
    }

    companion object {
        const val TARGET = "executorch-xnnpack"
    }
}

/**
 * The classifier: `weight x pooled + bias`, times the confidence of that to a power, divided by a temperature, then softmax
 * or, multi-label, a sigmoid for each class.
 */
class Head(safetensors: ByteArray, private val multiClass: Boolean) {
    private val weight: FloatArray
    private val bias: FloatArray

    init {
        val bytes = ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN)
        val start = 8 + bytes.getLong(0).toInt()
        val header = JSONObject(String(safetensors, 8, start - 8, Charsets.UTF_8))
        fun tensor(name: String): FloatArray {
            val entry = header.getJSONObject(name)
            require(entry.getString("dtype") == "F32") { "head: $name is ${entry.getString("dtype")}, not F32" }
            val offsets = entry.getJSONArray("data_offsets")
            val from = start + offsets.getInt(0)
            return FloatArray((offsets.getInt(1) - offsets.getInt(0)) / 4) { bytes.getFloat(from + 4 * it) }
        }
        weight = tensor("weight")
        bias = tensor("bias")
    }

    fun probabilities(pooled: FloatArray, temperature: Double, power: Double): FloatArray {
        val logits = DoubleArray(bias.size) { row ->
            var sum = bias[row].toDouble()
            for (i in pooled.indices) sum += weight[row * pooled.size + i].toDouble() * pooled[i]
            sum
        }
        if (!multiClass) return FloatArray(logits.size) { (1 / (1 + exp(-logits[it] / temperature))).toFloat() }
        var top = Double.NEGATIVE_INFINITY
        for (logit in logits) top = maxOf(top, logit)
        val confidence = 1 / logits.sumOf { exp(it - top) }
        val scale = confidence.pow(power) / temperature
        val shares = logits.map { exp((it - top) * scale) }
        return FloatArray(logits.size) { (shares[it] / shares.sum()).toFloat() }
    }

    /** The indices of the classes that come into question: one, if the prediction is sure. */
    fun candidates(probabilities: FloatArray, threshold: Double): List<Int> {
        val least = if (multiClass) threshold * probabilities.max() else threshold
        return probabilities.indices.filter { probabilities[it] >= least }
    }
}
