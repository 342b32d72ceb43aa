import Foundation
import TestSupport
import Testing

/// What `predict` says of recordings, short and long.
struct PredictionTests {
  /// A run in `run`, trained on small recordings.
  private static func trained() throws -> (SemgTrain, paths: [String]) {
    let semgTrain = try SemgTrain()
    let paths = try SmallRecordings(in: semgTrain.directory).paths
    let training = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(training.status == 0, "\(training.error)")
    return (semgTrain, paths)
  }

  private static let predict = [
    "predict", "--artifacts", "run", "--device", "cpu", "--threads", "1",
  ]

  /// The rows of one recording, again and again, as one recording.
  private static func long(_ samples: Int, of path: String, in place: TemporaryDirectory) throws {
    let text = try String(contentsOfFile: place.file("recordings/\(path)"), encoding: .utf8)
    let lines = text.split(separator: "\r\n")
    let rows = lines.dropFirst().joined(separator: "\n") + "\n"
    let name = place.file("long.csv")
    try (lines[0] + "\n").write(toFile: name, atomically: false, encoding: .utf8)
    let file = try FileHandle(forWritingTo: URL(filePath: name))
    try file.seekToEnd()
    let many = Data(String(repeating: rows, count: 100).utf8)
    for _ in 0..<samples / (100 * (lines.count - 1)) { try file.write(contentsOf: many) }
    try file.close()
  }

