import Foundation
import TestSupport
import Testing

/// A recording is known again after it was rounded, cut, scaled or altered, in whatever part and under
/// whatever name.
struct NearCopyTests {
  /// The rows of a file, the header first.
  private static func rows(_ file: String) throws -> [[String]] {
    try String(contentsOfFile: file, encoding: .utf8).split(whereSeparator: \.isNewline).map {
      $0.split(separator: ",").map(String.init)
    }
  }

  private static func write(_ rows: [[String]], to file: String) throws {
    try (rows.map { $0.joined(separator: ",") }.joined(separator: "\n") + "\n")
      .write(toFile: file, atomically: false, encoding: .utf8)
  }

  private static func numbers(_ rows: [[String]], _ change: (Double) -> Double) -> [[String]] {
    [rows[0]] + rows.dropFirst().map { $0.map { "\(change(Double($0) ?? 0))" } }
  }

  private static let changes: [(name: String, change: @Sendable ([[String]]) -> [[String]])] = [
    ("rounded", { numbers($0) { (1e5 * $0).rounded() / 1e5 } }),
    ("cut at the end", { Array($0.dropLast(25)) }),
    ("cut at the beginning", { [$0[0]] + $0.dropFirst(26) }),
    ("scaled", { numbers($0) { 2 * $0 } }),
    (
      "altered",
      { rows in
        var rows = rows
        rows[100][3] = "0.01"
        return rows
      }
    ),
  ]

  @Test func evaluationKnowsThem() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    for (name, change) in Self.changes {
      // Under the names that they had, and under others.
      for folder in ["same", "other"] {
        try? FileManager.default.removeItem(atPath: place.file(folder))
      }
      for (index, path) in paths.filter({ $0.hasPrefix("Session1") }).enumerated() {
        let rows = change(try Self.rows(place.file("recordings/\(path)")))
        let gesture = path.contains("gesture00") ? 0 : 1
        for target in ["same/\(path)", "other/Session3/x\(index)_gesture\(gesture).csv"] {
          let url = URL(filePath: place.file(target))
          try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
          try Self.write(rows, to: url.path)
        }
      }
      for folder in ["same", "other"] {
        let outcome = try semgTrain("evaluate", "run", "--data", folder, "--part", "all")
        #expect(outcome.status == 78, "\(name) \(folder): \(outcome.error)")
        #expect(
          outcome.error.contains("4 of these 4 recordings were trained on"),
          "\(name) \(folder): \(outcome.error)")
      }
    }
  }

  @Test func aTrainingRefusesThemAndInspectSaysSo() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    let original = try Self.rows(place.file("recordings/\(paths[0])"))
    let copy = place.file("recordings/" + paths[0].replacing("ession1", with: "ession3"))
    let kept = try Self.rows(copy)
    for (name, change) in Self.changes {
      try Self.write(change(original), to: copy)
      let training = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
      #expect(training.status == 65, "\(name)")
      #expect(training.error.contains("nearly the same signal as in"), "\(name) \(training.error)")
      let inspected = try semgTrain("inspect", "recordings", "--json")
      let problems = try SemgTrain.objects(inspected.output).first?["problems"] as? [String]
      #expect(problems?.count == 1, "\(name) \(inspected.output)")
      #expect(problems?.allSatisfy { training.error.contains($0) } == true)
    }
    let allowed = try semgTrain.run(SemgTrain.brief + ["--output", "run", "--allow-mismatch"])
    #expect(allowed.status == 0 && allowed.error.contains("used by --allow-mismatch"))
    try Self.write(kept, to: copy)
    // Two gestures of one signal; one gesture twice.
    let contradiction = place.file("recordings/" + paths[0].replacing("ture00", with: "ture01_x"))
    try Self.write(Self.changes[0].change(original), to: contradiction)
    let refused = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(refused.status == 65 && refused.error.contains("nearly the same signal, of gesture 1"))
    try FileManager.default.moveItem(
      atPath: contradiction, toPath: contradiction.replacing("ture01_x", with: "ture00_x"))
    let twice = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(twice.status == 0, "\(twice.error)")
    #expect(
      twice.error.contains("nearly the same signal as") && twice.error.contains("count twice"))
  }

  @Test func inspectFindsTheLeaksThatATrainingRefuses() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    let copy = place.file("recordings/" + paths[0].replacing("ession1", with: "ession3"))
    try FileManager.default.removeItem(atPath: copy)
    try FileManager.default.copyItem(atPath: place.file("recordings/\(paths[0])"), toPath: copy)
    let training = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(training.status == 65 && training.error.contains("found the same samples as in"))
    let inspected = try semgTrain("inspect", "recordings", "--json")
    let problems = try SemgTrain.objects(inspected.output).first?["problems"] as? [String]
    #expect(problems?.count == 1 && problems?[0].contains("found the same samples as in") == true)
  }

  @Test func otherSamplesAtTheSamePathsAreSaid() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    try FileManager.default.removeItem(atPath: place.file("recordings"))
    _ = try SmallRecordings(in: place, samples: 310, firstSeed: 5000)
    let outcome = try semgTrain("evaluate", "run", "--data", "recordings")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("2 recordings at paths of the training's recordings have other"))
  }
}
