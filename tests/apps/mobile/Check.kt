package dev.sensemble.sample

import java.io.File
import java.util.concurrent.SynchronousQueue
import kotlin.math.sin
import org.json.JSONArray
import org.json.JSONObject

/** `Check FOLDER`: what the sample makes of the bundle and of `cases.json` in it, as JSON; see test_mobile.py. */
fun main(arguments: Array<String>) {
    val bundle = Bundle(File(arguments[0]))
    val cases = JSONObject(File(arguments[0], "cases.json").readText())
    val captions = cases.getJSONArray("captions")
    val ids = (0 until captions.length()).map { bundle.ids(captions.getString(it)) }
    val picture = cases.getJSONObject("picture")
    val (height, width) = listOf(picture.getInt("height"), picture.getInt("width"))
    val rgb = picture.getJSONArray("rgb")
    val rgba = ByteArray(height * width * 4) { if (it % 4 < 3) rgb.getInt(it / 4 * 3 + it % 4).toByte() else -1 }
    val fitted = fit(rgba, height, width, width * 4, picture.getInt("rows"), picture.getInt("columns"))
    val stream = Stream(bundle)
    val events = cases.getJSONArray("events")
    for (index in 0 until events.length()) stream.play(events.getJSONObject(index))
    val many = cases.getJSONObject("many")
    val embeddings = many.getJSONArray("embeddings")
    val judged = (0 until embeddings.length()).map { bundle.judge(many, embeddings.getJSONObject(it)).json() }
    println(
        JSONObject().put("ids", JSONArray(ids.map { JSONArray(it.toList()) }))
            .put("picture", JSONArray(fitted.map { it.toInt() and 255 }))
            .put("predictions", JSONArray(stream.predictions))
            .put("many", JSONArray(judged))
            .put("failures", JSONObject(stream.failures as Map<*, *>))
    )
    stream.close()
}

private fun Bundle.ids(caption: String) = tokenizer!!.ids(caption, specs.getValue("text").shape[1].toInt())

/** The answer of one live set of many modalities. */
private fun Bundle.judge(many: JSONObject, embeddings: JSONObject): Prediction? {
    val names = many.getJSONArray("modalities").let { all -> (0 until all.length()).map { all.getString(it) } }
    val head = Head(File(folder, "head.safetensors").readBytes(), head.multiClass, names)
    val live = LiveSet(names.associateWith { specs.getValue("text") }, head, Calibration(many.getJSONObject("calibration")))
    for (name in embeddings.keys()) {
        val numbers = embeddings.getJSONArray(name)
        live.put(name, FloatArray(numbers.length()) { numbers.getDouble(it).toFloat() }, 0.0)
    }
    return live.predict(0.0)
}

private fun Prediction?.json() =
    JSONObject().put("live", JSONArray(this?.live.orEmpty()))
        .put("probabilities", JSONArray(this?.probabilities?.map { it.toDouble() }.orEmpty()))
        .put("candidates", JSONArray(this?.candidates.orEmpty())).put("sure", this?.sure)

/** The sensors of stream.py into a session, each prediction awaited. */
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
        val samples = event.optJSONArray("samples")
        val window = when (event.getString("modality")) {
            "text" -> Window<Any>(event.getString("caption"), time)
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
