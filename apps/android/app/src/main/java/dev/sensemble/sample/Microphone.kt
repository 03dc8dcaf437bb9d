package dev.sensemble.sample

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.SystemClock
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.LifecycleOwner
import kotlin.concurrent.thread
import kotlin.math.max

/**
 * The microphone at the encoder's rate, as windows; needs the permission RECORD_AUDIO.
 *
 * It listens while the app is seen, for one that is not is given silence. If it fails, it says so and tries again.
 */
class Microphone(
    private val spec: Spec,
    private val found: (Window<FloatArray>) -> Unit,
    private val lost: (String) -> Unit
) : DefaultLifecycleObserver {
    @Volatile private var running = false
    private var worker: Thread? = null

    override fun onStart(owner: LifecycleOwner) {
        running = true
        worker = thread(name = "microphone") { listen() }
    }

    override fun onStop(owner: LifecycleOwner) {
        running = false
        worker?.interrupt()
        worker?.join()
    }

    private fun listen() {
        try {
            while (running) {
                try {
                    record()
                } catch (error: RuntimeException) { // Security-, IllegalState- or IllegalArgumentException
                    lost(error.message ?: error.javaClass.simpleName)
                    Thread.sleep(1000)
                }
            }
        } catch (stopped: InterruptedException) {
            return
        }
    }

    @SuppressLint("MissingPermission") // whoever makes a Microphone has asked
    private fun record() {
        val rate = spec.rate.toInt()
        val mono = AudioFormat.CHANNEL_IN_MONO
        val format = AudioFormat.ENCODING_PCM_16BIT
        val least = AudioRecord.getMinBufferSize(rate, mono, format)
        val recorder = AudioRecord(MediaRecorder.AudioSource.MIC, rate, mono, format, max(least, 2 * rate))
        try {
            check(recorder.state == AudioRecord.STATE_INITIALIZED) { "no microphone at $rate Hz" }
            recorder.startRecording()
            val windows = AudioWindows(spec)
            val read = ShortArray(rate / 20)
            val samples = FloatArray(read.size)
            while (running) {
                val count = recorder.read(read, 0, read.size)
                check(count > 0) { "the microphone stopped ($count)" }
                for (i in 0 until count) samples[i] = read[i] / 32768f
                windows.append(samples, count, now())?.let(found)
            }
        } finally {
            recorder.release()
        }
    }
}

/** The clock of the session (s): it goes on while the phone sleeps. */
fun now(): Double = SystemClock.elapsedRealtimeNanos() / 1e9
