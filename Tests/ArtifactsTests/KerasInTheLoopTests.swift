import Foundation
import Networks
import TestSupport
import Testing

@testable import Artifacts

/// Real Keras in another process.
enum RealKeras {
  struct Variable: Decodable {
    var name: String
    var values: [Double]
  }
  struct Report: Decodable {
    var warnings: [String]
    var name: String
    var weights, optimizer: [Variable]
    var predictions, predictionsSaved: [[Double]]
    var smoothing, rateAfterTen: Double
    var losses: [Double]
    var steps: Int

    enum CodingKeys: String, CodingKey {
      case warnings, name, weights, optimizer, predictions, smoothing, losses, steps
      case predictionsSaved = "predictions_saved"
      case rateAfterTen = "rate_after_ten"
    }
  }
  struct Answer: Decodable {
    var version: String
    var reports: [Report]
  }

  /// Runs Fixtures/open_in_keras.py over pairs of an archive and where Keras saves it again.
  static func open(_ pairs: [(source: String, saved: String)], in folder: TemporaryFolder) throws
    -> Answer
  {
    let arguments = [folder.file("report.json")] + pairs.flatMap { [$0.source, $0.saved] }
    try run("open_in_keras.py", arguments, in: folder)
    let data = try Data(contentsOf: URL(filePath: folder.file("report.json")))
    return try JSONDecoder().decode(Answer.self, from: data)
  }

  /// Runs a script of Fixtures.
  static func run(_ script: String, _ arguments: [String], in folder: TemporaryFolder) throws {
    _ = try WitnessPython.run(
      Fixture.folder.appending(path: script).path, arguments, log: folder.file("log.txt"))
  }
}

@Suite(
  .enabled(if: WitnessPython.isExpected, "no Python with Keras at \(WitnessPython.path)"),
  .serialized)
struct KerasInTheLoopTests {
  /// Both networks, with a schedule and with a plain rate; at full width in a release build, where
  /// the reference device predicts in seconds.
  static func models() throws -> [(Network, TrainingSettings)] {
    #if DEBUG
      let (time, narrow) = (60, 8)
    #else
      let (time, narrow) = (204, 1)
    #endif
    return [
      (
        try .inceptionSE(time: time, padding: .causal, width: 32 / narrow),
        RoundTripTests.settings
      ),
      (
        try .semgNet(time: time, width: 64 / narrow),
        .adam(.constant(5e-4), smoothing: 0.05)
      ),
    ]
  }

  @Test func kerasOpensWhatWeWriteAndWeReadWhatItSaves() throws {
    let folder = try TemporaryFolder()
    let models = try Self.models()
    var pairs: [(source: String, saved: String)] = []
    for (index, (network, training)) in models.enumerated() {
      pairs.append((folder.file("\(index).keras"), folder.file("saved-\(index).keras")))
      try KerasArchive.write(
        network, weights: NetworkWeights(initializing: network, seed: 7),
        optimizer: Fixture.optimizer(network), training: training, to: pairs[index].source)
    }
    let answer = try RealKeras.open(pairs, in: folder)
    for (index, (network, training)) in models.enumerated() {
      let report = answer.reports[index]
      try expectOpened(report, network, training)
      try expectSaved(report, pairs[index].saved, version: answer.version)
    }
  }

  /// Keras's own editor needs a version in the archive, which is why one is there, with what it means.
  @Test func theVersionThatIsNamedIsNeededByKeras() throws {
    let folder = try TemporaryFolder()
    let network = try Network.semgNet(time: 60, width: 8)
    try KerasArchive.write(
      network, weights: NetworkWeights(initializing: network, seed: 7), training: nil,
      to: folder.file("ours.keras"))
    try RealKeras.run(
      "look_in_keras.py", [folder.file("ours.keras"), folder.file("without.keras")], in: folder)
    let archive = try KerasArchive.read(folder.file("ours.keras"))
    #expect(archive.info.savedBy == ProgramVersion.text)
    #expect(try KerasArchive.read(folder.file("without.keras")).info.kerasVersion == nil)
  }

