import Artifacts
import Compute
import Foundation
import Networks
import Training

/// What a `.keras` file holds.
struct ArchiveInspection: Inspection {
  struct LayerLine: Encodable {
    let name: String
    let type: String
    /// Without the batch axis.
    let shape: [Int]
    let parameters: Int
  }

  let kind = "keras"
  let path: String
  let model: String
  /// Of the Keras that saved it, or whose layout it has.
  let kerasVersion: String?
  /// The program that saved it; null for Keras itself.
  let savedBy: String?
  let saved: String?
  let dtypePolicy: String
  /// `[T, C]`.
  let input: [Int]
  let classes: Int
  /// Of the dilated convolutions; null where there is none.
  let padding: String?
  let parameters: Int
  let trainableParameters: Int
  let optimizerSteps: Int?
  let notes: [String]
  let layers: [LayerLine]

  enum CodingKeys: String, CodingKey {
    case kind, path, model, saved, input, classes, padding, parameters, notes, layers
    case kerasVersion = "keras_version"
    case savedBy = "saved_by"
    case dtypePolicy = "dtype_policy"
    case trainableParameters = "trainable_parameters"
    case optimizerSteps = "optimizer_steps"
  }

  /// Of the weights; told by `metrics.json`.
  let fingerprint: String

  /// - Throws: `ArchiveError` where it is not an archive of a network of ours, `CommandFailure` where
  ///   nothing was ever trained to its weights.
  init(_ path: String) throws {
    let contents = try KerasArchive.read(path)
    let network = contents.network
    try network.checkTrained(contents.weights, file: path)
    fingerprint = network.fingerprint(of: contents.weights).hexadecimal
    self.path = path
    model = network.name
    kerasVersion = contents.info.kerasVersion
    savedBy = contents.info.savedBy
    saved = contents.info.dateSaved
    dtypePolicy = contents.info.dtypePolicy
    input = [network.input.time, network.input.channels]
    classes = network.classes
    padding = network.dilatedPadding?.rawValue
    parameters = network.parameterCount
    trainableParameters = network.trainableCount
    optimizerSteps = contents.optimizer?.iterations
    notes = contents.info.notes
    layers = network.layers.indices.map { index in
      LayerLine(
        name: network.layers[index].name, type: type(of: network.layers[index].kind).automaticName,
        shape: network.shapes[index],
        parameters: network.weights.filter { $0.layer == index }
          .reduce(0) { $0 + $1.elementCount })
    }
  }

  var text: String {
    var table = TextTable(header: ["layer", "output", "parameters"])
    for layer in layers {
      table.append([
        layer.name, layer.shape.map(String.init).joined(separator: " × "), "\(layer.parameters)",
      ])
    }
    let version = kerasVersion ?? "of an unknown version"
    let trained =
      optimizerSteps.map { "; trained for \(Figure.count($0, "step")), Adam's state is there" }
      ?? ""
    return
      ([
        "\(path): \(model), saved by " + (savedBy ?? "Keras \(version)")
          + (saved.map { " on \($0)" } ?? "")
          + (savedBy == nil ? "" : ", in the layout of Keras \(version)"),
        "windows of \(Figure.count(input[0], "sample")), \(Figure.count(input[1], "channel")); "
          + Figure.count(classes, "gesture"),
        padding.map { "dilated convolutions: padding \($0)" },
        "\(parameters) parameters, \(trainableParameters) of them trainable; \(dtypePolicy)\(trained)",
      ].compactMap { $0 } + notes + ["", table.text(within: Console.outputColumns)]).joined(
        separator: "\n")
  }
}
