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

  @Test func theFiguresSayHowTheyCameAbout() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    func metrics(_ options: [String]) throws -> [String: Any] {
      let outcome = try semgTrain.run(SemgTrain.brief + options)
      #expect(outcome.status == 0, "\(outcome.error)")
      let file = URL(filePath: semgTrain.directory.file("\(options[1])/metrics.json"))
      let value = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
      return value as? [String: Any] ?? [:]
    }
    let first = try metrics(["--output", "run"])
    #expect(first["artifacts"] as? [String] == ["best_semg_net.keras"])
    let line = try #require(first["command_line"] as? [String])
    #expect(line == ["semg-train"] + SemgTrain.brief + ["--output", "run"])
    #expect(first["data_directory"] as? String == SmallRecordings.name)
    #expect(first["batch_size"] as? Int == 16)
    #expect(first["precision"] as? String == "fp32")
    #expect(first["ensemble_weights"] as? [String: Double] == ["semg-net": 1])
    #expect(first["class_weights"] as? [String: Double] == ["0": 1, "1": 1])
    #expect(first["split_source"] as? String == "default")
    let version = try semgTrain("--version").output.prefix { $0 != "\n" }
    #expect(version == "semg-train \(first["version"] as? String ?? "none")")
    let date = try #require(first["date"] as? String)
    let formatter = ISO8601DateFormatter()
    let age = try #require(formatter.date(from: date)).timeIntervalSinceNow
    #expect((-600...1).contains(age), "\(date)")

    let sessions = ["--train-sessions", "1,2", "--test-sessions", "3"]
    let second = try metrics(["--output", "other", "--seed", "7"] + sessions)
    #expect(second["split_source"] as? String == "\(sessions.joined(separator: " ")) --seed 7")
    let fingerprint = try #require(first["data_fingerprint"] as? String)
    #expect(fingerprint.count == 32)
    #expect(second["data_fingerprint"] as? String == fingerprint)

    let text = try semgTrain("inspect", "run").output
    for words in [
      "on \(date) as: semg-train --data recordings --models semg-net", "split: default",
      "data recordings, fingerprint \(fingerprint)", "1 epoch asked for", "16 samples per batch",
    ] {
      #expect(text.contains(words), "\(words): \(text)")
    }
    // What a version wrote that said none of it is read as well.
    let path = semgTrain.directory.file("run/metrics.json")
    let old = first.filter { key, _ in
      ![
        "version", "command_line", "date", "data_directory", "data_fingerprint", "split_source",
        "batch_size", "precision", "ensemble_weights",
      ].contains(key)
    }
    try JSONSerialization.data(withJSONObject: old).write(to: URL(filePath: path))
    let read = try semgTrain("inspect", "run")
    #expect(read.status == 0, "\(read.error)")
    #expect(!read.output.contains("fingerprint") && !read.output.contains("trained by"))
  }

  @Test func severalPathsAreInspectedWhateverIsWrongWithOne() throws {
    let semgTrain = try Self.trained()
    let model = "run/best_semg_net.keras"
    let all = try semgTrain("inspect", "run", model, "recordings", "--json")
    #expect(all.status == 0, "\(all.error)")
    let kinds = try SemgTrain.objects(all.output).compactMap { $0["kind"] as? String }
    #expect(kinds == ["run", "keras", "data"])
    let text = try semgTrain("inspect", model, "recordings").output
    #expect(
      text == (try semgTrain("inspect", model).output) + "\n"
        + (try semgTrain("inspect", "recordings").output))
    let some = try semgTrain("inspect", "nowhere", model, "run/split.csv", "--json")
    #expect(some.status == 66, "of the first fault")
    #expect(try SemgTrain.objects(some.output).count == 1)
    #expect(some.error.contains("nowhere: no such file"))
    #expect(some.error.contains("run/split.csv is a file of a training run"))
  }

  @Test func anArchiveSaysWhoSavedIt() throws {
    let semgTrain = try Self.trained()
    let text = try semgTrain("inspect", "run/best_semg_net.keras").output
    #expect(text.contains("saved by semg-train "))
    #expect(text.contains("in the layout of Keras 3.5.0"))
    let json = try semgTrain("inspect", "run/best_semg_net.keras", "--json").output
    let value = try #require(try SemgTrain.objects(json).first)
    #expect((value["saved_by"] as? String)?.hasPrefix("semg-train ") == true)
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
