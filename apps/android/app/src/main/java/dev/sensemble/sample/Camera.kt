package dev.sensemble.sample

import androidx.activity.ComponentActivity
import androidx.camera.core.CameraSelector
import androidx.camera.core.CameraState
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.LifecycleOwner
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors

/**
 * The back camera as windows, with a preview, while the app is seen; needs the permission CAMERA.
 *
 * CameraX opens a camera again by itself that another app or the system took away.
 */
class Camera(
    private val activity: ComponentActivity,
    private val spec: Spec,
    private val preview: PreviewView,
    private val found: (Window<ByteArray>) -> Unit,
    private val lost: (String) -> Unit
) : DefaultLifecycleObserver {
    private val thread = Executors.newSingleThreadExecutor()
    private val windows = VideoWindows(spec)

    init {
        val provider = ProcessCameraProvider.getInstance(activity)
        val bind = Runnable {
            try {
                bind(provider.get())
            } catch (error: ExecutionException) { // CameraX found no camera at all
                lost(error.cause?.message ?: "no camera")
            } catch (error: IllegalArgumentException) { // none at the back
                lost(error.message ?: "no camera")
            }
        }
        provider.addListener(bind, ContextCompat.getMainExecutor(activity))
    }

    override fun onDestroy(owner: LifecycleOwner) = thread.shutdown()

    private fun bind(provider: ProcessCameraProvider) {
        val shown = Preview.Builder().build().also { it.surfaceProvider = preview.surfaceProvider }
        val analysis = ImageAnalysis.Builder()
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true)
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .build()
        analysis.setAnalyzer(thread) { image -> image.use { analyze(it) } }
        val camera = provider.bindToLifecycle(activity, CameraSelector.DEFAULT_BACK_CAMERA, shown, analysis)
        camera.cameraInfo.cameraState.observe(activity) { state -> state.error?.let { lost(reason(it)) } }
    }

    private fun reason(error: CameraState.StateError): String = when (error.code) {
        CameraState.ERROR_CAMERA_IN_USE, CameraState.ERROR_MAX_CAMERAS_IN_USE -> "in use by another app"
        CameraState.ERROR_CAMERA_DISABLED -> "disabled on this device"
        CameraState.ERROR_DO_NOT_DISTURB_MODE_ENABLED -> "not while Do Not Disturb is on"
        else -> "the camera failed (${error.code})"
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
