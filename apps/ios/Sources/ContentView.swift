import AVFoundation
import SwiftUI

/// The camera, a field for captions, the live set and what it says.
struct ContentView: View {
    @State private var model = SessionModel()
    @State private var caption = ""

    var body: some View {
        VStack(alignment: .leading, spacing: 12) {
            if let camera = model.camera { Preview(session: camera.session) } else { Spacer() }
            TextField("A caption", text: $caption)
                .textFieldStyle(.roundedBorder)
                .disabled(!model.takesCaptions)
                .onSubmit { model.say(caption) }
            Text(model.prediction?.live.joined(separator: " + ") ?? "Nothing is live")
            ForEach(model.problems.sorted(by: <), id: \.key) { Text("\($0.key): \($0.value)").foregroundStyle(.red) }
            if let found = model.prediction, !found.sure { Text("unsure: \(why(found))").font(.title2) }
            ForEach(best, id: \.label) { row in
                HStack {
                    Text(row.label)
                    Spacer()
                    Text(row.probability, format: .percent.precision(.fractionLength(0)))
                }
                .font(.title2)
            }
        }
        .padding()
        .task { await model.run() }
    }

    private func why(_ found: Prediction) -> String {
        let either = found.candidates.prefix(3).map { model.labels[$0] }.joined(separator: " or ")
        return switch found.doubt {
        case .unfamiliar: "nothing it has learned"
        case .disagreement: "the sensors disagree: \(either)"
        default: either
        }
    }

    private var best: [(label: String, probability: Float)] {
        guard let found = model.prediction, found.sure else { return [] }
        let rows = zip(model.labels, found.probabilities).map { (label: $0, probability: $1) }
        return Array(rows.sorted { $0.probability > $1.probability }.prefix(3))
    }
}

private struct Preview: UIViewRepresentable {
    let session: AVCaptureSession

    final class Layer: UIView {
        override static var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }
    }

    func makeUIView(context: Context) -> Layer {
        let view = Layer()
        let layer = view.layer as? AVCaptureVideoPreviewLayer
        layer?.session = session
        layer?.videoGravity = .resizeAspectFill
        return view
    }

    func updateUIView(_ view: Layer, context: Context) {}
}
