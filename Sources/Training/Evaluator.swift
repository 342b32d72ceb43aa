import Compute
import Networks

/// Runs a trained network over windows.
public struct Evaluator {
  public let device: any Device
  public let batchSize: Int

  public init(device: any Device, batchSize: Int = 128) {
    self.device = device
    self.batchSize = batchSize
  }

  /// Probabilities `[windows, classes]` of windows of a dataset, in the given order.
  ///
  /// - Throws: `DeviceError`, and `TrainingError.noProbabilities` where the network answers with
  ///   something else.
  public func probabilities(
    network: Network, weights: NetworkWeights, dataset: Dataset, windows: [Int32]
  ) throws -> [Float] {
    guard !windows.isEmpty else { return [] }
    let run = try NetworkRun(
      network, weights: weights, device: device, windows: windows.count, batchSize: batchSize)
    return try run.probabilities(of: windows, in: dataset)
  }
}

/// A trained network on a device, for windows that come one dataset after another: only one is there
/// at a time.
public final class NetworkRun {
  private let network: Network
  private let batchSize: Int
  private let built: NetworkPlan
  private let loaded: any LoadedPlan

  /// - Parameter windows: how many will come in all. All datasets but the last have whole batches, so
  ///   that the batches are those of all windows together, and the results the same bits.
  /// - Throws: `DeviceError`.
  public init(
    _ network: Network, weights: NetworkWeights, device: any Device, windows: Int, batchSize: Int
  ) throws(DeviceError) {
    (self.network, self.batchSize) = (network, batchSize)
    built = NetworkPlan(
      network,
      options: NetworkPlanOptions(
        batchCapacity: 1, inferenceCapacity: max(1, min(batchSize, windows))))
    loaded = try device.load(
      built.plan,
      options: LoadOptions(
        programs: [.validate], liveBatches: [.validate: Trainer.liveBatches(windows, batchSize)]))
    for (tensor, values) in zip(built.weights, weights.values) {
      try loaded.write(values, to: tensor)
    }
  }

  /// Probabilities `[windows, classes]` of windows of a dataset, in the given order.
  ///
  /// - Throws: `DeviceError`, and `TrainingError.noProbabilities` where the network answers with
  ///   something else.
  public func probabilities(of windows: [Int32], in dataset: Dataset) throws -> [Float] {
    let id = try loaded.upload(dataset)
    defer { loaded.discard(id) }
    try loaded.upload(
      EpochTable(dataset: id, samples: windows.map { SampleEntry(window: $0) }), for: .validate)
    var result: [Float] = []
    result.reserveCapacity(windows.count * network.classes)
    for (step, start) in stride(from: 0, to: windows.count, by: batchSize).enumerated() {
      let live = min(batchSize, windows.count - start)
      try loaded.run(.validate, step: step, live: live)
      let values = try loaded.read(built.validation.probabilities)
      result += values.prefix(live * network.classes)
    }
    try check(result)
    return result
  }

  /// Finds rows that are no probabilities: NaN, infinity, or a sum that is not 1.
  private func check(_ values: [Float]) throws(TrainingError) {
    let wrong = stride(from: 0, to: values.count, by: network.classes).count { start in
      let row = values[start..<start + network.classes]
      return !(row.allSatisfy { (0...1.001).contains($0) } && abs(row.reduce(0, +) - 1) < 0.01)
    }
    guard wrong == 0 else {
      throw .noProbabilities(
        network: network.name, windows: wrong, of: values.count / network.classes)
    }
  }
}

/// Weighted mean of several models' probabilities.
public enum Ensemble {
  /// - Parameters:
  ///   - members: probabilities of each model, of one size.
  ///   - weights: one a model, or nil for equal ones.
  /// - Throws: `TrainingError.invalidEnsembleWeights`.
  public static func mean(
    _ members: [[Float]], weights: [Double]? = nil
  ) throws(TrainingError) -> [Float] {
    let weights = weights ?? Array(repeating: 1, count: members.count)
    let total = weights.reduce(0, +)
    guard weights.count == members.count, weights.allSatisfy({ $0.isFinite && $0 >= 0 }),
      total > 0
    else { throw .invalidEnsembleWeights("\(weights)") }
    guard let first = members.first else { return [] }
    return first.indices.map { index in
      var sum = 0.0
      for (member, weight) in zip(members, weights) { sum += Double(member[index]) * weight }
      return Float(sum / total)
    }
  }
}
