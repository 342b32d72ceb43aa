import Foundation
import Networks

/// Keras 3 archives: a zip of `metadata.json`, `config.json` and `model.weights.h5`.
public enum KerasArchive {
  /// Version that our archives name: the oldest whose keys we write.
  ///
  /// `keras.models.load_model` does not look at it. `keras.saving.KerasFileEditor` ends in a KeyError
  /// without it, and other programs tell Keras 2 from Keras 3 by it. So it is there, and what it
  /// stands for is said beside it.
  static let writtenVersion = "3.5.0"

  /// Writes a network that `keras.models.load_model` (3.5 and later) opens, and trains on where
  /// `training` says how.
  ///
  /// - Parameters:
  ///   - weights: parallel to `network.weights`.
  ///   - optimizer: Adam's state, moments parallel to the trainable ones of `network.weights`; nil
  ///     for a fresh one. Written only with `training`.
  ///   - training: loss, optimizer and learning rate; nil leaves the model uncompiled.
  ///   - path: replaced whole when it is there, untouched when anything fails.
  ///   - savedAt: the date that `metadata.json` names.
  public static func write(
    _ network: Network, weights: NetworkWeights, optimizer: OptimizerState? = nil,
    training: TrainingSettings?, to path: String, savedAt: Date = Date()
  ) throws(ArchiveError) {
    let data = try archive(
      network, weights: weights, optimizer: optimizer, training: training, path: path,
      savedAt: savedAt)
    do {
      try AtomicFile.write(data, to: path)
    } catch {
      throw .write(error)
    }
  }

  /// The archive's bytes; `path` is for messages.
  static func archive(
    _ network: Network, weights: NetworkWeights, optimizer: OptimizerState?,
    training: TrainingSettings?, path: String, savedAt: Date
  ) throws(ArchiveError) -> Data {
    try check(weights.values, against: network.weights, what: "weights")
    let trainable = network.weights.filter(\.isTrainable)
    if let optimizer {
      try check(optimizer.firstMoments, against: trainable, what: "first moments")
      try check(optimizer.secondMoments, against: trainable, what: "second moments")
    }
    let order = KerasLayout.order(of: network)
    guard order.count == network.layers.count else {
      throw .mismatch(
        what: "layers that lead to the output", found: order.count, expected: network.layers.count)
    }
    let config = KerasConfigWriter(network: network, order: order, training: training).config()
    let metadata: JSONValue = [
      "keras_version": .string(writtenVersion), "date_saved": .string(UniversalTime(savedAt).keras),
      "saved_by": .string(ProgramVersion.text),
      "keras_version_means": "the oldest Keras that opens this file; Keras did not save it",
    ]
    let items = weightItems(
      network, order: order, weights: weights, optimizer: optimizer, training: training)
    do {
      let file = try HDF5Writer.file(items)
      return try ZipWriter.archive([
        ("metadata.json", try metadata.encoded()), ("config.json", try config.encoded()),
        ("model.weights.h5", file),
      ])
    } catch let failure as HDF5Writer.Failure {
      throw .write(.failedMidway(path: path, reason: "\(failure.call) failed in memory"))
    } catch let failure as ZipWriter.Failure {
      throw .write(.failedMidway(path: path, reason: failure.reason))
    } catch {
      throw .write(.failedMidway(path: path, reason: "\(error)"))
    }
  }

  private static func check(_ values: [[Float]], against specs: [WeightSpec], what: String)
    throws(ArchiveError)
  {
    guard values.count == specs.count else {
      throw .mismatch(what: what, found: values.count, expected: specs.count)
    }
    for (value, spec) in zip(values, specs) where value.count != spec.elementCount {
      throw .mismatch(
        what: "\(what) of \(spec.name)", found: value.count, expected: spec.elementCount)
    }
  }

  private static func weightItems(
    _ network: Network, order: [Int], weights: NetworkWeights, optimizer: OptimizerState?,
    training: TrainingSettings?
  ) -> [HDF5Writer.Item] {
    var ofLayer: [Int: [Int]] = [:]
    for (index, weight) in network.weights.enumerated() {
      ofLayer[weight.layer, default: []].append(index)
    }
    var items: [HDF5Writer.Item] = [.group(path: "vars")]
    var counter = KerasLayout.ClassCounter()
    for index in order {
      let layer = network.layers[index]
      let path = counter.path(of: type(of: layer.kind).automaticName)
      items.append(.group(path: "\(path)/vars"))
      let variables = ofLayer[index, default: []]
      let paths = KerasLayout.variablePaths(
        of: layer.kind.variables(layer.inputs.map { network.shapes[$0] }), below: path)
      for (variable, path) in zip(variables, paths) {
        items.append(
          .floats(
            path: path, shape: network.weights[variable].shape, values: weights.values[variable]))
      }
    }
    guard let training else { return items }
    let variables = order.flatMap { ofLayer[$0, default: []] }
    return items + optimizerItems(network, variables, optimizer, training)
  }

  /// Keras's order: steps taken, the rate where no schedule computes it, then both moments of each
  /// trainable variable in turn.
  private static func optimizerItems(
    _ network: Network, _ variables: [Int], _ optimizer: OptimizerState?,
    _ training: TrainingSettings
  ) -> [HDF5Writer.Item] {
    let path = "optimizer/vars"
    var items: [HDF5Writer.Item] = [
      .integer(path: "\(path)/0", value: Int64(optimizer?.iterations ?? 0))
    ]
    if case .constant(let rate) = training.learningRate {
      items.append(.float(path: "\(path)/1", value: rate))
    }
    var ordinal: [Int: Int] = [:]
    for (index, weight) in network.weights.enumerated() where weight.isTrainable {
      ordinal[index] = ordinal.count
    }
    for variable in variables {
      guard let trainable = ordinal[variable] else { continue }
      let weight = network.weights[variable]
      let zeros = [Float](repeating: 0, count: weight.elementCount)
      for moments in [optimizer?.firstMoments, optimizer?.secondMoments] {
        items.append(
          .floats(
            path: "\(path)/\(items.count)", shape: weight.shape,
            values: moments?[trainable] ?? zeros))
      }
    }
    return items
  }
}
