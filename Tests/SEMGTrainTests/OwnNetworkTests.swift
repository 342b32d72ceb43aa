import Foundation
import TestSupport
import Testing

/// Networks that somebody drew in Keras are trained as ours are.
@Suite(.enabled(if: WitnessPython.isExpected, "no Python with Keras at \(WitnessPython.path)"))
struct OwnNetworkTests {
  private let semgTrain: SemgTrain
  private var place: TemporaryDirectory { semgTrain.directory }
  private static let script = SharedData.packageRoot.appending(
    path: "Tests/SEMGTrainTests/Fixtures/own_networks.py"
  ).path

  init() throws {
    semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    _ = try WitnessPython.run(
      Self.script, ["draw", place.path], log: place.file("draw.log"))
  }

  private func train(
    _ models: String, _ options: String..., output: String = "run"
  ) throws -> SemgTrain.Outcome {
    let brief = [
      "--data", SmallRecordings.name, "--epochs", "2", "--batch-size", "16", "--threads", "1",
    ]
    let device = options.contains("--device") ? [] : ["--device", "cpu"]
    return try semgTrain.run(
      ["train", "--models", models, "--output", output] + brief + device + options)
  }

  private struct Opened: Decodable {
    let probabilities: [[Double]]
    let l2: [String: Double]
  }

  private func kerasOpens(_ file: String) throws -> Opened {
    var windows: [[[Double]]] = []
    for window in 1...3 {
      windows.append(
        (0..<204).map { time in (0..<8).map { sin(Double(window * (8 * time + $0))) } })
    }
    try JSONEncoder().encode(windows).write(to: URL(filePath: place.file("windows.json")))
    let said = try WitnessPython.run(
      Self.script, ["open", place.file(file), place.file("windows.json")],
      log: place.file("open.log"))
    return try JSONDecoder().decode(Opened.self, from: said)
  }

