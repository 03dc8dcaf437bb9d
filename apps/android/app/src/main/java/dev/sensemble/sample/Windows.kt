package dev.sensemble.sample

import kotlin.math.abs
import kotlin.math.max

/** The newest samples of a microphone, and a window of them once a hop. For one thread. */
class AudioWindows(spec: Spec) {
    private val size = spec.shape[1].toInt()
    private val hop = max(1, Math.rint(spec.hop * spec.rate).toInt())
    private val ring = FloatArray(size)
    private var count = 0L
    private var due = size.toLong()

    /** Add samples in [-1, 1], oldest first; returns the window that they complete, or null. */
    fun append(samples: FloatArray, length: Int): FloatArray? {
        for (i in 0 until length) ring[((count + i) % size).toInt()] = samples[i]
        count += length
        if (count < due) return null
        while (due <= count) due += hop
        return FloatArray(size) { ring[((count + it) % size).toInt()] }
    }
}

/** The newest frames of a camera, and once a hop those nearest to the window's steps. For one thread. */
class VideoWindows(private val spec: Spec) {
    private class Frame(val time: Double, val pixels: ByteArray)

    private val frames = ArrayList<Frame>()
    private var due = Double.NEGATIVE_INFINITY

    /** Add a frame uint8 [H, W, 3] taken at `time` (s); returns the window that it completes, or null. */
    fun append(pixels: ByteArray, time: Double): ByteArray? {
        val step = 1 / spec.rate
        val count = spec.shape[1].toInt()
        val begin = time - (count - 1) * step
        if (frames.isNotEmpty() && time - frames.last().time > max(spec.window, spec.hop)) frames.clear()
        frames.add(Frame(time, pixels))
        while (frames.size > 1 && frames[1].time < begin - step / 2) frames.removeAt(0)
        if (frames[0].time > begin + step / 2 || time < due) return null
        due = time + spec.hop
        val window = ByteArray(count * pixels.size)
        for (i in 0 until count) {
            var nearest = frames[0]
            for (frame in frames) {
                if (abs(frame.time - begin - i * step) < abs(nearest.time - begin - i * step)) nearest = frame
            }
            nearest.pixels.copyInto(window, i * pixels.size)
        }
        return window
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
