package dev.sensemble.sample

import java.util.concurrent.ScheduledThreadPoolExecutor
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * Windows in, predictions out: one thread encodes, the newest window of each modality wins, and an encoder that
 * fails takes its own modality away and nothing else.
 *
 * @param encode runs the encoder of a modality on a window (FloatArray, ByteArray or a caption).
 * @param changed is called on the session's thread with the prediction or null, and the failures by modality.
 */
class Session(
    private val live: LiveSet,
    private val clock: () -> Double,
    private val encode: (String, Any) -> FloatArray,
    private val changed: (Prediction?, Map<String, String>) -> Unit
) {
    // Sensors stop a little after the session: what they say to a closed one is discarded.
    private val thread = ScheduledThreadPoolExecutor(1, ThreadPoolExecutor.DiscardPolicy())
    private val waiting = HashMap<String, Pair<Any, Double>>()
    private val failures = HashMap<String, String>()

    init {
        // An embedding leaves the live set by age, even if nothing new comes.
        thread.scheduleWithFixedDelay({ report() }, 1, 1, TimeUnit.SECONDS)
    }

    /** Give a window of `modality` that ended at `time`; from any thread. */
    fun offer(modality: String, window: Any, time: Double = clock()) {
        synchronized(waiting) { waiting[modality] = Pair(window, time) }
        thread.execute { step(modality) }
    }

    /** Say that a sensor is not there, and why; its next window says that it is back. From any thread. */
    fun lost(modality: String, reason: String) {
        thread.execute {
            live.remove(modality)
            failures[modality] = reason
            report()
        }
    }

    /** End after what is being encoded, and then do `last`. */
    fun close(last: () -> Unit) {
        thread.execute(last)
        thread.shutdown()
    }

    private fun step(modality: String) {
        val (window, time) = synchronized(waiting) { waiting.remove(modality) } ?: return
        try {
            live.put(modality, encode(modality, window), time)
            failures.remove(modality)
        } catch (error: RuntimeException) {
            live.remove(modality)
            failures[modality] = error.message ?: error.javaClass.simpleName
        }
        report()
    }

    private fun report() = changed(live.predict(clock()), HashMap(failures))
}
