import Foundation
import TestSupport
import Testing

/// Recordings that are not what a model was trained on, as a user meets them.
struct MismatchTests {
  /// A trained model, and one of its recordings to be changed.
  private struct Trained {
    let semgTrain: SemgTrain
    let original: String

    init(_ options: [String] = []) throws {
      semgTrain = try SemgTrain()
      let paths = try SmallRecordings(in: semgTrain.directory).paths
      let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run"] + options)
      #expect(outcome.status == 0, "\(outcome.error)")
      original = try String(
        contentsOfFile: semgTrain.directory.file("recordings/\(paths[9])"), encoding: .utf8)
    }

    /// Predicts the recording after `change` to its lines, the header first.
    func predict(
      _ options: [String] = [], _ change: ([String]) -> [String]
    ) throws -> SemgTrain.Outcome {
      let lines = original.split(separator: "\r\n").map(String.init)
      try change(lines).joined(separator: "\n").write(
        toFile: semgTrain.directory.file("x.csv"), atomically: false, encoding: .utf8)
      return try semgTrain.run(
        ["predict", "x.csv", "--artifacts", "run", "--device", "cpu", "--json"] + options)
    }

    var metrics: [String: Any] {
      get throws {
        let file = URL(filePath: semgTrain.directory.file("run/metrics.json"))
        let value = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        return value as? [String: Any] ?? [:]
      }
    }
  }

  private static func cells(
    _ lines: [String], _ change: (Int, [String]) -> [String]
  ) -> [String] {
    lines.enumerated().map { row, line in
      change(row, line.split(separator: ",").map(String.init)).joined(separator: ",")
    }
  }

  private static func scaled(_ lines: [String], by factor: Double) -> [String] {
    cells(lines) { row, cells in
      row == 0 ? cells : cells.map { "\((Double($0) ?? 0) * factor)" }
    }
  }

  @Test func whatTheRecordingIsInsteadIsSaidWithTheOptionThatMends() throws {
    let trained = try Trained()
    let whole = try trained.predict { $0 }
    #expect(whole.status == 0 && !whole.error.contains("warning"), "\(whole.error)")
    let changes: [(said: String, change: ([String]) -> [String])] = [
      ("--channels 2-9", { Self.cells($0) { ["\($0 == 0 ? "timestamp" : "\($0)")"] + $1 } }),
      ("--channels 2-9", { Self.cells($0) { ["\($0 == 0 ? "" : "\($0)")"] + $1 } }),
      ("--channels 2-9", { Self.cells($0) { ["\($0)"] + $1 }.dropFirst().map { $0 } }),
      ("--channels 2-9", { Self.cells($0) { ["\($0 == 0 ? "a" : "0.\($0 * 7 % 9)")"] + $1 } }),
      ("found the channels emg1,ch2", { [$0[0].replacing("ch1", with: "emg1")] + $0.dropFirst() }),
      ("--scale 1e-6", { Self.scaled($0, by: 1e6) }),
      ("--scale 1000", { Self.scaled($0, by: 1e-3) }),
      ("numbers with a point", { $0.dropFirst().map { $0.replacing(".", with: ",") } }),
    ]
    for (said, change) in changes {
      let outcome = try trained.predict([], change)
      #expect(outcome.status == 65)
      #expect(outcome.error.contains(said), "\(said): \(outcome.error)")
      #expect(outcome.output.isEmpty)
      #expect(outcome.error.contains("--skip-bad"))
      let isMismatch = said != "numbers with a point"
      #expect(outcome.error.contains("--allow-mismatch") == isMismatch)
      guard isMismatch else { continue }
      let allowed = try trained.predict(["--allow-mismatch"], change)
      #expect(allowed.status == 0)
      let line = try #require(try SemgTrain.objects(allowed.output).first)
      let warnings = line["warnings"] as? [String] ?? []
      #expect(warnings.contains { $0.hasPrefix("used by --allow-mismatch") && $0.contains(said) })
      #expect(allowed.error.contains("used by --allow-mismatch"))
      // Only the part of the option's name that the cases of the field know it by.
      #expect(try trained.predict(["--allow-scale"], change).output == allowed.output)
    }
    let scaled = try trained.predict(["--scale", "1e-6"]) { Self.scaled($0, by: 1e6) }
    #expect(scaled.status == 0)
    #expect(!scaled.error.contains("warning"))
  }

