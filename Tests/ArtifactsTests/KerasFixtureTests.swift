import Foundation
import Networks
import Testing

@testable import Artifacts

/// Small models that Keras 3.5, 3.10 and 3.15 saved (Fixtures/make_fixtures.py).
@Suite struct KerasFixtureTests {
  @Test(arguments: Fixture.versions, ["inception", "semg"])
  func archivesOfKerasAreReadWithWeightsAndOptimizer(version: String, model: String) throws {
    let archive = try KerasArchive.read(Fixture.path(version, model))
    #expect(archive.info.kerasVersion == version)
    #expect(archive.info.notes == [])
    #expect(archive.weights == Fixture.weights(archive.network))
    #expect(archive.optimizer == Fixture.optimizer(archive.network))
    #expect(archive.network.classes == 3)
  }

  @Test(arguments: Fixture.versions, ["half", "brain"])
  func sequentialModelsWithShortFloatsAreRead(version: String, model: String) throws {
    let archive = try KerasArchive.read(Fixture.path(version, model))
    let kinds = archive.network.layers.map { AnyHashable($0.kind) }
    let expected: [AnyHashable] = [
      Layers.Input(time: 12, channels: 2),
      Layers.Conv1D(filters: 3, kernelSize: 3, dilation: 1, padding: .same, l2: 0), Layers.ReLU(),
      Layers.GlobalAveragePooling1D(), Layers.Dense(units: 3, activation: .softmax, l2: 0),
    ]
    #expect(kinds == expected)
    #expect(archive.info.dtypePolicy == (model == "half" ? "float16" : "bfloat16"))
    #expect(archive.optimizer == nil && archive.info.notes == [])
    // Half of the last place of values below ½: 11 or 8 bits of significand.
    let bound: Float = model == "half" ? 0x1p-12 : 0x1p-9
    let exact = Fixture.weights(archive.network)
    for (a, b) in zip(archive.weights.values.joined(), exact.values.joined()) {
      #expect(abs(a - b) <= bound)
    }
    #expect(archive.weights != exact)
  }

  @Test(arguments: Fixture.versions, ["inception", "semg", "half", "brain"])
  func archivesOfKerasPredictWhatKerasPredicts(version: String, model: String) throws {
    let archive = try KerasArchive.read(Fixture.path(version, model))
    let ours = try referencePredictions(archive.network, archive.weights, batch: 4)
    let theirs = try Fixture.predictions(version, model)
    for (a, b) in zip(ours.joined(), theirs.joined()) { #expect(abs(a - b) < 1e-5) }
    #expect(ours.count == 4 && theirs.count == 4)
  }

  @Test(arguments: Fixture.versions) func layersKeepTheirNamesAndSettings(version: String) throws {
    let archive = try KerasArchive.read(Fixture.path(version, "inception"))
    let branch = try #require(archive.network.layers.first { $0.name == "branch_7" })
    #expect(
      branch.kind as? Layers.Conv1D
        == Layers.Conv1D(filters: 2, kernelSize: 7, dilation: 2, padding: .causal, l2: 1e-4))
    #expect(archive.network.name == "Inception_SE_Attn")
    #expect(archive.network.dilatedPadding == .causal)
    #expect(archive.info.dtypePolicy == "float32")
    #expect(
      archive.info.training
        == .adam(
          .cosineDecayRestarts(
            initial: 1e-3, firstDecaySteps: 10, tMul: 2, mMul: 0.9, alpha: 1e-5)))
  }

  @Test(arguments: Fixture.versions) func mixedPrecisionIsReadAndSaid(version: String) throws {
    let archive = try KerasArchive.read(Fixture.path(version, "semg"))
    #expect(archive.info.dtypePolicy == "mixed_float16")
    #expect(archive.info.training == .adam(.constant(2e-3)))
  }
}
