import Artifacts
import Foundation
import Networks
import TestSupport
import Testing

/// A run's files belong together: what was edited, is missing or comes from another run is said before
/// anything is answered.
struct RunFolderTests {
  private static let data = ["--data", SmallRecordings.name]
  private static let both = [
    "--data", SmallRecordings.name, "--models", "inception-se,semg-net", "--epochs", "1",
    "--batch-size", "16", "--threads", "1",
  ]

  private static func trained(_ options: [String] = SemgTrain.brief) throws -> SemgTrain {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let training = try semgTrain.run(options + ["--output", "run"])
    #expect(training.status == 0, "\(training.error)")
    #expect(!training.error.contains("warning"), "\(training.error)")
    return semgTrain
  }

  /// Evaluates and predicts by what `artifacts` names.
  private func answers(
    _ semgTrain: SemgTrain, _ artifacts: String = "run", _ options: [String] = []
  ) throws -> [SemgTrain.Outcome] {
    let file = "recordings/Session3/session3_subject_1/gesture00_trial01.csv"
    return [
      try semgTrain.run(["evaluate", artifacts, "--json"] + Self.data + options),
      try semgTrain.run(["predict", "--artifacts", artifacts, "--json", file] + options),
    ]
  }

  private func expect(
    _ outcomes: [SemgTrain.Outcome], _ status: Int32, saying words: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for outcome in outcomes {
      #expect(outcome.status == status, "\(outcome.error)", sourceLocation: sourceLocation)
      #expect(outcome.error.contains(words), "\(outcome.error)", sourceLocation: sourceLocation)
      #expect(outcome.output.isEmpty == (status != 0), sourceLocation: sourceLocation)
    }
  }

  /// Changes a JSON file of the run.
  private static func edit(
    _ semgTrain: SemgTrain, _ name: String, _ change: (inout [String: Any]) -> Void
  ) throws {
    let url = URL(filePath: semgTrain.directory.file("run/\(name)"))
    var value = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    change(&value)
    try JSONSerialization.data(withJSONObject: value).write(to: url)
  }

