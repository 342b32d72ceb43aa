import Foundation
import TestSupport
import Testing

/// Runs that are killed at any moment: the next one removes what they left, and nothing of one that
/// still runs.
struct KilledRunTests {
  /// Waits until a command has said something; gives up after a minute.
  private func wait(_ running: SemgTrain.Running, until isTime: () -> Bool) {
    for _ in 0..<6000 where !isTime() && running.process.isRunning {
      Thread.sleep(forTimeInterval: 0.01)
    }
  }

  @Test(arguments: ["reading", "of memory", "an epoch", "epoch 1 ", "epoch 2 "])
  func theNextRunRemovesWhatAKilledOneLeft(moment: String) throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let running = try semgTrain.start(
      SemgTrain.brief + ["--device", "cpu", "--output", "run", "--epochs", "100000"])
    wait(running) { running.errorSoFar.contains(moment) }
    kill(running.process.processIdentifier, SIGKILL)
    #expect(try running.outcome().status == 128 + SIGKILL)
    // As if it had been killed while it wrote, too.
    if place.exists("run") {
      for name in ["best_semg_net.keras", "history.csv", "split.csv", "preprocessing.json"] {
        try Data().write(to: URL(filePath: place.file("run/\(name).17.partial")))
      }
    }
    let next = try semgTrain.run(SemgTrain.brief + ["--device", "cpu", "--output", "run"])
    #expect(next.status == 0, "\(next.error)")
    for folder in place.names() where folder.hasPrefix("run") {
      let names = place.names(in: folder)
      #expect(!names.contains { $0.hasSuffix(".partial") || $0.hasSuffix(".lock") }, "\(names)")
    }
    #expect(place.names(in: "run").contains("metrics.json"))
  }

  @Test func aSetThatIsStillBeingMadeStaysAndAKilledOneGoes() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    func unfinished() -> [String] { place.names().filter { $0.hasPrefix(".set.writing-") } }
    let endless = ["synthesize", "set", "--subjects", "90", "--samples", "20000", "--quiet"]
    let killed = try semgTrain.start(endless)
    wait(killed) { !unfinished().isEmpty }
    kill(killed.process.processIdentifier, SIGKILL)
    _ = try killed.outcome()
    let left = unfinished()
    #expect(left.count == 1)

    let living = try semgTrain.start(endless)
    wait(living) { Set(unfinished()) != Set(left) && unfinished().count == 1 }
    let kept = unfinished()
    #expect(kept.count == 1 && kept != left)
    let other = try semgTrain.run(
      ["synthesize", "set", "--subjects", "1", "--sessions", "1", "--trials", "1", "--quiet"])
    #expect(other.status == 0, "\(other.error)")
    #expect(unfinished() == kept)
    kill(living.process.processIdentifier, SIGKILL)
    _ = try living.outcome()
  }

  /// The earlier run's best model is not taken for that of a run which never began.
  @Test func aRunThatIsStoppedBeforeItBeginsLeavesTheEarlierOne() throws {
    // Reading and loading both networks take a part of a second, in which it has to be stopped.
    for _ in 0..<10 {
      let semgTrain = try SemgTrain()
      let place = semgTrain.directory
      _ = try SmallRecordings(in: place, samples: 20_000)
      try FileManager.default.createDirectory(
        atPath: place.file("run"), withIntermediateDirectories: false)
      try Data().write(to: URL(filePath: place.file("run/best_semg_net.keras")))
      let running = try semgTrain.start(
        ["--data", "recordings", "--epochs", "1", "--device", "cpu", "--output", "run"])
      wait(running) { running.errorSoFar.contains("reading") }
      kill(running.process.processIdentifier, SIGINT)
      #expect(try running.outcome().status == 130)
      guard !place.exists("run.1") else { continue }
      #expect(place.names(in: "run") == ["best_semg_net.keras"])
      #expect(place.names().filter { $0.hasPrefix("run") } == ["run"])
      return
    }
    Issue.record("never stopped in time")
  }
}
