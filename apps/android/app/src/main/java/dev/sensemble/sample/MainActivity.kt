package dev.sensemble.sample

import android.Manifest.permission.CAMERA
import android.Manifest.permission.RECORD_AUDIO
import android.content.pm.PackageManager.PERMISSION_GRANTED
import android.os.Bundle as SavedState
import android.view.inputmethod.EditorInfo
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts.RequestMultiplePermissions
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import java.io.File
import java.io.IOException
import kotlin.concurrent.thread

/** Camera, microphone and captions into one bundle: which of them are live, and what they say together. */
class MainActivity : ComponentActivity() {
    private lateinit var preview: PreviewView
    private lateinit var caption: EditText
    private lateinit var live: TextView
    private lateinit var prediction: TextView
    private var session: Session? = null
    private var encoders: Encoders? = null

    private val ask = registerForActivityResult(RequestMultiplePermissions()) { pending?.let { start(it) } }
    private var pending: Bundle? = null

    override fun onCreate(state: SavedState?) {
        super.onCreate(state)
        preview = PreviewView(this)
        caption = EditText(this).apply {
            setHint(R.string.caption)
            setSingleLine()
            imeOptions = EditorInfo.IME_ACTION_DONE
        }
        live = TextView(this).apply { setText(R.string.loading) }
        prediction = TextView(this).apply { textSize = 24f }
        val column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
        }
        column.addView(preview, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f))
        for (view in listOf(caption, live, prediction)) column.addView(view)
        setContentView(column)
        thread(name = "open") { open() }
    }

    override fun onDestroy() {
        session?.close { encoders?.close() }
        super.onDestroy()
    }

    private fun open() {
        try {
            val bundle = Bundle(synchronized(MainActivity::class.java) { unpack() })
            runOnUiThread { if (!isDestroyed) request(bundle) }
        } catch (error: Exception) { // no file, no JSON, or nothing that this sample takes
            runOnUiThread { live.text = getString(R.string.no_bundle, error.message) }
        }
    }

    /**
     * ExecuTorch maps files, and an asset is not one: copy the bundle out of the package, once an installation.
     *
     * An activity that was created again waits for the one before it.
     */
    private fun unpack(): File {
        val installed = packageManager.getPackageInfo(packageName, 0).lastUpdateTime
        val folder = File(filesDir, "bundle-$installed")
        if (folder.exists()) return folder
        filesDir.listFiles { file -> file.name.startsWith("bundle") }?.forEach { it.deleteRecursively() }
        val partial = File(filesDir, "bundle.partial")
        copy("bundle", partial)
        if (!partial.renameTo(folder)) throw IOException("$folder: cannot be written")
        return folder
    }

    private fun copy(asset: String, to: File) {
        val inside = assets.list(asset).orEmpty()
        if (inside.isEmpty()) {
            to.parentFile?.mkdirs()
            assets.open(asset).use { from -> to.outputStream().use { from.copyTo(it) } }
        }
        for (name in inside) copy("$asset/$name", File(to, name))
    }

    private fun request(bundle: Bundle) {
        pending = bundle
        val needed = listOf("video" to CAMERA, "audio" to RECORD_AUDIO).filter { it.first in bundle.specs }
        val missing = needed.map { it.second }.filterNot { granted(it) }
        if (missing.isEmpty()) start(bundle) else ask.launch(missing.toTypedArray())
    }

    private fun granted(permission: String) =
        ContextCompat.checkSelfPermission(this, permission) == PERMISSION_GRANTED

    /** Start whichever sensors there are; one that was refused is a missing modality and nothing more. */
    private fun start(bundle: Bundle) {
        pending = null
        val encoders = Encoders(bundle).also { this.encoders = it }
        val session = Session(
            LiveSet(bundle.specs, bundle.head, bundle.calibration),
            clock = ::now,
            encode = { modality, window ->
                when (modality) {
                    "audio" -> encoders.audio(window as FloatArray)
                    "video" -> encoders.video(window as ByteArray)
                    else -> encoders.text(checkNotNull(bundle.tokenizer).ids(window as String, bundle.length()))
                }
            },
            changed = { found, failures -> runOnUiThread { show(bundle, found, failures) } }
        ).also { this.session = it }
        bundle.specs["video"]?.let { spec ->
            val lost = { reason: String -> session.lost("video", reason) }
            // Frames carry the camera's own clock: those of a window ended when it is offered.
            val found = { window: Window<ByteArray> -> session.offer("video", window.data) }
            if (granted(CAMERA)) lifecycle.addObserver(Camera(this, spec, preview, found, lost))
            else lost(getString(R.string.refused))
        }
        bundle.specs["audio"]?.let { spec ->
            val lost = { reason: String -> session.lost("audio", reason) }
            val found = { window: Window<FloatArray> -> session.offer("audio", window.data, window.time) }
            if (granted(RECORD_AUDIO)) lifecycle.addObserver(Microphone(spec, found, lost))
            else lost(getString(R.string.refused))
        }
        caption.isEnabled = "text" in bundle.specs
        caption.setOnEditorActionListener { view, _, _ ->
            if (view.text.isNotBlank()) session.offer("text", view.text.toString())
            true
        }
    }

    private fun Bundle.length(): Int = specs.getValue("text").shape[1].toInt()

    private fun show(bundle: Bundle, found: Prediction?, failures: Map<String, String>) {
        val missing = failures.map { "${it.key}: ${it.value}" }
        val names = found?.live.orEmpty().joinToString(" + ").ifEmpty { getString(R.string.nothing_live) }
        live.text = (listOf(names) + missing).joinToString("\n")
        val best = found?.probabilities?.withIndex()?.sortedByDescending { it.value }?.take(3).orEmpty()
        val rows = best.map { "${bundle.labels[it.index]}  ${"%.0f".format(100 * it.value)} %" }
        prediction.text = if (found == null || found.sure) rows.joinToString("\n") else unsure(bundle, found)
    }

    private fun unsure(bundle: Bundle, found: Prediction): String {
        val either = found.candidates.joinToString(" or ", limit = 3) { bundle.labels[it] }
        val why = when (found.doubt) {
            Doubt.UNFAMILIAR -> getString(R.string.unfamiliar)
            Doubt.DISAGREEMENT -> getString(R.string.disagreement, either)
            else -> either
        }
        return getString(R.string.unsure, why)
    }
}