  @Test func namedColumnsAreFoundInAnotherPlaceAndOrder() throws {
    let trained = try Trained()
    let whole = try trained.predict { $0 }
    let shifted = try trained.predict(["--channels", "2-9"]) {
      Self.cells($0) { ["\($0 == 0 ? "time" : "\(Double($0) / 512)")"] + $1 }
    }
    #expect(shifted.output == whole.output)
    #expect(shifted.error.contains("columns 2-9"))
    #expect(shifted.error.contains("in the training they were the columns 1-8"))
    let reversed = try trained.predict { Self.cells($0) { $1.reversed() } }
    #expect(reversed.status == 0)
    let (line, expected) = (
      try #require(try SemgTrain.objects(reversed.output).first),
      try #require(try SemgTrain.objects(whole.output).first)
    )
    #expect(SemgTrain.text(line["windows"]) == SemgTrain.text(expected["windows"]))
    #expect(reversed.error.contains("stand in another order, ch8,ch7"))
    let fewer = try trained.predict(["--channels", "1-7"]) { $0 }
    #expect(fewer.status == 78)
    #expect(fewer.error.contains("trained on 8 channels"))
    let rate = try trained.predict {
      Self.cells($0) { $1 + ["\($0 == 0 ? "time [ms]" : "\($0)")"] }
    }
    #expect(rate.status == 65)
    #expect(rate.error.contains("column 9 (time [ms]) tells 1000 samples per second, expected 512"))
  }

  @Test func aRateThatTheFileTellsIsCompared() throws {
    let trained = try Trained()
    let said = { (words: String, change: ([String]) -> [String]) in
      let outcome = try trained.predict([], change)
      #expect(outcome.status == 65, "\(words): \(outcome.error)")
      #expect(outcome.error.contains(words), "\(words): \(outcome.error)")
    }
    try said("line 1 tells 2000 samples per second, expected 512") {
      ["# Sampling rate: 2000 Hz"] + $0
    }
    try said("column 9 (fs) tells 2000 samples per second, expected 512") {
      Self.cells($0) { $1 + [$0 == 0 ? "fs" : "2000"] }
    }
    try said("column 9 (time) tells 2000 samples per second, expected 512") {
      Self.cells($0) { $1 + [$0 == 0 ? "time" : String(format: "00:00:%09.6f", Double($0) / 2000)] }
    }
    try said("column 9 tells 2000 samples per second, expected 512") {
      Array(Self.cells($0) { $1 + ["\(Double($0) / 2000)"] }.dropFirst())
    }
    try said("column 9 (time) falls: its times run backward") {
      Self.cells($0) { $1 + [$0 == 0 ? "time" : "\(9 - Double($0) / 512)"] }
    }
    let right = try trained.predict { ["# Sampling rate: 512 Hz"] + $0 }
    #expect(right.status == 0 && !right.error.contains("warning"), "\(right.error)")
  }

  @Test func aDeadOrClippedRecordingGetsNoConfidentAnswer() throws {
    let trained = try Trained()
    let changes: [(said: String, change: (Int, [String]) -> [String])] = [
      ("columns 1-8 never change", { $0 == 0 ? $1 : $1.map { _ in "0.1" } }),
      ("column 3 never changes", { $0 == 0 ? $1 : $1[0..<2] + ["0.1"] + $1[3...] }),
      (
        "clipped",
        { $0 == 0 ? $1 : $1.map { "\(min(max((Double($0) ?? 0), -0.005), 0.005))" } }
      ),
    ]
    for (said, change) in changes {
      let outcome = try trained.predict { Self.cells($0, change) }
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(outcome.error.contains("x.csv: ") && outcome.error.contains(said), "\(outcome.error)")
      let line = try #require(try SemgTrain.objects(outcome.output).first)
      #expect(line["gesture"] is NSNull && line["confidence"] is NSNull)
      #expect((line["windows"] as? [Any])?.isEmpty == true)
      #expect((line["warnings"] as? [String])?.contains { $0.contains(said) } == true)
      let text = try trained.semgTrain(
        "predict", "x.csv", "--artifacts", "run", "--device", "cpu")
      #expect(text.output.contains("x.csv: no confident answer: "))
      #expect(!text.output.contains("confidence"))
      let allowed = try trained.predict(["--allow-mismatch"]) { Self.cells($0, change) }
      #expect(try SemgTrain.objects(allowed.output).first?["gesture"] is Int)
    }
  }

