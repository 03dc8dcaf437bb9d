package dev.sensemble.sample

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import kotlin.concurrent.thread
import kotlin.math.max

/** The microphone at the encoder's rate, as windows; needs the permission RECORD_AUDIO. */
class Microphone(private val spec: Spec, private val found: (FloatArray) -> Unit, private val lost: (String) -> Unit) {
    @Volatile private var running = true
    private val worker = thread(name = "microphone") { record() }

    fun close() {
        running = false
        worker.join()
    }

    @SuppressLint("MissingPermission") // whoever makes a Microphone has asked; a refusal is caught below
    private fun record() {
        val rate = spec.rate.toInt()
        val mono = AudioFormat.CHANNEL_IN_MONO
        val format = AudioFormat.ENCODING_PCM_16BIT
        var recorder: AudioRecord? = null
        try {
            val least = AudioRecord.getMinBufferSize(rate, mono, format)
            recorder = AudioRecord(MediaRecorder.AudioSource.MIC, rate, mono, format, max(least, 2 * rate))
            check(recorder.state == AudioRecord.STATE_INITIALIZED) { "no microphone at $rate Hz" }
            recorder.startRecording()
            val windows = AudioWindows(spec)
            val read = ShortArray(rate / 20)
            val samples = FloatArray(read.size)
            while (running) {
                val count = recorder.read(read, 0, read.size)
                check(count > 0) { "the microphone stopped ($count)" }
                for (i in 0 until count) samples[i] = read[i] / 32768f
                windows.append(samples, count)?.let(found)
            }
        } catch (error: RuntimeException) { // SecurityException, IllegalStateException, IllegalArgumentException
            lost(error.message ?: error.javaClass.simpleName)
        } finally {
            recorder?.release()
        }
    }
}
