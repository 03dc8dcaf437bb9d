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
    val device: String = json.getString("device")
}

/** Of one modality: the divisor of its logits, and the power of their own confidence that multiplies them. */
class Fitted(json: JSONObject) {
    val temperature: Double = json.getDouble("temperature")
    val power: Double = json.getDouble("power")
}

/**
 * The confidence from which an answer is sure, how far sensors repeat each other (0 to 1), the prior that opinions hold, by
 * modality what was fitted and the least score of a familiar window.
 */
class Calibration(json: JSONObject) {
    val threshold: Double = json.getDouble("threshold")
    val redundancy: Double = json.getDouble("redundancy")
    val modalities: Map<String, Fitted> =
        json.getJSONObject("modalities").let { all -> all.keys().asSequence().associateWith { Fitted(all.getJSONObject(it)) } }
    val prior: DoubleArray = json.optJSONArray("prior")?.let { all -> DoubleArray(all.length()) { all.getDouble(it) } } ?: doubleArrayOf()
    val familiar: Map<String, Double> =
        json.getJSONObject("familiar").let { all -> all.keys().asSequence().associateWith { all.getDouble(it) } }
}

/** A bundle that `sensemble export` wrote: what its encoders take, where their programs lie, and the classifier. */
class Bundle(val folder: File) {
    val specs: Map<String, Spec>
    val programs: Map<String, File>
    val labels: List<String>
    val head: Head
    val calibration: Calibration
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
        this.head = Head(head.readBytes(), manifest.getString("task") == "multi-class", modalities.keys().asSequence().sorted().toList())
        calibration = Calibration(manifest.getJSONObject("calibration"))
        tokenizer = manifest.optJSONObject("tokenizer")?.let {
            Tokenizer(JSONObject(File(folder, it.getString("path")).readText()))
        }
    }

    companion object {
        const val TARGET = "executorch-xnnpack"
    }
}

/**
 * The classifier: `weight x embedding + bias`, times the confidence of that to a power, divided by a temperature, then softmax
 * or, multi-label, a sigmoid for each class. And how familiar a window is: the smaller of a linear score and the nearness of some
 * means of each class, by its embedding and modality.
 */
class Head(safetensors: ByteArray, val multiClass: Boolean, val modalities: List<String>) {
    private val weight: FloatArray
    private val bias: FloatArray
    private val familiarWeight: FloatArray
    private val familiarBias: FloatArray
    private val familiarMeans: FloatArray
    private val familiarOffset: FloatArray
    val size get() = bias.size

    init {
        val bytes = ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN)
        val start = 8 + bytes.getLong(0).toInt()
        val header = JSONObject(String(safetensors, 8, start - 8, Charsets.UTF_8))
        fun tensor(name: String): FloatArray {
            val entry = header.optJSONObject(name) ?: return FloatArray(0)
            require(entry.getString("dtype") == "F32") { "head: $name is ${entry.getString("dtype")}, not F32" }
            val offsets = entry.getJSONArray("data_offsets")
            val from = start + offsets.getInt(0)
            return FloatArray((offsets.getInt(1) - offsets.getInt(0)) / 4) { bytes.getFloat(from + 4 * it) }
        }
        weight = tensor("weight")
        bias = tensor("bias")
        familiarWeight = tensor("familiar_weight")
        familiarBias = tensor("familiar_bias")
        familiarMeans = tensor("familiar_means")
        familiarOffset = tensor("familiar_offset")
    }

    fun familiarity(modality: String, embedding: FloatArray): Double {
        val row = modalities.indexOf(modality)
        val linear = score(familiarWeight, familiarBias, row, embedding)
        if (familiarMeans.isEmpty()) return linear
        val each = familiarMeans.size / familiarBias.size / embedding.size
        val offsets = FloatArray((row + 1) * each) { familiarOffset[row] }
        return minOf(linear, (row * each until offsets.size).maxOf { score(familiarMeans, offsets, it, embedding) })
    }

    /** Whether the linear score is below a limit; without means, it is not known. */
    fun isFar(modality: String, embedding: FloatArray, limit: Double) =
        familiarMeans.isNotEmpty() && score(familiarWeight, familiarBias, modalities.indexOf(modality), embedding) < limit

    private fun score(weight: FloatArray, bias: FloatArray, row: Int, x: FloatArray): Double {
        var sum = bias[row].toDouble()
        for (i in x.indices) sum += weight[row * x.size + i].toDouble() * x[i]
        return sum
    }

    fun probabilities(embedding: FloatArray, temperature: Double, power: Double): FloatArray {
        val logits = DoubleArray(size) { score(weight, bias, it, embedding) }
        if (!multiClass) return FloatArray(logits.size) { (1 / (1 + exp(-logits[it] / temperature))).toFloat() }
        val top = logits.max()
        val confidence = 1 / logits.sumOf { exp(it - top) }
        val scale = confidence.pow(power) / temperature
        val shares = logits.map { exp((it - top) * scale) }
        val whole = shares.sum()
        return FloatArray(logits.size) { (shares[it] / whole).toFloat() }
    }
}
