package dev.sensemble.sample

import java.io.File
import java.util.concurrent.SynchronousQueue
import kotlin.math.sin
import org.json.JSONArray
import org.json.JSONObject

/** `Check FOLDER`: what the sample makes of the bundle and of `vectors.json` in it, as JSON; see test_mobile.py. */
fun main(arguments: Array<String>) {
    val bundle = Bundle(File(arguments[0]))
    val cases = JSONObject(File(arguments[0], "vectors.json").readText()).getJSONObject("inputs")
    val captions = cases.getJSONArray("captions")
    val ids = (0 until captions.length()).map { bundle.ids(captions.getString(it)) }
    val (height, width) = listOf(37, 61) // of the picture of vectors.py
    val rgb = cases.getJSONArray("picture")
    val rgba = ByteArray(height * width * 4) { if (it % 4 < 3) rgb.getInt(it / 4 * 3 + it % 4).toByte() else -1 }
    val (rows, columns) = bundle.specs.getValue("video").shape.slice(2..3).map { it.toInt() }
    val fitted = fit(rgba, height, width, width * 4, rows, columns)
    val stream = Stream(bundle)
    cases.getJSONArray("stream").objects().forEach(stream::play)
    val fused = cases.getJSONArray("fused").objects().map { JSONArray(fuseOf(it, bundle.head.multiClass).toList()) }
    val strange = cases.getJSONArray("breaks").objects().map { JSONArray(strangeOf(it)) }
    val belief = Belief(bundle.specs.keys.sorted())
    val beliefs = cases.getJSONArray("moments").objects().map { belief.noted(it, bundle.specs.keys) }
    val turns = cases.getJSONObject("turns")
    val devices = turns.getJSONObject("devices")
    val names = devices.keys().asSequence().sorted().toList()
    val turning = Belief(names, devices::getString)
    val turned = turns.getJSONArray("moments").objects().map { turning.noted(it, names, "webcam") }
    println(
        JSONObject().put("ids", JSONArray(ids.map { JSONArray(it.toList()) }))
            .put("picture", JSONArray(fitted.map { it.toInt() and 255 }))
            .put("predictions", JSONArray(stream.predictions))
            .put("strange", JSONArray(strange)).put("fused", JSONArray(fused)).put("beliefs", JSONArray(beliefs)).put("turns", JSONArray(turned))
            .put("failures", JSONObject(stream.failures as Map<*, *>))
    )
    stream.close()
}

private fun Bundle.ids(caption: String) = tokenizer!!.ids(caption, specs.getValue("text").shape[1].toInt())

private fun JSONArray.objects() = (0 until length()).map { getJSONObject(it) }

private fun JSONArray.numbers() = DoubleArray(length()) { getDouble(it) }

/** The probabilities of one case of `vectors.fused`. */
private fun fuseOf(case: JSONObject, multiClass: Boolean): DoubleArray {
    val opinions = case.getJSONArray("opinions").let { all -> (0 until all.length()).map { all.getJSONArray(it).numbers() } }
    val (lies, prior) = listOf(case.getJSONArray("lies").numbers(), case.getJSONArray("prior").numbers())
    val devices = case.getJSONArray("devices").objects().map { one ->
        Witness(one.getJSONArray("rows").numbers().map { it.toInt() }, one.getDouble("lies"))
    }
    return fuse(opinions, lies.toList(), case.getDouble("redundancy"), multiClass, prior, devices)
}

/** The strange sensors of one case of `vectors.breaks`. */
private fun strangeOf(case: JSONObject): List<String> {
    val (far, devices) = listOf(case.getJSONObject("far"), case.getJSONObject("devices"))
    return strange(far.keys().asSequence().sorted().toList(), far::getBoolean, devices::getString)
}

/** The suspect of one moment, and what is believed of each modality, and a device, after it. */
private fun Belief.noted(moment: JSONObject, modalities: Collection<String>, device: String? = null): JSONObject {
    if (!moment.isNull("forget")) forget(moment.getString("forget"))
    val said = moment.getJSONObject("opinions").let { all -> all.keys().asSequence().associateWith { all.getJSONArray(it).numbers() } }
    val suspect = note(said, moment.getDouble("now"))
    val lies = modalities.associateWith { lies(it) } + listOfNotNull(device).associate { "device $it" to turned(it) }
    return JSONObject().put("suspect", suspect.joinToString("+").ifEmpty { null }).put("lies", JSONObject(lies as Map<*, *>))
}

private fun Prediction?.json() =
    JSONObject().put("live", JSONArray(this?.live.orEmpty()))
        .put("probabilities", JSONArray(this?.probabilities?.map { it.toDouble() }.orEmpty()))
        .put("candidates", JSONArray(this?.candidates.orEmpty())).put("doubt", this?.doubt?.name?.lowercase())

/** The sensors of vectors.py into a session, each prediction awaited. */
private class Stream(private val bundle: Bundle) {
    val predictions = ArrayList<JSONObject>()
    val failures = HashMap<String, String>()
    @Volatile private var time = 0.0
    private var encoded = false // and not told yet; the session tells every second, too
    private val told = SynchronousQueue<JSONObject>()
    private val session = Session(LiveSet(bundle.specs, bundle.head, bundle.calibration), { time }, ::encode, ::changed)
    private var audio = AudioWindows(bundle.specs.getValue("audio"))
    private var video = VideoWindows(bundle.specs.getValue("video"))

    fun play(event: JSONObject) {
        time = event.getDouble("time")
        val samples = event.optJSONArray("data")
        val window = when (event.getString("modality")) {
            "text" -> Window<Any>(event.getString("data"), time)
            "audio" -> if (samples == null) lose("audio") else hear(FloatArray(7) { samples.getDouble(it).toFloat() })
            else -> if (samples == null) lose("video") else see(samples.getInt(0).toByte())
        } ?: return
        session.offer(event.getString("modality"), window.data as Any, window.time)
        predictions.add(told.take())
    }

    fun close() {
        session.close {}
        session.offer("text", "to nobody")
        session.lost("text", "nobody asks")
    }

    private fun hear(samples: FloatArray) = audio.append(samples, samples.size, time)

    private fun see(brightness: Byte) = video.append(ByteArray(12 * 16 * 3) { brightness }, time)

    private fun lose(modality: String): Window<Any>? {
        session.lost(modality, "unplugged")
        if (modality == "audio") audio = AudioWindows(bundle.specs.getValue("audio"))
        else video = VideoWindows(bundle.specs.getValue("video"))
        return null
    }

    private fun encode(modality: String, window: Any): FloatArray {
        encoded = true
        val numbers = when (window) {
            is FloatArray -> DoubleArray(window.size) { window[it].toDouble() }
            is ByteArray -> DoubleArray(window.size) { (window[it].toInt() and 255).toDouble() }
            else -> bundle.ids(window as String).map { it.toDouble() }.toDoubleArray()
        }
        return FloatArray(8) { sin(numbers[it * numbers.size / 8]).toFloat() }
    }

    private fun changed(found: Prediction?, failed: Map<String, String>) {
        failures += failed
        if (!encoded) return
        encoded = false
        told.put(found.json().put("time", time))
    }
}
