package dev.sensemble.sample

import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/** The encoders of a bundle, each loaded when its first window comes. For one thread. */
class Encoders(private val bundle: Bundle) {
    private val modules = HashMap<String, Module>()

    /** `samples` float32 [1, S] to an embedding. */
    fun audio(samples: FloatArray): FloatArray = run("audio", Tensor.fromBlob(samples, shape("audio")))

    /** `ids` int64 [1, L] to an embedding. */
    fun text(ids: LongArray): FloatArray = run("text", Tensor.fromBlob(ids, shape("text")))

    /** `frames` uint8 [1, T, H, W, 3] to an embedding. */
    fun video(frames: ByteArray): FloatArray = run("video", Tensor.fromBlobUnsigned(frames, shape("video")))

    fun close() {
        modules.values.forEach { it.destroy() }
        modules.clear()
    }

    private fun shape(modality: String): LongArray = bundle.specs.getValue(modality).shape

    private fun run(modality: String, window: Tensor): FloatArray {
        val module = modules.getOrPut(modality) { load(bundle.programs.getValue(modality)) }
        return module.forward(EValue.from(window))[0].toTensor().dataAsFloatArray
    }

    private fun load(program: File): Module = Module.load(program.path, Module.LOAD_MODE_MMAP)
}
