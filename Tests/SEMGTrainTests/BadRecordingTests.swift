import Foundation
import TestSupport
import Testing

/// Bad recordings as a user meets them: all named at once, or left out and counted.
struct BadRecordingTests {
  /// A set with something wrong in each of five ways, and what is said of each.
  private static func damage(
    _ place: TemporaryDirectory, _ paths: [String]
  ) throws -> [String] {
    for (path, text) in [(paths[1], "1,2,3\n"), (paths[2], "")] {
      try text.write(toFile: place.file("recordings/\(path)"), atomically: false, encoding: .utf8)
    }
    let whole = place.file("recordings/\(paths[3])")
    for name in ["recordings/stray_gesture00.csv", "recordings/Session1/notes.csv"] {
      try FileManager.default.copyItem(atPath: whole, toPath: place.file(name))
    }
    try FileManager.default.createDirectory(
      atPath: place.file("recordings/x.csv"), withIntermediateDirectories: false)
    return [
      "recordings/Session1/notes.csv: found no gesture",
      "recordings/\(paths[1]):1: found 3 columns",
      "recordings/\(paths[2]):1: found an empty file",
      "recordings/stray_gesture00.csv: found no session",
      "recordings/x.csv: found a directory",
    ]
  }

  @Test func trainingStopsWithTheWholeListWhateverIsWrong() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let said = try Self.damage(place, SmallRecordings(in: place).paths)
    let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(outcome.status == 65)
    let lines = outcome.error.split(separator: "\n").filter { $0.contains("recordings/") }
    #expect(lines.count == said.count)
    for (line, start) in zip(lines, said) { #expect(line.contains(start)) }
    #expect(
      outcome.error.hasSuffix("5 problems; --skip-bad goes on without the recordings at fault\n"))
    #expect(!place.exists("run"))
  }

  @Test func escapeSequencesInAFilesNameAreShownAndNotObeyed() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    let name = "gesture00_\u{1B}[2J\u{9B}31m\u{7F}.csv"
    for folder in ["recordings/Session1", "recordings/Session2"] {
      let target = place.file("\(folder)/\(name)")
      try "1,2,3\n".write(toFile: target, atomically: false, encoding: .utf8)
    }
    let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(outcome.status == 65)
    #expect(!outcome.error.contains("\u{1B}"))
    let shown = #"recordings/Session1/gesture00_\u{1B}[2J\u{009B}31m\u{7F}.csv"#
    #expect(outcome.error.contains(shown), "\(outcome.error)")
    // What programs read has the name as it is.
    let split = try semgTrain("split", "--data", "recordings")
    #expect(split.output.contains(name))
    #expect(split.output.split(separator: "\n").count == paths.count + 3)
    let prediction = try semgTrain("inspect", "recordings/Session1/\(name)")
    #expect(!(prediction.output + prediction.error).contains("\u{1B}"))
  }

  @Test func skippingGoesOnAndCountsThemInOutputAndMetrics() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let said = try Self.damage(place, SmallRecordings(in: place).paths)
    let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run", "--json", "--skip-bad"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(try SemgTrain.objects(outcome.output).first)
    #expect((report["skipped"] as? [String])?.count == said.count)
    for start in said { #expect(outcome.error.contains("skipped: \(start)")) }
    let metrics = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(filePath: place.file("run/metrics.json"))))
    #expect(((metrics as? [String: Any])?["skipped"] as? [Any])?.count == said.count)
    // The split that was printed names no bad layout; the list of a user may.
    let split = try semgTrain("split", "--data", "recordings", "--skip-bad")
    #expect(split.status == 0)
    let named = split.output + "stray_gesture00.csv,train\nSession1/notes.csv,train\n"
    try named.write(toFile: place.file("s.csv"), atomically: false, encoding: .utf8)
    let read = try semgTrain("split", "--data", "recordings", "--skip-bad", "--split", "s.csv")
    #expect(read.status == 0, "\(read.error)")
    #expect(try semgTrain("split", "--data", "recordings").status == 65)
  }

  @Test func whatThePartsLackIsToldWithTheRecordingsThatAreBad() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    for path in paths where path.hasPrefix("Session3") && path.contains("gesture01") {
      try FileManager.default.removeItem(atPath: place.file("recordings/\(path)"))
    }
    try "".write(
      toFile: place.file("recordings/\(paths[0])"), atomically: false, encoding: .utf8)
    for options in [[], ["--skip-bad"]] {
      let outcome = try semgTrain.run(SemgTrain.brief + options)
      #expect(outcome.status == 65)
      #expect(outcome.error.contains("found an empty file"))
      #expect(outcome.error.contains("gesture 1 in the validation part"))
      #expect(!outcome.error.contains("--skip-bad"))
    }
  }

  @Test func evaluationNoticesCopiesAndGesturesThatWereNotTrainedOn() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    let split = try String(contentsOfFile: place.file("run/split.csv"), encoding: .utf8)
    let rows = split.split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
    let tested = try #require(rows.first { $0[1] == "test" })[0]
    let (copy, original) = (place.file("recordings/\(tested)"), "recordings/\(paths[0])")
    try FileManager.default.removeItem(atPath: copy)
    try FileManager.default.copyItem(atPath: place.file(original), toPath: copy)
    let evaluation = ["evaluate", "run", "--data", "recordings", "--json"]
    let leak = try semgTrain.run(evaluation)
    #expect(leak.status == 65)
    #expect(leak.error.contains("recordings/\(tested): found the same samples as in \(original)"))

  }

  @Test func aGestureThatWasNotTrainedOnStopsTheEvaluationOrIsSkipped() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    // The samples backwards, so that they are no copy.
    let rows = try String(contentsOfFile: place.file("recordings/\(paths[1])"), encoding: .utf8)
      .split(separator: "\r\n")
    let stranger = "recordings/Session3/session3_subject_1/gesture07_trial01.csv"
    try rows.dropFirst().reversed().joined(separator: "\n").write(
      toFile: place.file(stranger), atomically: false, encoding: .utf8)
    for options in [["--part", "all"], ["--seed", "42"]] {
      let evaluation = ["evaluate", "run", "--data", "recordings", "--json"] + options
      let unknown = try semgTrain.run(evaluation)
      #expect(unknown.status == 65)
      #expect(unknown.error.contains("\(stranger): found gesture 7, expected one that the network"))
      let skipping = try semgTrain.run(evaluation + ["--skip-bad", "--allow-seen"])
      #expect(skipping.status == 0, "\(skipping.error)")
      let report = try #require(try SemgTrain.objects(skipping.output).first)
      #expect((report["skipped"] as? [String])?.count == 1)
      #expect(skipping.error.contains("skipped: \(stranger)"))
    }
  }

  @Test func aReadThatFailsMidwayIsNotCalledUnreadable() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let path = "recordings/\(try SmallRecordings(in: place).paths[0])"
    try FileManager.default.removeItem(atPath: place.file(path))
    try FileManager.default.createSymbolicLink(
      atPath: place.file(path), withDestinationPath: "/proc/self/mem")
    let failed = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(failed.status == 74)
    #expect(failed.error.contains("\(path): reading failed"))
    #expect(try semgTrain("inspect", path).status == 74)
  }

  @Test func sessionsThatAreNotThereContradictTheDataOrAreMissingFromIt() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let asked = try semgTrain("split", "--data", "recordings", "--train-sessions", "9")
    #expect(asked.status == 78)
    #expect(asked.error.contains("no recording of session 9 (sessions found: 1, 2, 3)"))
    try FileManager.default.removeItem(atPath: place.file("recordings/Session3"))
    let missing = try semgTrain("split", "--data", "recordings")
    #expect(missing.status == 65)
    #expect(missing.error.contains("no recording of session 3"))
  }

  @Test func aSingleRecordingOfEachGestureGetsTheReason() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    for path in try SmallRecordings(in: place).paths
    where path.contains("Session3") && path.contains("trial02") {
      try FileManager.default.removeItem(atPath: place.file("recordings/\(path)"))
    }
    for command in [SemgTrain.brief, ["split", "--data", "recordings"]] {
      let outcome = try semgTrain.run(command)
      #expect(outcome.status == 65)
      #expect(
        outcome.error.contains("found only 1 recording of gesture 0, 1 in session 3, expected 2"))
      #expect(outcome.error.contains("--test-sessions"))
      #expect(!outcome.error.contains("validation part, expected"), "\(outcome.error)")
    }
  }

  @Test func gesturesThatOneHalfLacksOfASubjectAreNamed() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    // Of gesture 0 in session 3, each subject has one recording: each half has one subject's.
    for path in try SmallRecordings(in: place, subjects: 2).paths
    where path.contains("Session3") && path.contains("gesture00_trial02") {
      try FileManager.default.removeItem(atPath: place.file("recordings/\(path)"))
    }
    let outcome = try semgTrain.run(SemgTrain.brief)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("the halves of the test sessions differ: the "))
    #expect(outcome.error.contains(" part has none of subject 1's gesture 0"))
    #expect(outcome.error.contains(" part has none of subject 2's gesture 0"))
    let quiet = try semgTrain.run(SemgTrain.brief + ["--quiet"])
    #expect(!quiet.error.contains("halves"))
  }

  /// Root may read everything: the command then runs without that right.
  @Test func aSessionThatMayNotBeReadIsSaidToBeOne() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let folder = place.file("recordings/Session3")
    try FileManager.default.setAttributes([.posixPermissions: 0o000], ofItemAtPath: folder)
    defer {
      try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
    }
    let rights = "-dac_override,-dac_read_search"
    let shell =
      getuid() == 0 ? "setpriv --bounding-set=\(rights) --inh-caps=\(rights)" : "exec"
    let options = ["split", "--data", "recordings"]
    for command in [options, options + ["--skip-bad"], options + ["--test-sessions", "3"]] {
      let outcome = try semgTrain.run(command, shell: shell)
      #expect(outcome.status == 66, "\(outcome.error)")
      #expect(outcome.error.contains("recordings/Session3/: cannot be read: Permission denied"))
      #expect(!outcome.error.contains("no recording of session 3"))
    }
  }

  @Test func classWeightsAreJudgedBeforeTheRecordingsAreRead() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let paths = try SmallRecordings(in: place).paths
    try "".write(
      toFile: place.file("recordings/\(paths[0])"), atomically: false, encoding: .utf8)
    let outcome = try semgTrain.run(SemgTrain.brief + ["--class-weights", "1,2,3"])
    #expect(outcome.status == 78)
    #expect(outcome.error.contains("expected 2"))
    #expect(!outcome.error.contains("empty file"))
  }

  @Test func aSplitMayComeThroughAPipe() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let split = ["split", "--data", "recordings", "--seed", "7"]
    let printed = try semgTrain.run(split)
    for source in ["--split /dev/stdin", "--split <(cat s.csv)"] {
      try printed.output.write(
        toFile: semgTrain.directory.file("s.csv"), atomically: false, encoding: .utf8)
      let read = try semgTrain.run(
        Array(split.prefix(3)), shell: "f() { cat s.csv | \"$@\" \(source); }; f")
      #expect(read.status == 0, "\(read.error)")
      #expect(read.output == printed.output)
    }
  }
}