  @Test func trainingRefusesWhatDoesNotBelongTogetherAndRecordsWhatWasAllowed() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    let file = place.file("recordings/\(paths[2])")
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\r\n")
      .map(String.init)
    try Self.scaled(lines, by: 1e6).joined(separator: "\n")
      .write(toFile: file, atomically: false, encoding: .utf8)
    let refused = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(refused.status == 65)
    #expect(refused.error.contains("recordings/\(paths[2]): column 1 has a deviation of "))
    #expect(refused.error.contains("multiply its samples by 1e-6"))
    #expect(!place.exists("run"))
    let allowed = try semgTrain.run(SemgTrain.brief + ["--output", "run", "--allow-mismatch"])
    #expect(allowed.status == 0, "\(allowed.error)")
    let metrics = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(filePath: place.file("run/metrics.json"))))
    let warnings = (metrics as? [String: Any])?["warnings"] as? [String]
    #expect(warnings?.contains { $0.contains("used by --allow-mismatch") } == true)
  }

  @Test func theScaleOfATrainingIsKeptAndOldFilesStillLoad() throws {
    let trained = try Trained(["--scale", "1000"])
    let file = trained.semgTrain.directory.file("run/preprocessing.json")
    let data = try Data(contentsOf: URL(filePath: file))
    var values = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(values["scale"] as? Double == 1000)
    let profile = try #require(values["recordings"] as? [String: Any])
    #expect(profile["channel_names"] as? [String] == (1...8).map { "ch\($0)" })
    #expect((profile["usual_deviation"] as? [Double])?.count == 8)
    let whole = try trained.predict { $0 }
    #expect(whole.status == 0 && !whole.error.contains("warning"))
    // Another unit than the training's has its own factor.
    let millivolts = try trained.predict(["--scale", "1"]) { Self.scaled($0, by: 1000) }
    #expect(millivolts.status == 0 && !millivolts.error.contains("warning"))
    values["recordings"] = nil
    try JSONSerialization.data(withJSONObject: values).write(to: URL(filePath: file))
    #expect(try trained.predict { $0 }.output == whole.output)
    values["recordings"] = profile.merging(["usual_deviation": [1]]) { $1 }
    try JSONSerialization.data(withJSONObject: values).write(to: URL(filePath: file))
    #expect(try trained.predict { $0 }.status == 65)
  }

  @Test func foldersThatAreLinksAreReadAndLoopsSaid() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let manager = FileManager.default
    try manager.moveItem(
      atPath: place.file("recordings/Session2"), toPath: place.file("elsewhere"))
    try manager.createSymbolicLink(
      atPath: place.file("recordings/Session2"), withDestinationPath: place.file("elsewhere"))
    try manager.createSymbolicLink(
      atPath: place.file("recordings/Session1/loop"), withDestinationPath: "..")
    let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run", "--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let split = try String(contentsOfFile: place.file("run/split.csv"), encoding: .utf8)
    #expect(split.contains("Session2/session2_subject_1/gesture00_trial01.csv,train"))
    #expect(outcome.error.contains("recordings/Session1/loop: a link to a directory"))
  }

  @Test func aDataDirectoryIsInspected() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    let clean = try semgTrain("inspect", "recordings")
    #expect(clean.status == 0, "\(clean.error)")
    #expect(clean.output.contains("recordings: a data directory: 12 recordings, 0:07 at 512 Hz"))
    #expect(clean.output.contains("A training refuses nothing."))
    for (path, change) in [
      (paths[0], { (row: Int, cells: [String]) in row == 9 ? ["1e6"] + cells.dropFirst() : cells }),
      (paths[1], { $0 == 0 ? $1 : ["0"] + $1.dropFirst() }),
      (paths[2], { $0 == 0 ? $1 : $1.map { "\((Double($0) ?? 0) * 1e3)" } }),
      (paths[4], { $1 + ["\($0 == 0 ? "label" : "1")"] }),
    ] as [(String, (Int, [String]) -> [String])] {
      let file = place.file("recordings/\(path)")
      let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\r\n")
        .map(String.init)
      try Self.cells(lines, change).joined(separator: "\n")
        .write(toFile: file, atomically: false, encoding: .utf8)
    }
    let outcome = try semgTrain("inspect", "recordings", "--json")
    #expect(outcome.status == 0)
    let report = try #require(try SemgTrain.objects(outcome.output).first)
    #expect(report["kind"] as? String == "data")
    #expect(report["recordings"] as? Int == 12)
    #expect(report["subjects"] as? [Int] == [1])
    let parts = report["parts"] as? [String: [String: Any]]
    #expect(parts?["train"]?["recordings"] as? Int == 8)
    let channels = report["channels"] as? [[String: Any]] ?? []
    #expect(channels.compactMap { $0["flat"] as? Int } == [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(channels.first?["outliers"] as? Int == 1)
    #expect(channels.last?["other_units"] as? Int == 1)
    #expect((report["problems"] as? [String])?.count == 3)
    let warnings = report["warnings"] as? [String] ?? []
    #expect(warnings.contains { $0.contains("column 9 (label) is not used") })
    let file = try semgTrain("inspect", "recordings/\(paths[1])")
    #expect(file.status == 0)
    #expect(file.output.contains("warning: column 1 never changes"))
  }
}
