import Foundation
import TestSupport
import Testing

/// Figures of recordings that the models were trained on are not taken for figures of new ones,
/// whatever route leads there.
struct SeenRecordingTests {
  private static func trained(_ options: [String] = []) throws -> SemgTrain {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory, subjects: 2)
    let training = try semgTrain.run(SemgTrain.brief + ["--output", "run"] + options)
    #expect(training.status == 0, "\(training.error)")
    return semgTrain
  }

  private func expectRefused(
    _ semgTrain: SemgTrain, _ options: [String], saying words: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let evaluation = ["evaluate", "run", "--json"] + options
    let outcome = try semgTrain.run(evaluation)
    #expect(outcome.status == 78, "\(outcome.error)", sourceLocation: sourceLocation)
    #expect(outcome.error.contains(words), "\(outcome.error)", sourceLocation: sourceLocation)
    #expect(outcome.error.contains("--allow-seen"), sourceLocation: sourceLocation)
    let allowed = try semgTrain.run(evaluation + ["--allow-seen"])
    #expect(allowed.status == 0, "\(allowed.error)", sourceLocation: sourceLocation)
    #expect(allowed.error.contains("warning: " + words), sourceLocation: sourceLocation)
    let report = try #require(try SemgTrain.objects(allowed.output).first)
    let seen = try #require(report["seen"] as? [String: Int])
    #expect(
      words
        == "\(seen["trained_on"] ?? -1) of these \(seen["recordings"] ?? -1) recordings were trained on, "
        + "\(seen["chose_epoch"] ?? -1) chose the epoch", sourceLocation: sourceLocation)
  }

  @Test func everyRouteToThemIsRefused() throws {
    let semgTrain = try Self.trained()
    let data = ["--data", SmallRecordings.name]
    // Two subjects, three sessions, two gestures, two trials: 16 train, 4 and 4 of session 3.
    let split = try String(
      contentsOfFile: semgTrain.directory.file("run/split.csv"), encoding: .utf8)
    let chose = split.split(separator: "\n").count {
      $0.contains("subject_2/") && $0.contains(",validation")
    }
    let held = "8 of these 12 recordings were trained on, \(chose) chose the epoch"
    try expectRefused(semgTrain, data + ["--held-out-subjects", "2"], saying: held)
    let all = "16 of these 24 recordings were trained on, 4 chose the epoch"
    try expectRefused(semgTrain, data + ["--part", "all"], saying: all)
    let sessions = "4 of these 4 recordings were trained on, 0 chose the epoch"
    let swapped = ["--train-sessions", "3", "--test-sessions", "1"]
    try expectRefused(semgTrain, data + swapped, saying: sessions)
    try expectRefused(
      semgTrain, data + swapped + ["--part", "validation"], saying: sessions)
    // The run's own parts say what they are.
    for part in ["test", "validation", "train"] {
      let own = try semgTrain.run(["evaluate", "run", "--json", "--part", part] + data)
      #expect(own.status == 0, "\(own.error)")
      let seen = try SemgTrain.objects(own.output).first?["seen"] as? [String: Int]
      #expect(seen?["trained_on"] == (part == "train" ? 16 : 0))
      #expect(seen?["chose_epoch"] == (part == "validation" ? 4 : 0))
    }
  }

  @Test func aSwappedSplitAndAnotherSeedAreNoticed() throws {
    let semgTrain = try Self.trained(["--seed", "7"])
    let place = semgTrain.directory
    let text = try String(contentsOfFile: place.file("run/split.csv"), encoding: .utf8)
    #expect(text.hasPrefix("recording,part,content,shape\n"))
    let swapped = text.replacingOccurrences(of: ",test,", with: ",#,")
      .replacingOccurrences(of: ",validation,", with: ",test,")
      .replacingOccurrences(of: ",#,", with: ",validation,")
    try swapped.write(toFile: place.file("swapped.csv"), atomically: false, encoding: .utf8)
    let words = "0 of these 4 recordings were trained on, 4 chose the epoch"
    let data = ["--data", SmallRecordings.name]
    try expectRefused(semgTrain, data + ["--split", "swapped.csv"], saying: words)
    let seeded = try semgTrain.run(["evaluate", "run", "--seed", "8"] + data)
    #expect(seeded.status == 78 && seeded.error.contains("chose the epoch"))
  }

  @Test func copiesElsewhereUnderOtherNamesAreKnownAndNamesakesAreNot() throws {
    let semgTrain = try Self.trained()
    let place = semgTrain.directory
    // The same numbers, written otherwise, in one folder.
    try FileManager.default.createDirectory(
      atPath: place.file("copies/Session1"), withIntermediateDirectories: true)
    for (index, session) in [1, 3].enumerated() {
      for gesture in 0..<2 {
        let path = "Session\(session)/session\(session)_subject_1/gesture0\(gesture)_trial01.csv"
        let text = try String(contentsOfFile: place.file("recordings/\(path)"), encoding: .utf8)
        let rows = text.split(separator: "\r\n").dropFirst().joined(separator: "\n")
        try rows.write(
          toFile: place.file("copies/Session1/gesture\(gesture)_x\(index).csv"), atomically: false,
          encoding: .utf8)
      }
    }
    let copied = try semgTrain("evaluate", "run", "--data", "copies", "--part", "all")
    #expect(copied.status == 78)
    #expect(copied.error.contains("2 of these 4 recordings were trained on"), "\(copied.error)")
    // Somebody else's recordings, by the same names.
    try FileManager.default.removeItem(atPath: place.file("recordings"))
    _ = try SmallRecordings(in: place, subjects: 2, samples: 310, firstSeed: 5000)
    let others = try semgTrain(
      "evaluate", "run", "--data", SmallRecordings.name, "--part", "all", "--json")
    #expect(others.status == 0, "\(others.error)")
    let seen = try SemgTrain.objects(others.output).first?["seen"] as? [String: Int]
    #expect(seen == ["recordings": 24, "trained_on": 0, "chose_epoch": 0])
  }

  @Test func aRunThatRecordedNoContentsIsKnownByPaths() throws {
    let semgTrain = try Self.trained()
    let place = semgTrain.directory
    let file = place.file("run/split.csv")
    let rows = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
    let old = rows.map { $0.split(separator: ",").prefix(2).joined(separator: ",") + "\n" }.joined()
    try old.write(toFile: file, atomically: false, encoding: .utf8)
    // Nor did its version keep fingerprints of its files.
    try semgTrain.forgetFingerprints(of: "run")
    let words = "16 of these 24 recordings were trained on, 4 chose the epoch"
    try expectRefused(
      semgTrain, ["--data", SmallRecordings.name, "--part", "all"], saying: words)
    #expect(try semgTrain("evaluate", "run", "--data", SmallRecordings.name).status == 0)
    #expect(try semgTrain("inspect", "run").status == 0)
    try FileManager.default.removeItem(atPath: file)
    let unknown = try semgTrain("evaluate", "run", "--data", SmallRecordings.name)
    #expect(unknown.status == 0, "\(unknown.error)")
    #expect(unknown.error.contains("nothing says which of these recordings"))
  }
}