  @Test func anArchiveOfAnotherRunIsNotTaken() throws {
    let semgTrain = try Self.trained()
    let place = semgTrain.directory
    for outcome in try answers(semgTrain) {
      #expect(outcome.status == 0 && !outcome.error.contains("warning"), "\(outcome.error)")
    }
    #expect(
      try semgTrain.run(SemgTrain.brief + ["--output", "other", "--seed", "7"]).status == 0)
    let name = "best_semg_net.keras"
    try FileManager.default.removeItem(atPath: place.file("run/\(name)"))
    try FileManager.default.copyItem(
      atPath: place.file("other/\(name)"), toPath: place.file("run/\(name)"))
    let words = "run/\(name) is not the model that this run trained"
    expect(try answers(semgTrain), 78, saying: words)
    expect(try answers(semgTrain, "run/\(name)"), 0, saying: "warning: " + words)
    #expect(try semgTrain("inspect", "run").output.contains("warning: " + words))
  }

  @Test func aModelThatIsMissingOrThereTwiceIsSaid() throws {
    let semgTrain = try Self.trained(Self.both)
    let place = semgTrain.directory
    let (first, second) = ("run/best_inception_se.keras", "run/best_semg_net.keras")
    try FileManager.default.removeItem(atPath: place.file(first))
    expect(try answers(semgTrain), 78, saying: "\(first) is missing")
    #expect(try semgTrain("inspect", "run").output.contains("lacks best_inception_se.keras"))
    for outcome in try answers(semgTrain, "run", ["--models", "semg-net"]) {
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    expect(
      try answers(semgTrain, "run", ["--models", "inception-se"]), 78, saying: "found no such model"
    )
    try FileManager.default.copyItem(atPath: place.file(second), toPath: place.file(first))
    expect(try answers(semgTrain), 78, saying: "is not the model that this run trained")
    // A run that was stopped says nothing of its models.
    try FileManager.default.removeItem(atPath: place.file("run/metrics.json"))
    expect(try answers(semgTrain), 78, saying: "are the same model")
    try FileManager.default.removeItem(atPath: place.file(first))
    expect(try answers(semgTrain), 0, saying: "stopped before its end")
  }

  @Test func aSplitThatWasEditedIsNotBelieved() throws {
    let semgTrain = try Self.trained()
    let file = semgTrain.directory.file("run/split.csv")
    let whole = try String(contentsOfFile: file, encoding: .utf8)
    func evaluate(_ options: [String] = []) throws -> [SemgTrain.Outcome] {
      [try semgTrain.run(["evaluate", "run", "--json"] + Self.data + options)]
    }
    let swapped = whole.replacing(",train,", with: ",#,").replacing(",test,", with: ",train,")
      .replacing(",#,", with: ",test,")
    for text in [swapped, whole.replacing(",train,", with: ",test,")] {
      try text.write(toFile: file, atomically: false, encoding: .utf8)
      let words = "run/split.csv was changed since the training wrote it"
      expect(try evaluate(), 78, saying: words)
      expect(try evaluate(["--allow-seen"]), 0, saying: "warning: " + words)
      #expect(try semgTrain("inspect", "run").output.contains("warning: " + words))
    }
    // A version that kept no fingerprints kept the numbers of recordings.
    try Self.edit(semgTrain, "metrics.json") { $0["fingerprints"] = nil }
    expect(try evaluate(), 78, saying: "in the test part, but the run had 2 there")
    try whole.write(toFile: file, atomically: false, encoding: .utf8)
    #expect(try evaluate()[0].status == 0)
  }

  @Test func preprocessingThatWasEditedIsSaid() throws {
    let semgTrain = try Self.trained()
    let file = URL(filePath: semgTrain.directory.file("run/preprocessing.json"))
    let whole = try Data(contentsOf: file)
    for (status, words, change) in [
      (65, "a mean near 0", { $0["mean"] = [Double](repeating: 5, count: 8) }),
      (65, "found gestures [-1, 1]", { $0["gestures"] = [-1, 1] }),
      (65, "found an ensemble weight for foo", { $0["ensemble_weights"] = ["foo": 1] }),
      (
        65, "found no ensemble weight for semg-net",
        { $0["ensemble_weights"] = ["inception-se": 1] }
      ),
      (65, "an ensemble weight of 1e+308", { $0["ensemble_weights"] = ["semg-net": 1e308] }),
      (0, "preprocessing.json was changed", { $0["deviation"] = [Double](repeating: 1, count: 8) }),
      (0, "far from recordings", { $0["deviation"] = [Double](repeating: 5, count: 8) }),
      (0, "nothing about the training's recordings", { $0["recordings"] = nil }),
    ] as [(Int32, String, (inout [String: Any]) -> Void)] {
      try Self.edit(semgTrain, "preprocessing.json", change)
      expect(try answers(semgTrain), status, saying: words)
      try whole.write(to: file)
    }
  }

  @Test(arguments: ["1e308,1e308", "5e-324,0", "1e-7,1", "-1,1"])
  func weightsThatOverflowOrVanishAreRefused(weights: String) throws {
    for command in [["train"], ["evaluate"], ["predict", "x.csv"]] {
      let outcome = try SemgTrain().run(command + ["--ensemble-weights", weights])
      #expect(outcome.status == 64)
      #expect(outcome.error.contains("expected decimal numbers"), "\(outcome.error)")
      #expect(!outcome.error.contains("Missing value"), "\(outcome.error)")
    }
  }

  @Test func weightsThatAreAllTheSameAreNoTrainedNetwork() throws {
    let semgTrain = try Self.trained()
    let file = semgTrain.directory.file("run/best_semg_net.keras")
    let archive = try KerasArchive.read(file)
    var weights = archive.weights
    let kernel = try #require(
      archive.network.weights.firstIndex { $0.name.hasSuffix("kernel") })
    for value in [Float(0), 0.25] {
      weights.values[kernel] = weights.values[kernel].map { _ in value }
      try KerasArchive.write(archive.network, weights: weights, training: nil, to: file)
      let words = "in all of the weights \(archive.network.weights[kernel].name)"
      expect(try answers(semgTrain), 65, saying: words)
      let inspected = try semgTrain("inspect", "run/best_semg_net.keras")
      #expect(inspected.status == 65 && inspected.error.contains(words))
    }
  }
}
