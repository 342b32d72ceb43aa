import Foundation
import Networks

/// Takes a model's weights and its optimizer's state out of `model.weights.h5`, by way of the
/// reading process: first the listing is compared with what the configuration says, then exactly
/// those datasets are asked for.
struct WeightReader {
  struct Values {
    var weights: NetworkWeights
    var optimizer: OptimizerState?
    var notes: [String]
  }

  let path: String
  let model: KerasModel
  let readsOptimizer: Bool
  let process: HDF5Process
  private var notes: [String] = []

  init(path: String, model: KerasModel, readsOptimizer: Bool, process: HDF5Process) {
    self.path = path
    self.model = model
    self.readsOptimizer = readsOptimizer
    self.process = process
  }

  mutating func read(_ image: Data) throws -> Values {
    let listed = try process.open(image)
    var byPath: [String: (index: Int, dataset: HDF5Dataset)] = [:]
    for (index, dataset) in listed.enumerated() { byPath[dataset.path] = (index, dataset) }
    var wanted: [(index: Int, dataset: HDF5Dataset)] = []
    for (weight, path) in zip(model.network.weights, model.variablePaths) {
      wanted.append(try dataset(byPath[path], at: path, for: weight))
    }
    let state = readsOptimizer ? optimizerDatasets(byPath) : []
    let values = try process.values(of: wanted + state)
    var weights: [[Float]] = []
    for (value, weight) in zip(values, model.network.weights) {
      let floats = value.floats ?? []
      try check(floats, of: weight)
      weights.append(floats)
    }
    let optimizer = optimizerState(Array(values.dropFirst(wanted.count)))
    return Values(
      weights: NetworkWeights(values: weights), optimizer: optimizer, notes: notes)
  }

  /// Beyond it, no training leaves a weight, and sums of products leave the range of single
  /// precision.
  static let largestWeight: Float = 1e15

  /// Finds values that no training leaves, and that make every prediction NaN.
  private func check(_ values: [Float], of weight: WeightSpec) throws(ArchiveError) {
    func refusal(_ found: String, expected: String) -> ArchiveError {
      .impossibleValue(path: path, variable: weight.name, found: found, expected: expected)
    }
    guard values.allSatisfy(\.isFinite) else {
      throw refusal("NaN or infinity", expected: "finite numbers")
    }
    if let large = values.first(where: { abs($0) > Self.largestWeight }) {
      throw refusal("\(large)", expected: "numbers up to \(Self.largestWeight)")
    }
    if weight.name.hasSuffix("/moving_variance"), let negative = values.first(where: { $0 < 0 }) {
      throw refusal("a variance of \(negative)", expected: "none below 0")
    }
  }

  private func dataset(
    _ entry: (index: Int, dataset: HDF5Dataset)?, at location: String, for weight: WeightSpec
  ) throws(ArchiveError) -> (index: Int, dataset: HDF5Dataset) {
    let variable = "\(location) (\(weight.name))"
    guard let entry else {
      throw .weight(
        path: path, variable: variable, found: "nothing", expected: "shape \(weight.shape)")
    }
    guard entry.dataset.shape == weight.shape else {
      throw .weight(
        path: path, variable: variable, found: "shape \(entry.dataset.shape)",
        expected: "shape \(weight.shape)")
    }
    guard entry.dataset.kind != .integer else {
      throw .weight(
        path: path, variable: variable, found: "whole numbers", expected: "floating point")
    }
    return entry
  }

  // MARK: Optimizer

  private static let missing = "Its optimizer's state does not fit the network and was left out."

  /// The datasets of Adam's steps and moments: empty where there is no state that fits.
  private mutating func optimizerDatasets(_ byPath: [String: (index: Int, dataset: HDF5Dataset)])
    -> [(index: Int, dataset: HDF5Dataset)]
  {
    // A loss-scale optimizer keeps Adam's variables below its own.
    let folder = ["optimizer/inner_optimizer/vars", "optimizer/vars"].first {
      byPath["\($0)/0"] != nil
    }
    guard let folder else { return [] }
    var found: [(index: Int, dataset: HDF5Dataset)] = []
    while let entry = byPath["\(folder)/\(found.count)"] { found.append(entry) }
    let trainable = model.network.weights.filter(\.isTrainable)
    // The rate is a variable only where no schedule computes it.
    let own = found.count - 2 * trainable.count
    if found.count <= 2 { return [] }
    guard !model.hasFrozenLayers, own == 1 || own == 2, found[0].dataset.kind == .integer,
      found[0].dataset.shape.isEmpty
    else {
      notes.append(Self.missing)
      return []
    }
    let moments = Array(found.dropFirst(own))
    for (position, weight) in trainable.enumerated() {
      for entry in [moments[2 * position], moments[2 * position + 1]]
      where entry.dataset.shape != weight.shape || entry.dataset.kind == .integer {
        notes.append(Self.missing)
        return []
      }
    }
    return [found[0]] + moments
  }

  private mutating func optimizerState(_ values: [HDF5Values]) -> OptimizerState? {
    guard let steps = values.first?.integers?.first else { return nil }
    let moments = values.dropFirst().map { $0.floats ?? [] }
    let first = stride(from: 0, to: moments.count, by: 2).map { moments[$0] }
    let second = stride(from: 1, to: moments.count, by: 2).map { moments[$0] }
    let isSound =
      (0...Int64(Int32.max)).contains(steps)
      && moments.allSatisfy { $0.allSatisfy(\.isFinite) }
      && second.allSatisfy { $0.allSatisfy { $0 >= 0 } }
    guard isSound else {
      notes.append("Its optimizer's state holds impossible values and was left out.")
      return nil
    }
    return OptimizerState(
      iterations: Int(steps), firstMoments: first, secondMoments: second)
  }
}