/// What a run was told about weights belongs to it.
struct RunWeightTests {
  @Test func ensembleWeightsOfTheTrainingAreThoseOfEvaluationAndPrediction() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let path = try SmallRecordings(in: place).paths[0]
    // In another order than the files'.
    let options = [
      "--models", "semg-net,inception-se", "--ensemble-weights", "0,1", "--output", "run", "--json",
    ]
    let brief = SemgTrain.brief.filter { $0 != "--models" && $0 != "semg-net" }
    let training = try semgTrain.run(brief + options)
    #expect(training.status == 0, "\(training.error)")
    let trained = try #require(try SemgTrain.objects(training.output).first)
    let weights = ["semg-net": 0.0, "inception-se": 1.0]
    #expect(trained["ensemble_weights"] as? [String: Double] == weights)
    #expect(trained["class_weights"] as? [String: Double] == ["0": 1, "1": 1])
    let evaluation = try semgTrain("evaluate", "run", "--data", "recordings", "--json")
    #expect(evaluation.status == 0, "\(evaluation.error)")
    #expect(
      evaluation.error.contains("ensemble weights as in the training: inception-se 1, semg-net 0"))
    let evaluated = try #require(try SemgTrain.objects(evaluation.output).first)
    #expect(SemgTrain.text(evaluated["ensemble"]) == SemgTrain.text(trained["ensemble"]))
    let models = try #require(evaluated["models"] as? [String: Any])
    #expect(SemgTrain.text(evaluated["ensemble"]) == SemgTrain.text(models["inception-se"]))
    #expect(evaluated["ensemble_weights"] as? [String: Double] == weights)

    func confidence(_ options: String...) throws -> Double {
      let outcome = try semgTrain.run(
        ["predict", "--artifacts", "run", "recordings/\(path)", "--json"] + options)
      #expect(outcome.status == 0, "\(outcome.error)")
      return try #require(try SemgTrain.objects(outcome.output).first?["confidence"] as? Double)
    }
    let byTraining = try confidence()
    #expect(try confidence("--ensemble-weights", "1,0") == byTraining)
    #expect(try confidence("--ensemble-weights", "1,1") != byTraining)
    // One of the two is not an ensemble.
    let alone = try semgTrain("evaluate", "run/best_semg_net.keras", "--data", "recordings")
    #expect(alone.status == 0, "\(alone.error)")
    let inspected = try semgTrain("inspect", "run", "--json")
    #expect(inspected.status == 0, "\(inspected.error)")
  }

  @Test func thePublishedClassWeightsAreSaidWhereTheyAreApplied() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    for (name, first) in [("published", 0), ("others", 1)] {
      let made = try semgTrain(
        "synthesize", name, "--subjects", "1", "--gestures", "5", "--trials", "2", "--samples",
        "300")
      #expect(made.status == 0, "\(made.error)")
      if first == 1 { try Self.renumber(place.file(name)) }
      let training = try semgTrain(
        "--data", name, "--models", "semg-net", "--epochs", "1", "--output", "run-\(name)", "--json"
      )
      #expect(training.status == 0, "\(training.error)")
      let line =
        "class weights: gesture 0 1, gesture 1 1.5, gesture 2 1.5, gesture 3 1, gesture 4 1"
      #expect(training.error.contains(line) == (first == 0), "\(training.error)")
      let report = try SemgTrain.objects(training.output).first
      let weights = report?["class_weights"] as? [String: Double]
      #expect(
        weights
          == (first == 0
            ? ["0": 1, "1": 1.5, "2": 1.5, "3": 1, "4": 1]
            : ["1": 1, "2": 1, "3": 1, "4": 1, "5": 1]))
    }
  }

  /// Gestures 0 to 4 become 1 to 5.
  private static func renumber(_ folder: String) throws {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
    for gesture in (0..<5).reversed() {
      for name in names where name.contains("gesture0\(gesture)") {
        try FileManager.default.moveItem(
          atPath: "\(folder)/\(name)",
          toPath: "\(folder)/"
            + name.replacing("gesture0\(gesture)", with: "gesture0\(gesture + 1)"))
      }
    }
  }
}

extension SemgTrain {
  /// Makes a run's metrics.json what a version wrote that kept no fingerprints of the run's files.
  func forgetFingerprints(of run: String) throws {
    let metrics = URL(filePath: directory.file("\(run)/metrics.json"))
    var figures = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: metrics)) as? [String: Any])
    figures["fingerprints"] = nil
    try JSONSerialization.data(withJSONObject: figures).write(to: metrics)
  }
}