  /// The models of the committed fixtures, saved by the Keras at hand: mixed and short floats too.
  @Test func weReadWhatThisKerasSaves() throws {
    let folder = try TemporaryFolder()
    try RealKeras.run("make_fixtures.py", [folder.path], in: folder)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    let answers = try #require(names.first { $0.hasSuffix(".json") })
    let predictions = try JSONDecoder().decode(
      [String: [[Double]]].self, from: Data(contentsOf: URL(filePath: folder.file(answers))))
    #expect(predictions.count == 4)
    for (model, theirs) in predictions {
      let name = answers.replacingOccurrences(of: ".json", with: "-\(model).keras")
      let archive = try KerasArchive.read(folder.file(name))
      #expect(archive.info.notes == [])
      if ["inception", "semg"].contains(model) {
        #expect(archive.weights == Fixture.weights(archive.network))
        #expect(archive.optimizer == Fixture.optimizer(archive.network))
      }
      let ours = try referencePredictions(archive.network, archive.weights, batch: 4)
      for (a, b) in zip(ours.joined(), theirs.joined()) { #expect(abs(a - b) < 1e-5) }
    }
  }

  /// What `make_foreign.py` saves to be refused, and what has to be said.
  private static let foreign = [
    "refuse-cast.keras": "dtype is int32", "refuse-dictionary.keras": "input_layers",
    "refuse-float8.keras": "quantized to float8", "refuse-int4.keras": "quantized to int4",
    "refuse-int8.keras": "quantized to int8", "refuse-lambda.keras": "class is Lambda",
    "refuse-legacy.h5": "legacy format", "refuse-logits.keras": "keras.layers.Softmax()",
    "refuse-lora.keras": "LoRA", "refuse-own-class.keras": "emg>Conv1D",
    "refuse-own-function.keras": "emg>rectify", "refuse-own-within.keras": "emg>Conv1D",
    "refuse-shards.weights.json": "in shards",
    "refuse-shards_00000.weights.h5": "weights alone", "refuse-shared.keras": "2 calls",
    "refuse-subclassed.keras": "emg>Recognizer, written as code",
    "refuse-two-outputs.keras": "output_layers", "refuse-weights.weights.h5": "weights alone",
    "refuse-exported": "SavedModel", "refuse-unzipped": "unzipped",
  ]

  @Test func modelsOfEveryKindAreReadRightOrNamed() throws {
    let folder = try TemporaryFolder()
    try RealKeras.run("make_foreign.py", [folder.path], in: folder)
    let predictions = try JSONDecoder().decode(
      [String: [[Double]]].self,
      from: Data(contentsOf: URL(filePath: folder.file("predictions.json"))))
    #expect(predictions.count == 7)
    for (name, theirs) in predictions {
      let archive = try KerasArchive.read(folder.file("run-\(name).keras"))
      let ours = try referencePredictions(archive.network, archive.weights, batch: 4)
      for (a, b) in zip(ours.joined(), theirs.joined()) { #expect(abs(a - b) < 1e-5, "\(name)") }
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(Set(names.filter { $0.hasPrefix("refuse-") }) == Set(Self.foreign.keys))
    for (name, words) in Self.foreign {
      let path = folder.file(name)
      if let file = ForeignFile(at: path) {
        #expect(file.found.contains(words), "\(name): \(file.found)")
        continue
      }
      let error = archiveError { () throws(ArchiveError) in try KerasArchive.read(path) }
      let text = error?.description ?? "no error"
      #expect(error?.kind == .badContent)
      #expect(text.contains(words) && !text.contains("damaged"), "\(name): \(text)")
    }
  }

  private func expectOpened(
    _ report: RealKeras.Report, _ network: Network, _ training: TrainingSettings
  ) throws {
    let weights = NetworkWeights(initializing: network, seed: 7)
    let state = Fixture.optimizer(network)
    #expect(report.warnings == [])
    #expect(report.name == network.name)
    #expect(abs(report.smoothing - Double(training.labelSmoothing)) < 1e-7)
    let theirs = Dictionary(uniqueKeysWithValues: report.weights.map { ($0.name, $0.values) })
    #expect(theirs.count == network.weights.count)
    for (weight, values) in zip(network.weights, weights.values) {
      #expect(theirs[weight.name] == values.map(Double.init), "\(weight.name)")
    }
    let moments = Dictionary(uniqueKeysWithValues: report.optimizer.map { ($0.name, $0.values) })
    let trainable = network.weights.filter(\.isTrainable)
    for (index, weight) in trainable.enumerated() {
      let name = "adam/" + weight.name.replacingOccurrences(of: "/", with: "_")
      #expect(moments["\(name)_momentum"] == state.firstMoments[index].map(Double.init))
      #expect(moments["\(name)_velocity"] == state.secondMoments[index].map(Double.init))
    }
    #expect(moments["adam/iteration"] == [7])
    let ours = try referencePredictions(network, weights, batch: 4)
    for (a, b) in zip(ours.joined(), report.predictions.joined()) { #expect(abs(a - b) < 1e-5) }
    #expect(report.predictions.count == 4)
    #expect(report.steps == 4)
    #expect(report.losses.count == 2 && report.losses.allSatisfy(\.isFinite))
    if case .constant(let rate) = training.learningRate {
      #expect(abs(report.rateAfterTen - Double(rate)) < 1e-9)
    } else {
      // Ten steps into a period of 2,166 the cosine has barely begun to fall.
      let expected = 1e-3 * ((1 - 1e-5) * 0.5 * (1 + cos(Double.pi * 10 / 2_166)) + 1e-5)
      #expect(abs(report.rateAfterTen - expected) < 1e-9)
    }
  }

  private func expectSaved(_ report: RealKeras.Report, _ path: String, version: String) throws {
    let archive = try KerasArchive.read(path)
    #expect(archive.info.notes == [])
    #expect(archive.info.kerasVersion == version)
    #expect(archive.optimizer?.iterations == 11)
    let ours = try referencePredictions(archive.network, archive.weights, batch: 4)
    for (a, b) in zip(ours.joined(), report.predictionsSaved.joined()) {
      #expect(abs(a - b) < 1e-5)
    }
  }
}
