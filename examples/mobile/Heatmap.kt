// Not compiled or run for this repository: see README.md beside this file.
package example.heatmap

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** Runs a file that `visualcnn export --heatmap-dtype uint8 --tflite` wrote, on images of its input's size. */
class Explainer(file: File) : AutoCloseable {
    private val interpreter = Interpreter(file, Interpreter.Options().setNumThreads(2))
    private val signature = "serving_default"
    private val inputName = interpreter.getSignatureInputs(signature).single()
    private val shape = interpreter.getInputTensorFromSignature(inputName, signature).shape() // 1, height, width, 3

    class Result(val predictions: FloatArray, val heatmap: Bitmap)

    /** The predictions, and the heatmap of one layer, such as "heatmap_out_relu", as a transparent red overlay. */
    fun explain(image: Bitmap, heatmapName: String): Result {
        val scaled = Bitmap.createScaledBitmap(image, shape[2], shape[1], true)
        val predictions = outputBuffer("predictions")
        val heatmap = outputBuffer(heatmapName)
        val outputs = interpreter.getSignatureOutputs(signature).associateWith<String, Any> { name ->
            when (name) {
                "predictions" -> predictions
                heatmapName -> heatmap
                else -> outputBuffer(name)
            }
        }
        interpreter.runSignature(mapOf(inputName to pixels(scaled)), outputs, signature)
        predictions.rewind()
        heatmap.rewind()
        val floats = FloatArray(predictions.remaining() / 4).also { predictions.asFloatBuffer().get(it) }
        return Result(floats, overlay(heatmap, shape[2], shape[1]))
    }

    private fun outputBuffer(name: String): ByteBuffer {
        val bytes = interpreter.getOutputTensorFromSignature(name, signature).numBytes()
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }

    /** Pixels from 0 to 1; change this line to what the model was trained on. */
    private fun pixels(image: Bitmap): ByteBuffer {
        val buffer = ByteBuffer.allocateDirect(4 * 3 * image.width * image.height).order(ByteOrder.nativeOrder())
        val colors = IntArray(image.width * image.height)
        image.getPixels(colors, 0, image.width, 0, 0, image.width, image.height)
        for (color in colors) {
            for (channel in intArrayOf(Color.red(color), Color.green(color), Color.blue(color))) {
                buffer.putFloat(channel / 255f)
            }
        }
        return buffer.apply { rewind() }
    }

    private fun overlay(heatmap: ByteBuffer, width: Int, height: Int): Bitmap {
        val colors = IntArray(width * height) { Color.argb(heatmap.get().toInt() and 0xff, 255, 0, 0) }
        return Bitmap.createBitmap(colors, width, height, Bitmap.Config.ARGB_8888)
    }

    override fun close() = interpreter.close()
}

/** The image with the overlay on it, at the image's own size. */
fun drawn(image: Bitmap, overlay: Bitmap): Bitmap {
    val copy = image.copy(Bitmap.Config.ARGB_8888, true)
    val stretched = Bitmap.createScaledBitmap(overlay, copy.width, copy.height, true)
    Canvas(copy).drawBitmap(stretched, 0f, 0f, null)
    return copy
}
