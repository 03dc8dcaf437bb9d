package dev.sensemble.sample

import java.io.File
import org.json.JSONArray
import org.json.JSONObject

/** `Check FOLDER`: what the sample makes of the bundle and of `cases.json` in it, as JSON; see test_mobile.py. */
fun main(arguments: Array<String>) {
    val bundle = Bundle(File(arguments[0]))
    val cases = JSONObject(File(arguments[0], "cases.json").readText())
    val captions = cases.getJSONArray("captions")
    val length = bundle.specs.getValue("text").shape[1].toInt()
    val ids = (0 until captions.length()).map { bundle.tokenizer!!.ids(captions.getString(it), length) }
    val live = LiveSet(bundle.specs, bundle.head)
    val embeddings = cases.getJSONObject("embeddings")
    for (modality in embeddings.keys()) live.put(modality, floats(embeddings.getJSONArray(modality)), 0.0)
    val ages = cases.getJSONArray("ages")
    val predictions = (0 until ages.length()).map { index ->
        val found = live.predict(ages.getDouble(index))
        JSONObject().put("live", JSONArray(found?.live.orEmpty()))
            .put("probabilities", JSONArray(found?.probabilities?.map { it.toDouble() }.orEmpty()))
    }
    val picture = cases.getJSONObject("picture")
    val (height, width) = listOf(picture.getInt("height"), picture.getInt("width"))
    val rgb = picture.getJSONArray("rgb")
    val rgba = ByteArray(height * width * 4) { if (it % 4 < 3) rgb.getInt(it / 4 * 3 + it % 4).toByte() else -1 }
    val fitted = fit(rgba, height, width, width * 4, picture.getInt("rows"), picture.getInt("columns"))
    val audio = AudioWindows(bundle.specs.getValue("audio"))
    val heard = (0 until 40).mapNotNull { block -> audio.append(FloatArray(7) { (7 * block + it).toFloat() }, 7) }
    println(
        JSONObject().put("ids", JSONArray(ids.map { JSONArray(it.toList()) }))
            .put("predictions", JSONArray(predictions))
            .put("picture", JSONArray(fitted.map { it.toInt() and 255 }))
            .put("audio", JSONArray(heard.map { window -> JSONArray(window.map { it.toDouble() }) }))
    )
}

private fun floats(all: JSONArray) = FloatArray(all.length()) { all.getDouble(it).toFloat() }
