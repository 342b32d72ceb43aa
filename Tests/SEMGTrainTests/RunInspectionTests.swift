import Foundation
import TestSupport
import Testing

/// What `inspect` and others make of a directory that training wrote, whole or not.
struct RunInspectionTests {
  /// A run in `run`.
  private static func trained() throws -> SemgTrain {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let training = try semgTrain.run(SemgTrain.brief + ["--output", "run"])
    #expect(training.status == 0, "\(training.error)")
    return semgTrain
  }

  private static func inspection(of semgTrain: SemgTrain) throws -> [String: Any] {
    let outcome = try semgTrain("inspect", "run", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    return try #require(try SemgTrain.objects(outcome.output).first)
  }

  @Test func aRunShowsItsSplitAndItsPreprocessing() throws {
    let semgTrain = try Self.trained()
    let run = try Self.inspection(of: semgTrain)
    #expect(run["split"] as? [String: Int] == ["train": 8, "validation": 2, "test": 2])
    #expect((run["preprocessing"] as? [String: Any])?["gestures"] as? [Int] == [0, 1])
    #expect(run["epochs"] as? [String: Int] == ["semg-net": 1])
    #expect(run["state"] as? String == "complete")
    let file = try semgTrain("inspect", "run/split.csv")
    #expect(file.status == 64)
    #expect(file.error.contains("Did you mean semg-train inspect run?"))
    let text = try semgTrain("inspect", "run").output
    for words in ["train 8, validation 2, test 2", "512 Hz, 8 channels", "recipe standard"] {
      #expect(text.contains(words))
    }
  }

  @Test func aRunThatWasStoppedTellsWhatItLacks() throws {
    let semgTrain = try Self.trained()
    let place = semgTrain.directory
    try FileManager.default.removeItem(atPath: place.file("run/metrics.json"))
    let stopped = try Self.inspection(of: semgTrain)
    #expect(stopped["state"] as? String == "stopped")
    #expect(stopped["lacks"] as? [String] == ["metrics.json"])
    for name in ["history.csv", "best_semg_net.keras"] {
      try FileManager.default.removeItem(atPath: place.file("run/\(name)"))
    }
    let early = try Self.inspection(of: semgTrain)
    #expect(early["lacks"] as? [String] == ["history.csv", "metrics.json", "a .keras file"])
    #expect(try semgTrain("inspect", "run").output.contains("no epoch was finished"))
    for name in ["preprocessing.json", "split.csv"] {
      try FileManager.default.removeItem(atPath: place.file("run/\(name)"))
    }
    #expect(try semgTrain("inspect", "run").status == 65)
  }

  @Test func modelsAloneAreNotTakenForAStoppedRun() throws {
    let semgTrain = try Self.trained()
    let place = semgTrain.directory
    for name in place.names(in: "run") where !name.hasSuffix(".keras") {
      try FileManager.default.removeItem(atPath: place.file("run/\(name)"))
    }
    #expect(try Self.inspection(of: semgTrain)["state"] as? String == "models")
    #expect(!(try semgTrain("inspect", "run").output.contains("stopped")))
  }

  @Test func damagedFilesBesideTheModelsAreNamed() throws {
    let semgTrain = try Self.trained()
    for (file, found, replacement, says) in [
      (
        "preprocessing.json", "\"order\" : 4", "\"order\" : -4", "found filter.order -4, expected 4"
      ),
      ("preprocessing.json", "    8\n", "    8, 9\n", "found 8 means"),
      ("preprocessing.json", "    1\n", "    1, 2\n", "found 3 gestures, expected 2, as run/best"),
      ("preprocessing.json", ": 204", ": 205", "found window_length 205, expected 204"),
      ("split.csv", ",test", ",tested", "found the part \"tested\""),
      ("history.csv", "model,", "", "something else than the epochs"),
      ("metrics.json", "{", "", "something else than the figures"),
    ] {
      let path = semgTrain.directory.file("run/\(file)")
      let whole = try String(contentsOfFile: path, encoding: .utf8)
      let range = try #require(whole.range(of: found))
      try whole.replacingCharacters(in: range, with: replacement)
        .write(toFile: path, atomically: false, encoding: .utf8)
      let isRead = ["preprocessing.json", "split.csv"].contains(file)
      for command in [["inspect", "run"]] + (isRead ? [["evaluate", "run"]] : []) {
        let outcome = try semgTrain.run(
          command + (command[0] == "evaluate" ? ["--data", SmallRecordings.name] : []))
        #expect(outcome.status == 65, "\(command) \(says)")
        #expect(outcome.error.contains("run/\(file)"), "\(outcome.error)")
        #expect(outcome.error.contains(says), "\(outcome.error)")
      }
      try whole.write(toFile: path, atomically: false, encoding: .utf8)
    }
  }
}
