import Foundation
import TestSupport
import Testing

/// How runs end that do not go well: what was saved stays whole, nothing is overwritten, and the
/// exit code says what happened.
struct EndingTests {
  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func anEarlierRunIsRenamedAndNeverOverwritten() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    for _ in 0..<3 {
      let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(place.names().filter { $0.hasPrefix("run") } == ["run", "run.1", "run.2"])
    for name in ["run", "run.1", "run.2"] {
      #expect(place.exists("\(name)/best_semg_net.keras"))
    }
  }

  @Test func controlCKeepsTheBestModelWholeAndASecondRunIsLockedOut() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let endless = SemgTrain.brief + ["--output", "run", "--epochs", "100000"]
    let running = try semgTrain.start(endless)
    try wait(for: "semg-net epoch 1 ", from: running)

    let second = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(second.status == 73)
    #expect(second.error.contains("in use by another run"))
    #expect(try semgTrain("inspect", "run").output.contains("a run writes there now"))

    kill(running.process.processIdentifier, SIGINT)
    let outcome = try running.outcome()
    #expect(outcome.status == 130)
    #expect(outcome.output.isEmpty)
    #expect(outcome.error.contains("interrupted; the best so far is in"))
    #expect(
      place.names(in: "run") == [
        "best_semg_net.keras", "history.csv", "preprocessing.json", "split.csv",
      ])
    #expect(try semgTrain("inspect", "run/best_semg_net.keras").status == 0)
    let inspection = try semgTrain("inspect", "run")
    #expect(inspection.status == 0)
    #expect(inspection.output.contains("stopped before its end: lacks metrics.json"))
    #expect(inspection.output.contains("semg-net: "))
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func controlCBeforeAnEpochIsDoneLeavesNoModel() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place, samples: 20_000)
    let running = try semgTrain.start(SemgTrain.brief + ["--output", "run"])
    try wait(for: "an epoch", from: running)
    kill(running.process.processIdentifier, SIGTERM)
    let outcome = try running.outcome()
    #expect(outcome.status == 130)
    #expect(outcome.error.contains("no model was written"))
    #expect(place.names(in: "run") == ["preprocessing.json", "split.csv"])
    let inspection = try semgTrain("inspect", "run")
    #expect(inspection.status == 0, "\(inspection.error)")
    #expect(inspection.output.contains("no epoch was finished"))
  }

  @Test func aFullDiskEndsTheRunWithNothingHalfWritten() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    // No file may grow beyond 200 KiB: the first model, of megabytes, cannot be written.
    let outcome = try semgTrain.run(
      SemgTrain.brief + ["--output", "run"], shell: "ulimit -f 200; exec")
    #expect(outcome.status == 74, "\(outcome.error)")
    #expect(outcome.error.contains("best_semg_net.keras"))
    #expect(
      place.names(in: "run").filter { $0.hasSuffix(".keras") || $0.contains("partial") } == [])
  }

  @Test func aDirectoryThatCannotBeMadeIsSaidBeforeTheTraining() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let outcome = try semgTrain.run(SemgTrain.brief + ["--output", "/proc/run"])
    #expect(outcome.status == 73, "\(outcome.error)")
    #expect(outcome.error.contains("/proc/run"))
    #expect(!outcome.error.contains("epoch 1"))
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aTerminalGetsALineThatIsRedrawnAndOthersALineAnEpoch() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place, samples: 1500)
    let command = ([SemgTrain.binary.path] + SemgTrain.brief + ["--output", "run"])
      .joined(separator: " ")
    let redraw = "\r\u{1B}[K"
    let onTerminal = try onTerminal(command, in: place, environment: ["TERM": "xterm"])
    #expect(onTerminal.contains(redraw + "semg-net 1/1 "))
    #expect(onTerminal.contains("samples/s"))
    #expect(onTerminal.contains(" left"))
    let quiet = try self.onTerminal(
      command + " --quiet", in: place, environment: ["TERM": "xterm"])
    #expect(!quiet.contains(redraw))
    let piped = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(!piped.error.contains("\r"))
    #expect(!piped.error.contains("\u{1B}"))
    #expect(piped.error.contains("semg-net epoch 1 "))
  }

  @Test func colorsAreForTerminalsThatWantThem() throws {
    let semgTrain = try SemgTrain()
    let command = "\(SemgTrain.binary.path) split --data nowhere"
    let red = "\u{1B}[31m"
    let place = semgTrain.directory
    #expect(try onTerminal(command, in: place, environment: ["TERM": "xterm"]).contains(red))
    for environment in [["TERM": "xterm", "NO_COLOR": "1"], ["TERM": "dumb"]] {
      let text = try onTerminal(command, in: place, environment: environment)
      #expect(text.contains("error: nowhere"))
      #expect(!text.contains(red))
    }
    #expect(!(try semgTrain("split", "--data", "nowhere").error.contains(red)))
  }

  /// What a command writes to a terminal.
  private func onTerminal(
    _ command: String, in place: TemporaryDirectory, environment: [String: String]
  ) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/script")
    process.arguments = ["-qec", command, "/dev/null"]
    process.currentDirectoryURL = URL(filePath: place.path)
    process.environment = ["PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"].merging(environment) { $1 }
    let file = URL(filePath: place.file(".terminal-\(UUID().uuidString)"))
    try Data().write(to: file)
    process.standardOutput = try FileHandle(forWritingTo: file)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return try String(contentsOf: file, encoding: .utf8)
  }

  /// Waits until the command has said something; gives up after two minutes.
  private func wait(for text: String, from running: SemgTrain.Running) throws {
    for _ in 0..<1200 {
      if running.errorSoFar.contains(text) { return }
      guard running.process.isRunning else { break }
      Thread.sleep(forTimeInterval: 0.1)
    }
    Issue.record("never said \(text): \(running.errorSoFar)")
  }
}
