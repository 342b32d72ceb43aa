import Foundation
import TestSupport
import Testing

/// Recordings in, models and figures out, as a user goes through it.
struct PipelineTests {
  @Test func trainingEvaluatingPredictingAndInspectingAgree() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let recordings = try SmallRecordings(in: place, subjects: 2)
    // Another seed is another split, which evaluation has to find beside the models.
    let training = try semgTrain.run(
      SemgTrain.brief + ["--seed", "7", "--output", "run", "--json"])
    #expect(training.status == 0, "\(training.error)")
    #expect(
      place.names(in: "run") == [
        "best_semg_net.keras", "history.csv", "metrics.json", "preprocessing.json", "split.csv",
      ])
    let report = try #require(try SemgTrain.objects(training.output).first)
    #expect(try SemgTrain.objects(training.output).count == 1)
    for key in ["artifacts", "best_epoch", "seconds", "device", "part", "skipped"] {
      #expect(report[key] != nil, "\(key)")
    }
    #expect(training.error.contains("gesture 0"))
    #expect(training.error.contains("of memory"))
    #expect(training.error.contains("semg-net epoch 1"))

    let evaluation = try semgTrain("evaluate", "run", "--data", SmallRecordings.name, "--json")
    #expect(evaluation.status == 0, "\(evaluation.error)")
    let evaluated = try #require(try SemgTrain.objects(evaluation.output).first)
    for key in ["ensemble", "models", "windows", "recordings", "part"] {
      #expect(SemgTrain.text(evaluated[key]) == SemgTrain.text(report[key]), "\(key)")
    }

    let prediction = try semgTrain("predict", "--artifacts", "run", "recordings", "--json")
    #expect(prediction.status == 0, "\(prediction.error)")
    let lines = try SemgTrain.objects(prediction.output)
    #expect(
      lines.compactMap { $0["recording"] as? String }
        == recordings.paths.map {
          "recordings/\($0)"
        })
    for line in lines {
      #expect([0, 1].contains(line["gesture"] as? Int))
      let windows = try #require(line["windows"] as? [[String: Any]])
      #expect(windows.compactMap { $0["start"] as? Int } == [0, 81])
      for window in windows {
        let probabilities = try #require(window["probabilities"] as? [Double])
        #expect(abs(probabilities.reduce(0, +) - 1) < 1e-5)
      }
    }

    let run = try #require(
      try SemgTrain.objects(try semgTrain("inspect", "run", "--json").output).first)
    #expect(run["kind"] as? String == "run")
    let swapped = try semgTrain("predict", "run", "recordings")
    #expect(swapped.status == 64)
    #expect(swapped.error.contains("Did you mean --artifacts run?"))
    let file = try semgTrain("split", "--data", "recordings/\(recordings.paths[0])")
    #expect(file.status == 66)
    #expect(file.error.contains("semg-train inspect recordings/"))

    let model = try semgTrain("inspect", "run/best_semg_net.keras")
    #expect(model.status == 0)
    #expect(model.output.contains("sEMG_Net"))
  }

  @Test func recordingsThatTheTrainingDidNotNameAreNotTakenForATest() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    let split = semgTrain.directory.file("run/split.csv")
    let known = try String(contentsOfFile: split, encoding: .utf8)
    try known.replacingOccurrences(of: "Session", with: "Elsewhere/Session")
      .write(toFile: split, atomically: true, encoding: .utf8)
    try semgTrain.forgetFingerprints(of: "run")
    let outcome = try semgTrain("evaluate", "run", "--data", SmallRecordings.name, "--json")
    #expect(outcome.status == 78)
    #expect(outcome.error.contains("names none of the recordings"))
    let all = ["evaluate", "run", "--data", SmallRecordings.name, "--part", "all", "--json"]
    #expect(try semgTrain.run(all + ["--allow-seen"]).status == 0)
    #expect(try semgTrain.run(all + ["run"]).status == 64)
  }

  @Test func aSingleArchiveElsewhereIsEvaluatedWithStatisticsFittedAnew() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    try FileManager.default.moveItem(
      atPath: place.file("run/best_semg_net.keras"), toPath: place.file("moved.keras"))
    let outcome = try semgTrain(
      "evaluate", "moved.keras", "--data", SmallRecordings.name, "--json", "--part", "validation")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("fitted from the training part"))
    let report = try #require(try SemgTrain.objects(outcome.output).first)
    #expect((report["models"] as? [String: Any])?.keys.sorted() == ["semg-net"])
    let refused = try semgTrain("predict", "--artifacts", ".", SmallRecordings.name)
    #expect(refused.status == 66)
    #expect(refused.error.contains("preprocessing.json"))
  }

  @Test func synthesizedRecordingsAreASetThatCanBeSplitAndLookedAt() throws {
    let semgTrain = try SemgTrain()
    let options = ["synthesize", "made", "--subjects", "1", "--gestures", "2", "--trials", "2"]
    let made = try semgTrain.run(options + ["--samples", "300", "--json"])
    #expect(made.status == 0, "\(made.error)")
    #expect(try SemgTrain.objects(made.output).first?["recordings"] as? Int == 12)
    let split = try semgTrain("split", "--data", "made")
    #expect(split.status == 0, "\(split.error)")
    let lines = split.output.split(separator: "\n").dropFirst()
    #expect(lines.count == 12)
    let path = try #require(lines.first?.split(separator: ",").first)
    let inspected = try semgTrain("inspect", "made/\(path)", "--json")
    let recording = try #require(try SemgTrain.objects(inspected.output).first)
    #expect(recording["samples"] as? Int == 300)
    #expect((recording["channels"] as? [Any])?.count == 8)
    // Nothing is overwritten.
    #expect(try semgTrain.run(options).status == 73)
  }

  @Test func theBenchmarkCountsSamplesAndNamesKernels() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain(
      "benchmark", "--device", "cpu", "--models", "semg-net", "--steps", "1", "--batch-size", "2",
      "--profile", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let document = try #require(try SemgTrain.objects(outcome.output).first)
    #expect(document["device"] is String)
    let model = (document["models"] as? [String: Any])?["semg-net"] as? [String: Any]
    #expect((model?["samples_per_second"] as? Double ?? 0) > 0)
    #expect((model?["milliseconds_per_step"] as? Double ?? 0) > 0)
    let kernels = model?["kernels"] as? [[String: Any]] ?? []
    let gather = try #require(kernels.first { $0["name"] as? String == "gather_windows" })
    #expect((gather["gigabytes_per_second"] as? Double ?? 0) > 0)
    #expect(kernels.contains { ($0["gigaflops"] as? Double ?? 0) > 0 })
  }

  @Test func theBenchmarkTakesTheMedianOfFiveBlocksWhereItIsGivenSeconds() throws {
    let semgTrain = try SemgTrain()
    let start = ContinuousClock.now
    let outcome = try semgTrain(
      "benchmark", "--device", "cpu", "--models", "semg-net", "--seconds", "0.5", "--batch-size",
      "2", "--json")
    let seconds = start.duration(to: .now) / .seconds(1)
    #expect(outcome.status == 0, "\(outcome.error)")
    let document = try #require(try SemgTrain.objects(outcome.output).first)
    let model = try #require((document["models"] as? [String: Any])?["semg-net"] as? [String: Any])
    let blocks = try #require(model["milliseconds"] as? [Double])
    #expect(blocks.count == 5)
    let median = try #require(model["milliseconds_per_step"] as? Double)
    #expect(median == blocks.sorted()[2])
    #expect(abs((model["samples_per_second"] as? Double ?? 0) - 2000 / median) < 1e-6)
    let steps = try #require(model["steps"] as? Int)
    #expect(steps >= 5 && steps % 5 == 0, "blocks are of equally many steps")
    #expect(seconds > 0.75, "half a second goes before what is timed")
  }

  @Test func aBenchmarkIsMeasuredByStepsOrBySecondsButNotByBoth() throws {
    let semgTrain = try SemgTrain()
    for extent in [["--steps", "2", "--seconds", "1"], ["--seconds", "0"], ["--seconds", "1e9"]] {
      let outcome = try semgTrain.run(["benchmark"] + extent)
      #expect(outcome.status == 64)
      #expect(outcome.error.contains("--seconds"))
    }
  }

  @Test func theBenchmarkTimesPredictionToo() throws {
    let outcome = try SemgTrain()(
      "benchmark", "--device", "cpu", "--models", "semg-net", "--steps", "1", "--batch-size", "2",
      "--inference", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let document = try #require(try SemgTrain.objects(outcome.output).first)
    let model = (document["models"] as? [String: Any])?["semg-net"] as? [String: Any]
    #expect((model?["samples_per_second"] as? Double ?? 0) > 0)
    #expect(model?["work"] as? String == "inference")
    #expect((model?["kernels"] as? [Any])?.isEmpty == true, "nobody asked for them")
  }

  @Test func theSplitThatIsPrintedIsTheSplitThatIsRead() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory, subjects: 2)
    let printed = try semgTrain("split", "--data", SmallRecordings.name, "--seed", "7")
    #expect(printed.status == 0)
    #expect(printed.error.isEmpty)
    #expect(printed.output.hasPrefix("recording,part\n"))
    try printed.output.write(
      toFile: semgTrain.directory.file("split.csv"), atomically: false, encoding: .utf8)
    let read = try semgTrain("split", "--data", SmallRecordings.name, "--split", "split.csv")
    #expect(read.output == printed.output)
    let json = try semgTrain("split", "--data", SmallRecordings.name, "--json")
    let rows = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: String]]
    #expect(rows?.count == 24)
    let held = try semgTrain("split", "--data", SmallRecordings.name, "--held-out-subjects", "2")
    #expect(held.output.split(separator: "\n").filter { $0.hasSuffix(",test") }.count == 12)
    let wrong = try semgTrain("split", "--data", SmallRecordings.name, "--held-out-subjects", "9")
    #expect(wrong.status == 78)
  }

  @Test func badRecordingsStopTheTrainingWithAllOfThemNamedOrAreSkippedAndCounted() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    for (path, text) in [(paths[1], "1,2,3\n"), (paths[2], "")] {
      try text.write(
        toFile: place.file("recordings/\(path)"), atomically: false, encoding: .utf8)
    }
    let stopped = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(stopped.status == 65)
    #expect(stopped.error.contains("recordings/\(paths[1]):1: found 3 columns"))
    #expect(stopped.error.contains("recordings/\(paths[2]):1: found an empty file"))
    #expect(!place.exists("run"))
    let skipping = try semgTrain.run(SemgTrain.brief + ["--output", "run", "--json", "--skip-bad"])
    #expect(skipping.status == 0, "\(skipping.error)")
    let report = try #require(try SemgTrain.objects(skipping.output).first)
    #expect((report["skipped"] as? [String])?.count == 2)
    #expect(skipping.error.contains("skipped: recordings/\(paths[1])"))
  }

  @Test func settingsThatContradictTheTrainingAreRefused() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let weights = try semgTrain.run(
      SemgTrain.brief + ["--output", "run", "--class-weights", "1,2,3"])
    #expect(weights.status == 78)
    #expect(weights.error.contains("expected 2"))
    #expect(!semgTrain.directory.exists("run"))
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    for options in [
      ["--sample-rate", "1000"], ["--channels", "1-4"], ["--notch", "60"],
      ["--recipe", "published"], ["--ensemble-weights", "1,1"],
    ] {
      let outcome = try semgTrain.run(
        ["evaluate", "run", "--data", SmallRecordings.name] + options)
      #expect(outcome.status == 78, "\(outcome.error)")
      #expect(outcome.error.contains(options[0]), "\(outcome.error)")
    }
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func theSameSeedGivesTheSameFiguresTwice() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let reports = try ["a", "b"].map { name in
      let outcome = try semgTrain.run(SemgTrain.brief + ["--output", name, "--quiet", "--json"])
      #expect(outcome.error.isEmpty)
      return try #require(try SemgTrain.objects(outcome.output).first)
    }
    for key in ["ensemble", "validation"] {
      #expect(SemgTrain.text(reports[0][key]) == SemgTrain.text(reports[1][key]))
    }
    let histories = try ["a", "b"].map { name in
      try String(contentsOfFile: semgTrain.directory.file("\(name)/history.csv"), encoding: .utf8)
        .split(separator: "\n").map { $0.split(separator: ",").prefix(7) }
    }
    #expect(histories[0] == histories[1])
    let weights = try ["a", "b"].map { name in
      try Self.weightFile(in: semgTrain.directory.file("\(name)/best_semg_net.keras"))
    }
    #expect(weights[0].count > 10_000)
    #expect(weights[0] == weights[1])
  }

  /// The bytes of an archive's `model.weights.h5`, which is stored as it is. The archive's other
  /// bytes hold the date of saving.
  static func weightFile(in path: String) throws -> Data {
    let archive = try Data(contentsOf: URL(filePath: path))
    let start = try #require(archive.range(of: Data([0x89] + Array("HDF\r\n".utf8))))
    let directory = try #require(
      archive.range(of: Data("PK".utf8 + [1, 2]), in: start.lowerBound..<archive.endIndex))
    return Data(archive[start.lowerBound..<directory.lowerBound])
  }
}
