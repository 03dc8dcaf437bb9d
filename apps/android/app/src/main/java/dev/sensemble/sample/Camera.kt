package dev.sensemble.sample

import androidx.activity.ComponentActivity
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import java.util.concurrent.Executors

/** The back camera as windows, with a preview; needs the permission CAMERA. */
class Camera(
    private val activity: ComponentActivity,
    private val spec: Spec,
    private val preview: PreviewView,
    private val found: (ByteArray) -> Unit,
    private val lost: (String) -> Unit
) {
    private val thread = Executors.newSingleThreadExecutor()
    private val windows = VideoWindows(spec)

    init {
        val provider = ProcessCameraProvider.getInstance(activity)
        provider.addListener({ bind(provider.get()) }, ContextCompat.getMainExecutor(activity))
    }

    fun close() {
        thread.shutdown()
    }

    private fun bind(provider: ProcessCameraProvider) {
        val shown = Preview.Builder().build().also { it.surfaceProvider = preview.surfaceProvider }
        val analysis = ImageAnalysis.Builder()
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true)
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .build()
        analysis.setAnalyzer(thread) { image -> image.use { analyze(it) } }
        try {
            provider.bindToLifecycle(activity, CameraSelector.DEFAULT_BACK_CAMERA, shown, analysis)
        } catch (error: IllegalArgumentException) { // no such camera
            lost(error.message ?: "no camera")
        }
    }

    private fun analyze(image: ImageProxy) {
        val plane = image.planes[0]
        val bytes = ByteArray(plane.buffer.remaining())
        plane.buffer.get(bytes)
        val height = spec.shape[2].toInt()
        val width = spec.shape[3].toInt()
        val frame = fit(bytes, image.height, image.width, plane.rowStride, height, width)
        windows.append(frame, image.imageInfo.timestamp / 1e9)?.let(found)
    }
}
