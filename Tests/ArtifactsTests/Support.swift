import Compute
import ComputeReference
import Foundation
import Networks
import TestSupport
import Testing

@testable import Artifacts

/// Files that real Keras saved, and what made them.
enum Fixture {
  static let folder = SharedData.packageRoot.appending(path: "Tests/ArtifactsTests/Fixtures")
  static let versions = ["3.5.0", "3.10.0", "3.15.1"]

  static func path(_ version: String, _ model: String) -> String {
    folder.appending(path: "keras-\(version)-\(model).keras").path
  }

  /// Keras's own predictions on `ramp` for these weights, in float32.
  static func predictions(_ version: String, _ model: String) throws -> [[Double]] {
    let data = try Data(contentsOf: folder.appending(path: "keras-\(version).json"))
    return try #require(JSONDecoder().decode([String: [[Double]]].self, from: data)[model])
  }

  /// `fill` of make_fixtures.py.
  static func fill(_ index: Int, count: Int, positive: Bool) -> [Float] {
    (0..<count).map {
      let value = Double((31 * index + 17 * $0) % 97) / 97
      return Float(positive ? value + 0.01 : value - 0.5)
    }
  }

  /// `ramp` of make_fixtures.py: a batch of any shape.
  static func ramp(count: Int) -> [Float] {
    (0..<count).map { Float(Double(7 * $0 % 23) / 23 - 0.5) }
  }

  static func weights(_ network: Network) -> NetworkWeights {
    NetworkWeights(
      values: network.weights.enumerated().map { index, weight in
        fill(index, count: weight.elementCount, positive: weight.name.contains("variance"))
      })
  }

  static func optimizer(_ network: Network) -> OptimizerState {
    let trainable = network.weights.filter(\.isTrainable).enumerated()
    return OptimizerState(
      iterations: 7,
      firstMoments: trainable.map {
        fill(2 * $0, count: $1.elementCount, positive: false)
      },
      secondMoments: trainable.map {
        fill(2 * $0 + 1, count: $1.elementCount, positive: true)
      })
  }
}

extension TrainingSettings {
  /// Adam as Keras sets it unless it is told otherwise.
  static func adam(_ rate: LearningRate, smoothing: Float = 0.1) -> TrainingSettings {
    TrainingSettings(
      learningRate: rate, labelSmoothing: smoothing, beta1: 0.9, beta2: 0.999, epsilon: 1e-7)
  }
}

/// Softmax outputs of a network in double precision, a row per sample.
///
/// - Parameter windows: `[batch, T, C]`; by default `Fixture.ramp`.
func referencePredictions(
  _ network: Network, _ weights: NetworkWeights, batch: Int, windows: [Float]? = nil
) throws -> [[Double]] {
  let (time, channels) = network.input
  let loaded = try LoadedNetwork(
    network, on: ReferenceDevice(), options: .prediction(windows: batch, batchSize: batch))
  try loaded.write(weights)
  _ = try loaded.predict(windows ?? Fixture.ramp(count: batch * time * channels))
  let flat = try loaded.loaded.readDoubles(loaded.plan.prediction.probabilities)
  let classes = network.classes
  return (0..<batch).map { Array(flat[$0 * classes..<($0 + 1) * classes]) }
}

/// A folder that is gone after the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(
      path: "semg-artifacts-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// The error that `body` throws.
func archiveError(_ body: () throws(ArchiveError) -> some Any) -> ArchiveError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error
  }
}