  @Test func theyTrainAloneAndInTheEnsembleAndKerasOpensThem() throws {
    let training = try train(
      "pooled.keras,branched.keras,attended_net.keras,nested.keras,semg-net",
      "--ensemble-weights", "1,2,1,1,1")
    #expect(training.status == 0, "\(training.error)")
    let names = ["pooled", "branched", "attended-net", "nested", "semg-net"]
    for name in names { #expect(training.error.contains("\n\(name) epoch 2  loss ")) }
    for name in names {
      let opened = try kerasOpens("run/best_\(name.replacing("-", with: "_")).keras")
      #expect(opened.probabilities.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-5 })
      if name == "branched" { #expect(Set(opened.l2.values.map { Float($0) }) == [1e-4, 1e-2]) }
    }
    let evaluation = try semgTrain(
      "evaluate", "run", "--data", SmallRecordings.name, "--device", "cpu")
    #expect(evaluation.status == 0, "\(evaluation.error)")
    let report = { (text: String) in
      text[..<(text.range(of: "\nArtifacts:")?.lowerBound ?? text.endIndex)]
    }
    #expect(report(training.output).contains("attended-net"))
    #expect(evaluation.error.contains("branched 2"), "\(evaluation.error)")
    let one = try semgTrain(
      "evaluate", "run", "--data", SmallRecordings.name, "--models", "attended-net", "--device",
      "cpu")
    #expect(one.status == 0, "\(one.error)")
    #expect(one.output.contains("attended-net") && !one.output.contains("pooled"))
    // Weights go by the order in which the models are named, not by that of the files.
    let weighted = try semgTrain(
      "evaluate", "run", "--data", SmallRecordings.name, "--device", "cpu",
      "--models", "pooled,best_branched.keras", "--ensemble-weights", "3,4")
    #expect(weighted.status == 0, "\(weighted.error)")
    #expect(weighted.error.contains("ensemble weights: pooled 3, branched 4"), "\(weighted.error)")
    let none = try semgTrain(
      "evaluate", "run", "--data", SmallRecordings.name, "--models", "attended")
    #expect(none.status == 78)
    #expect(none.error.contains("no such model") && none.error.contains("attended-net"))
  }

  @Test func trainingBeginsWithTheWeightsInTheFileOrWithNewOnes() throws {
    func history(_ output: String) throws -> [Substring] {
      try String(contentsOfFile: place.file("\(output)/history.csv"), encoding: .utf8)
        .split(separator: "\n").map { $0[..<($0.lastIndex(of: ",") ?? $0.endIndex)] }
    }
    #expect(try train("pooled.keras", output: "a").status == 0)
    #expect(try train("pooled.keras", output: "b").status == 0)
    #expect(try train("pooled.keras", "--reinitialize", output: "c").status == 0)
    #expect(try train("pooled.keras", "--reinitialize", output: "d").status == 0)
    #expect(try history("a") == history("b"))
    #expect(try history("c") == history("d"))
    #expect(try history("a") != history("c"))
    // What was trained is trained on.
    let further = try train("a/best_pooled.keras", output: "e")
    #expect(further.status == 0 && further.error.contains("\npooled epoch 1  loss "))
    #expect(FileManager.default.fileExists(atPath: place.file("e/best_pooled.keras")))
    let he = try train("he.keras", "--reinitialize", output: "f")
    #expect(he.status == 0 && he.error.contains("HeNormal"), "\(he.error)")
    #expect(try !train("he.keras", output: "g").error.contains("HeNormal"))
  }

  @Test func whatCannotBeTrainedIsRefusedBeforeAnythingIsWritten() throws {
    for name in [
      "semg_net", "ensemble", "", "a,b", "two\nlines", String(repeating: "n", count: 240),
    ] {
      try FileManager.default.copyItem(
        atPath: place.file("pooled.keras"), toPath: place.file("\(name).keras"))
    }
    for (models, status, said) in [
      ("shorter.keras", 78, "takes windows of 100 samples of 8 channels"),
      ("three.keras", 78, "tells 3 gestures apart"),
      ("recurrent.keras", 65, "LSTM"),
      ("frozen.keras", 65, "trainable=False"),
      ("absent.keras", 66, "absent.keras"),
      ("semg-net,semg_net.keras", 78, "would both be called semg-net"),
      ("pooled.keras,pooled.keras", 64, "each at most once"),
      ("ensemble.keras", 78, "the name that all models together have"),
      (".keras", 78, "no name before .keras"),
      ("a,b.keras", 64, "commas stand between models"),
      ("two\nlines.keras", 78, "a control character"),
      (String(repeating: "n", count: 240) + ".keras", 78, "more than a file's name has room for"),
      ("pooled", 64, "a .keras file"),
    ] as [(String, Int32, String)] {
      let outcome = try train(models)
      #expect(outcome.status == status, "\(models): \(outcome.status) \(outcome.error)")
      #expect(outcome.error.contains(said), "\(models): \(outcome.error)")
      #expect(!FileManager.default.fileExists(atPath: place.file("run")), "\(models)")
    }
    let builtIn = try train("semg-net", "--reinitialize")
    #expect(builtIn.status == 78 && builtIn.error.contains("--models names none"))
    let padded = try train("pooled.keras", "--padding", "same")
    #expect(padded.status == 78 && padded.error.contains("--padding same is for inception-se"))
  }

  /// Losses of both epochs, in the models' order.
  private func losses(_ output: String) throws -> [Double] {
    try String(contentsOfFile: place.file("\(output)/history.csv"), encoding: .utf8)
      .split(separator: "\n").dropFirst().compactMap { Double($0.split(separator: ",")[2]) }
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func onAnOpenCLDeviceTheyTrainAsOnTheCPU() throws {
    let models = "pooled.keras,branched.keras,attended_net.keras"
    #expect(try train(models, output: "cpu").status == 0)
    let expected = try losses("cpu")
    #expect(expected.count == 6)
    for (precision, tolerance) in [("fp32", 1e-3), ("fp16", 2e-2)] {
      let outcome = try train(
        models, "--device", "gpu:0", "--precision", precision, output: precision)
      #expect(outcome.status == 0, "\(outcome.error)")
      let found = try losses(precision)
      #expect(found.count == expected.count)
      for (a, b) in zip(found, expected) {
        #expect(abs(a - b) < tolerance * abs(b), "\(precision): \(found) \(expected)")
      }
    }
  }

  @Test func theirSpeedIsMeasured() throws {
    let outcome = try semgTrain(
      "benchmark", "--models", "branched.keras,semg-net", "--steps", "2", "--batch-size", "4",
      "--device", "cpu", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let models = try SemgTrain.objects(outcome.output).first?["models"] as? [String: Any]
    #expect(Set((models ?? [:]).keys) == ["branched", "semg-net"])
  }
}
