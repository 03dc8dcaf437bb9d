package dev.sensemble.sample

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** What one call of an encoder sees, and when it ended (s). */
class Window<T>(val data: T, val time: Double)

/**
 * The samples of a microphone as windows: the first ends when there are enough samples, the others a hop apart.
 *
 * As the runtime's `AudioWindows`. For one thread.
 */
class AudioWindows(private val spec: Spec) {
    private val size = spec.shape[1].toInt()
    private val hop = max(1, Math.rint(spec.hop * spec.rate).toInt())
    private val ring = FloatArray(size + hop) // the newest window ends less than a hop before the newest sample
    private var count = 0L
    private var due = 0L // where the next window ends, counted in samples as `count` is
    private var newest = Double.NEGATIVE_INFINITY

    /** Add samples in [-1, 1], the last one heard at `time` (s); returns the newest window that they complete. */
    fun append(samples: FloatArray, length: Int, time: Double): Window<FloatArray>? {
        if (time < newest || time - length / spec.rate - newest > max(spec.window, spec.hop)) {
            count = 0 // no window spans a gap
            due = size.toLong()
        }
        newest = time
        for (i in 0 until length) ring[((count + i) % ring.size).toInt()] = samples[i]
        count += length
        if (count < due) return null
        val end = count - (count - due) % hop
        due = end + hop
        val data = FloatArray(size) { ring[((end - size + it) % ring.size).toInt()] }
        return Window(data, time - (count - end) / spec.rate)
    }
}

/** Frames kept for each one that a window needs, so that memory does not grow with the camera's rate. */
private const val OVERSAMPLING = 4

/** The frames of a camera as windows of those nearest to its steps, one a hop. As the runtime's; for one thread. */
class VideoWindows(private val spec: Spec) {
    private class Frame(val time: Double, val pixels: ByteArray)

    private val count = spec.shape[1].toInt()
    private val step = 1 / spec.rate
    private val frames = ArrayDeque<Frame>()
    private var due = Double.NaN // when the next window is; NaN before the first

    /** Add a frame uint8 [H, W, 3] taken at `time` (s); returns the window that it completes, or null. */
    fun append(pixels: ByteArray, time: Double): Window<ByteArray>? {
        keep(Frame(time, pixels))
        if (frames.first().time > time - (count - 1) * step + step / 2 || !isDue(time)) return null
        val window = ByteArray(count * pixels.size)
        for (i in 0 until count) {
            val wanted = time + (i - (count - 1)) * step
            frames.minBy { abs(it.time - wanted) }.pixels.copyInto(window, i * pixels.size)
        }
        return Window(window, time)
    }

    private fun keep(frame: Frame) {
        val newest = frames.lastOrNull()?.time ?: frame.time
        if (frame.time < newest || frame.time - newest > max(spec.window, spec.hop)) {
            frames.clear() // no window spans a gap
            due = Double.NaN
        }
        // A frame too close to the one before it is only kept while it is the newest.
        if (frames.size > 1 && newest - frames[frames.size - 2].time < step / OVERSAMPLING) frames.removeLast()
        frames.addLast(frame)
        if (frames.size > OVERSAMPLING * count + 3) frames.removeFirst()
    }

    /** The frame nearest to when a window is due ends it. Hops count from the first, so jitter never adds up. */
    private fun isDue(time: Double): Boolean {
        if (due.isNaN()) {
            due = time + spec.hop
            return true
        }
        val soon = time + min((time - frames.first().time) / (frames.size - 1), spec.hop) / 2
        if (soon < due) return false
        due += (floor((soon - due) / spec.hop) + 1) * spec.hop
        return true
    }
}

/**
 * Shrink an upright RGBA picture until it just covers `height` x `width`, averaging, and crop its middle.
 *
 * Each pixel of the result is the mean of the rectangle it comes from (OpenCV's INTER_AREA, which Sensemble's own
 * sensors use).
 */
fun fit(rgba: ByteArray, sourceHeight: Int, sourceWidth: Int, stride: Int, height: Int, width: Int): ByteArray {
    val scale = max(height.toDouble() / sourceHeight, width.toDouble() / sourceWidth)
    val rows = max(Math.rint(sourceHeight * scale).toInt(), height)
    val columns = max(Math.rint(sourceWidth * scale).toInt(), width)
    val top = (rows - height) / 2
    val left = (columns - width) / 2
    val out = ByteArray(height * width * 3)
    for (y in 0 until height) {
        val above = (y + top) * sourceHeight.toDouble() / rows
        val below = (y + top + 1) * sourceHeight.toDouble() / rows
        for (x in 0 until width) {
            val before = (x + left) * sourceWidth.toDouble() / columns
            val after = (x + left + 1) * sourceWidth.toDouble() / columns
            val sums = DoubleArray(3)
            var total = 0.0
            var row = above.toInt()
            while (row < below && row < sourceHeight) {
                val tall = minOf(below, row + 1.0) - max(above, row.toDouble())
                var column = before.toInt()
                while (column < after && column < sourceWidth) {
                    val weight = tall * (minOf(after, column + 1.0) - max(before, column.toDouble()))
                    val at = row * stride + column * 4
                    for (c in 0..2) sums[c] += weight * (rgba[at + c].toInt() and 255)
                    total += weight
                    column++
                }
                row++
            }
            for (c in 0..2) out[(y * width + x) * 3 + c] = Math.rint(sums[c] / total).toInt().toByte()
        }
    }
    return out
}
