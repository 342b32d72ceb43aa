import Foundation
import Networks
import Testing

@testable import Artifacts

@Suite struct RoundTripTests {
  static let settings = TrainingSettings.adam(
    .cosineDecayRestarts(
      initial: 1e-3, firstDecaySteps: 2_166, tMul: 2, mMul: 0.9, alpha: 1e-5))

  static func networks() throws -> [Network] {
    [
      try .inceptionSE(time: 20, padding: .causal, width: 4, heads: 2, keySize: 3, denseUnits: 6),
      try .inceptionSE(time: 20, padding: .same, width: 4, heads: 2, keySize: 3, denseUnits: 6),
      try .semgNet(time: 20, width: 2),
    ]
  }

  /// Reading gives Keras's order of layers, which need not be that of writing.
  @Test func whatIsWrittenIsReadBack() throws {
    let folder = try TemporaryFolder()
    for network in try Self.networks() {
      let weights = Fixture.weights(network)
      let optimizer = Fixture.optimizer(network)
      let path = folder.file("model.keras")
      try KerasArchive.write(
        network, weights: weights, optimizer: optimizer, training: Self.settings, to: path)
      let archive = try KerasArchive.read(path)
      #expect(archive.info.notes == [])
      #expect(archive.info.training == Self.settings)
      #expect(archive.network.name == network.name)
      try expectSameByName(network, weights, optimizer, archive)
      let ours = try referencePredictions(network, weights, batch: 2)
      let back = try referencePredictions(archive.network, archive.weights, batch: 2)
      for (a, b) in zip(ours.joined(), back.joined()) { #expect(abs(a - b) < 1e-12) }
    }
  }

  private func expectSameByName(
    _ network: Network, _ weights: NetworkWeights, _ optimizer: OptimizerState,
    _ archive: ArchiveContents
  ) throws {
    func byName(_ network: Network, _ values: [[Float]], trainable: Bool) -> [String: [Float]] {
      let specs = network.weights.filter { !trainable || $0.isTrainable }
      return Dictionary(uniqueKeysWithValues: zip(specs.map(\.name), values))
    }
    let state = try #require(archive.optimizer)
    #expect(state.iterations == optimizer.iterations)
    #expect(
      byName(network, weights.values, trainable: false)
        == byName(archive.network, archive.weights.values, trainable: false))
    #expect(
      byName(network, optimizer.firstMoments, trainable: true)
        == byName(archive.network, state.firstMoments, trainable: true))
    #expect(
      byName(network, optimizer.secondMoments, trainable: true)
        == byName(archive.network, state.secondMoments, trainable: true))
    let kinds = Dictionary(
      uniqueKeysWithValues: network.layers.map { ($0.name, AnyHashable($0.kind)) })
    for layer in archive.network.layers { #expect(kinds[layer.name] == AnyHashable(layer.kind)) }
    #expect(archive.network.layers.count == network.layers.count)
  }

  @Test func anArchiveReadAndWrittenAgainKeepsItsOrder() throws {
    let folder = try TemporaryFolder()
    let first = try KerasArchive.read(Fixture.path("3.15.1", "inception"))
    let path = folder.file("again.keras")
    try KerasArchive.write(
      first.network, weights: first.weights, optimizer: first.optimizer,
      training: first.info.training, to: path)
    let second = try KerasArchive.read(path)
    #expect(second.network == first.network)
    #expect(second.weights == first.weights)
    #expect(second.optimizer == first.optimizer)
  }

  @Test func theSameModelGivesTheSameBytes() throws {
    let network = try Network.semgNet(time: 20, width: 2)
    let weights = Fixture.weights(network)
    let date = Date(timeIntervalSince1970: 1_795_000_000)
    let archives = try (0..<2).map { _ in
      try KerasArchive.archive(
        network, weights: weights, optimizer: nil, training: Self.settings, path: "x",
        savedAt: date)
    }
    #expect(archives[0] == archives[1])
  }

  @Test func aModelWithoutTrainingHasNoOptimizer() throws {
    let folder = try TemporaryFolder()
    let network = try Network.semgNet(time: 20, width: 2)
    let path = folder.file("model.keras")
    try KerasArchive.write(
      network, weights: Fixture.weights(network), training: nil, to: path)
    let archive = try KerasArchive.read(path)
    #expect(archive.optimizer == nil)
    #expect(archive.info.training == nil)
    #expect(archive.info.notes == [])
  }

  @Test func valuesThatDoNotFitTheNetworkAreRefused() throws {
    let network = try Network.semgNet(time: 20, width: 2)
    var weights = Fixture.weights(network)
    weights.values[0].removeLast()
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.write(network, weights: weights, training: nil, to: "/nowhere/x.keras")
    }
    #expect(error?.kind == .defect)
  }
}
