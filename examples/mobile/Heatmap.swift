// Not compiled or run for this repository: see README.md beside this file.
import TensorFlowLite
import UIKit

/// Runs a file that `visualcnn export --heatmap-dtype uint8 --tflite` wrote, on images of its input's size.
final class Explainer {
    private let interpreter: Interpreter
    private let runner: SignatureRunner

    init(path: String) throws {
        var options = Interpreter.Options()
        options.threadCount = 2
        interpreter = try Interpreter(modelPath: path, options: options)
        runner = try interpreter.signatureRunner(with: "serving_default")
        try runner.allocateTensors()
    }

    /// The predictions, and the heatmap of one layer, such as "heatmap_out_relu", as a transparent red overlay.
    /// - Parameter pixels: float32 RGB pixels as the model takes them, row by row.
    func explain(pixels: Data, heatmap name: String) throws -> (predictions: [Float], overlay: UIImage?) {
        guard let input = runner.inputs.first else { return ([], nil) }
        try runner.copy(pixels, toInputNamed: input)
        try runner.invoke()
        let predictions = try runner.output(named: "predictions").data.withUnsafeBytes {
            Array($0.bindMemory(to: Float.self))
        }
        let heatmap = try runner.output(named: name) // (1, height, width), 0 to 255
        let size = heatmap.shape.dimensions
        return (predictions, Explainer.overlay(heatmap.data, width: size[2], height: size[1]))
    }

    private static func overlay(_ heatmap: Data, width: Int, height: Int) -> UIImage? {
        var rgba = [UInt8](repeating: 0, count: 4 * width * height)
        for (i, heat) in heatmap.enumerated() {
            rgba[4 * i] = heat // red, premultiplied by its opacity
            rgba[4 * i + 3] = heat
        }
        guard let provider = CGDataProvider(data: Data(rgba) as CFData),
              let image = CGImage(
                  width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 32, bytesPerRow: 4 * width,
                  space: CGColorSpaceCreateDeviceRGB(),
                  bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.premultipliedLast.rawValue),
                  provider: provider, decode: nil, shouldInterpolate: true, intent: .defaultIntent)
        else { return nil }
        return UIImage(cgImage: image)
    }
}