  @Test func aLineSaysWhatItsFiguresStandFor() throws {
    let (semgTrain, paths) = try Self.trained()
    let outcome = try semgTrain.run(Self.predict + ["recordings/\(paths[0])", "--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let line = try #require(try SemgTrain.objects(outcome.output).first)
    #expect(line["gestures"] as? [Int] == [0, 1])
    #expect(line["sample_rate"] as? Double == 512)
    #expect(line["window_count"] as? Int == 2)
    let windows = try #require(line["windows"] as? [[String: Any]])
    #expect(windows.compactMap { $0["start"] as? Int } == [0, 81])
    #expect(windows.compactMap { $0["start_seconds"] as? Double } == [0, 81.0 / 512])
    let agreeing = windows.count { $0["gesture"] as? Int == line["gesture"] as? Int }
    #expect(line["agreeing_windows"] as? Int == agreeing)
  }

  @Test func aSummaryIsALineARecordingWithTheSameAnswers() throws {
    let (semgTrain, paths) = try Self.trained()
    let whole = try semgTrain.run(Self.predict + ["recordings", "--json"])
    let summary = try semgTrain.run(Self.predict + ["recordings", "--json", "--summary"])
    #expect(summary.status == 0, "\(summary.error)")
    let (long, short) = (
      try SemgTrain.objects(whole.output), try SemgTrain.objects(summary.output)
    )
    #expect(short.count == paths.count && long.count == paths.count)
    for (line, expected) in zip(short, long) {
      #expect(SemgTrain.text(line) == SemgTrain.text(expected.filter { $0.key != "windows" }))
    }
    let text = try semgTrain.run(Self.predict + ["recordings", "--summary"]).output
    #expect(text.split(separator: "\n").count == paths.count)
    let lines = try semgTrain.run(Self.predict + ["recordings"]).output.split(separator: "\n")
    #expect(lines.filter { !$0.hasPrefix(" ") }.joined(separator: "\n") + "\n" == text)
    #expect(lines.count == 4 * paths.count, "a header and two windows each")
  }

  @Test func aSummaryHasNoWindowsWhereThereIsNoAnswerEither() throws {
    let (semgTrain, _) = try Self.trained()
    // All channels stand still.
    let row = Array(repeating: "0.01", count: 8).joined(separator: ",") + "\n"
    try String(repeating: row, count: 400).write(
      toFile: semgTrain.directory.file("dead.csv"), atomically: false, encoding: .utf8)
    for (options, hasWindows) in [([], true), (["--summary"], false)] as [([String], Bool)] {
      let outcome = try semgTrain.run(Self.predict + ["dead.csv", "--json"] + options)
      #expect(outcome.status == 0, "\(outcome.error)")
      let line = try #require(try SemgTrain.objects(outcome.output).first)
      #expect(line["gesture"] is NSNull && line["agreeing_windows"] is NSNull)
      #expect((line["windows"] != nil) == hasWindows)
    }
  }

  @Test func whatIsSkippedHasALineToo() throws {
    let (semgTrain, paths) = try Self.trained()
    try "a,b\n1,2\n".write(
      toFile: semgTrain.directory.file("bad.csv"), atomically: false, encoding: .utf8)
    let options = ["bad.csv", "recordings/\(paths[0])", "--skip-bad"]
    let outcome = try semgTrain.run(Self.predict + options + ["--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let lines = try SemgTrain.objects(outcome.output)
    #expect(
      lines.compactMap { $0["recording"] as? String } == ["recordings/\(paths[0])", "bad.csv"])
    let (good, bad) = (try #require(lines.first), try #require(lines.last))
    #expect(Set(good.keys) == Set(bad.keys) && good["skipped"] is NSNull)
    #expect((bad["skipped"] as? String)?.contains("found 2 columns") == true)
    #expect(bad["gesture"] is NSNull && bad["window_count"] as? Int == 0)
    let text = try semgTrain.run(Self.predict + options + ["--summary"]).output
    #expect(text.hasSuffix("\nbad.csv: skipped\n"))
  }

  /// Windows go to the device in pieces that know nothing of recordings; whatever is predicted with
  /// a recording, its answer is the same.
  @Test func whatIsPredictedTogetherIsWhatIsPredictedAlone() throws {
    let (semgTrain, paths) = try Self.trained()
    try Self.long(90_000, of: paths[3], in: semgTrain.directory)
    let files = ["recordings/\(paths[0])", "long.csv", "recordings/\(paths[5])"]
    let together = try semgTrain.run(Self.predict + files + ["--json"])
    #expect(together.status == 0, "\(together.error)")
    let lines = try SemgTrain.objects(together.output)
    #expect(lines.compactMap { $0["recording"] as? String } == files)
    for (line, file) in zip(lines, files) {
      let alone = try semgTrain.run(Self.predict + [file, "--json"])
      let expected = try #require(try SemgTrain.objects(alone.output).first)
      #expect(line["gesture"] as? Int == expected["gesture"] as? Int)
      let (found, known) = (Self.probabilities(line), Self.probabilities(expected))
      #expect(found.count == known.count && !known.isEmpty)
      #expect(zip(found, known).allSatisfy { abs($0 - $1) < 1e-5 })
    }
    let windows = try #require(lines[1]["windows"] as? [[String: Any]])
    #expect(windows.count == (90_000 - 204) / 81 + 1)
    #expect(windows.enumerated().allSatisfy { $1["start"] as? Int == 81 * $0 })
    let text = try semgTrain.run(Self.predict + ["long.csv"])
    let rows = text.output.split(separator: "\n").dropFirst()
    #expect(rows.count == windows.count + 1)
    #expect(Set(rows.map(\.count)).count == 1, "as wide in each piece")
  }

  private static func probabilities(_ line: [String: Any]) -> [Double] {
    (line["windows"] as? [[String: Any]] ?? []).flatMap { $0["probabilities"] as? [Double] ?? [] }
  }

  @Test func allBadRecordingsAreNamedBeforeTheFirstAnswer() throws {
    let (semgTrain, paths) = try Self.trained()
    let place = semgTrain.directory
    for (path, text) in [(paths[2], "1,2\n"), (paths[7], "")] {
      try text.write(
        toFile: place.file("recordings/\(path)"), atomically: false, encoding: .utf8)
    }
    let outcome = try semgTrain.run(Self.predict + ["recordings", "--json"])
    #expect(outcome.status == 65)
    #expect(outcome.output.isEmpty)
    #expect(outcome.error.contains(paths[2]) && outcome.error.contains(paths[7]))
    let others = try semgTrain.run(Self.predict + ["recordings", "--json", "--skip-bad"])
    #expect(others.status == 0)
    let lines = try SemgTrain.objects(others.output)
    #expect(lines.count == paths.count)
    #expect(lines.count { $0["skipped"] is NSNull } == paths.count - 2)
    #expect(others.error.contains("skipped: recordings/\(paths[2])"))
  }

  /// Kilobytes that the command held in memory at most.
  private static func peak(
    _ semgTrain: SemgTrain, _ arguments: [String]
  ) throws -> (kilobytes: Int, output: String) {
    let script = """
      import resource, subprocess, sys
      code = subprocess.run(sys.argv[1:]).returncode
      print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
      sys.exit(code)
      """
    try script.write(
      toFile: semgTrain.directory.file("peak.py"), atomically: false, encoding: .utf8)
    let outcome = try semgTrain.run(predict + arguments, shell: "python3 peak.py")
    #expect(outcome.status == 0, "\(outcome.error)")
    let lines = outcome.error.split(separator: "\n")
    return (try #require(lines.last.flatMap { Int($0) }), outcome.output)
  }

  /// An hour of recording: its samples, in double precision and eight channels, are 118 MB, and its
  /// text 133 MB; it used to take five times the samples besides the text.
  @Test(.enabled(if: runsSlowTests, "takes minutes without optimization"))
  func memoryGrowsByNoMoreThanTheSamples() throws {
    let (semgTrain, paths) = try Self.trained()
    let samples = 1_842_000
    // Long enough for whole batches, whose memory is no matter here.
    try Self.long(60_000, of: paths[3], in: semgTrain.directory)
    let short = try Self.peak(semgTrain, ["long.csv", "--summary"])
    try Self.long(samples, of: paths[3], in: semgTrain.directory)
    let long = try Self.peak(semgTrain, ["long.csv", "--summary"])
    let grown = (long.kilobytes - short.kilobytes) * 1024
    #expect(grown < samples * 8 * 8 * 5 / 4, "\(grown) bytes more for \(samples) samples")
    #expect(grown > samples * 8 * 4, "\(grown) bytes: nothing was measured")
    // As many samples in many recordings: some are kept from the first reading, the others read again.
    let parts = 40
    for part in 0..<parts {
      try FileManager.default.createSymbolicLink(
        atPath: semgTrain.directory.file("part\(part).csv"), withDestinationPath: "medium.csv")
    }
    try Self.long(samples / 10, of: paths[3], in: semgTrain.directory)
    try FileManager.default.moveItem(
      atPath: semgTrain.directory.file("long.csv"),
      toPath: semgTrain.directory.file("medium.csv"))
    let many = try Self.peak(
      semgTrain, (0..<parts).map { "part\($0).csv" } + ["--summary"])
    #expect(many.output.split(separator: "\n").count == parts)
    #expect((many.kilobytes - short.kilobytes) * 1024 < 200 << 20, "\(many.kilobytes) kB")
  }
}
