import Foundation
import TestSupport
import Testing

/// Nothing that is not a number, or no recording, or no model, ends in an answer.
struct NoNonsenseTests {
  @Test func valuesThatMakeNaNAreRefusedInWhateverFileTheyStand() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let path = try SmallRecordings(in: place).paths[0]
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    let file = place.file("run/preprocessing.json")
    let whole = try Data(contentsOf: URL(filePath: file))
    let value = try #require(try JSONSerialization.jsonObject(with: whole) as? [String: Any])
    let filter = try #require(value["filter"] as? [String: Any])
    let ones = [Double](repeating: 0.01, count: 7)
    let changes: [(String, [String: Any])] = [
      ("mean", ["mean": ones + [1e308]]), ("deviation", ["deviation": ones + [0]]),
      ("deviation", ["deviation": ones + [1e-300]]), ("deviation", ["deviation": ones + [-1]]),
      ("notch_hertz", ["filter": filter.merging(["notch_hertz": 1e-300]) { $1 }]),
      ("notch_quality", ["filter": filter.merging(["notch_quality": 1e-300]) { $1 }]),
      ("low_hertz", ["filter": filter.merging(["low_hertz": 1e-300]) { $1 }]),
      ("ensemble_weights", ["ensemble_weights": ["semg-net": -1]]),
    ]
    for (words, change) in changes {
      let changed = try JSONSerialization.data(withJSONObject: value.merging(change) { $1 })
      try changed.write(to: URL(filePath: file))
      for command in [
        ["evaluate", "run", "--data", "recordings"],
        ["predict", "--artifacts", "run", "recordings/\(path)"], ["inspect", "run"],
      ] {
        let outcome = try semgTrain.run(command)
        #expect(outcome.status == 65, "\(command) \(words) \(outcome.output)")
        #expect(outcome.error.contains("preprocessing.json"))
        #expect(outcome.error.contains(words.split(separator: "_")[0]), "\(outcome.error)")
      }
    }
  }

  @Test func metricsThatNoRunLeavesAreNotBelieved() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    let file = place.file("run/metrics.json")
    let whole = try Data(contentsOf: URL(filePath: file))
    let value = try #require(try JSONSerialization.jsonObject(with: whole) as? [String: Any])
    let ensemble = try #require(value["ensemble"] as? [String: Any])
    for (words, change) in [
      ("accuracy 1.5", ["ensemble": ensemble.merging(["accuracy": 1.5]) { $1 }]),
      ("macro_f1 -0.5", ["ensemble": ensemble.merging(["macro_f1": -0.5]) { $1 }]),
      ("confusion", ["ensemble": ensemble.merging(["confusion": [[9, 0], [0, 9]]]) { $1 }]),
      ("windows", ["windows": -3]), ("seconds", ["seconds": -1]),
      ("best_epoch", ["best_epoch": ["semg-net": 9]]),
      ("class weight", ["class_weights": ["0": 0, "1": 1]]),
    ] as [(String, [String: Any])] {
      let changed = try JSONSerialization.data(withJSONObject: value.merging(change) { $1 })
      try changed.write(to: URL(filePath: file))
      let outcome = try semgTrain("inspect", "run", "--json")
      #expect(outcome.status == 65, "\(words)")
      #expect(outcome.error.contains("run/metrics.json: found") && outcome.error.contains(words))
    }
  }

  @Test(arguments: ["1e-7", "0.5", "1e-300"])
  func aNotchThatCannotBeComputedIsRefusedBeforeAnythingIsRead(hertz: String) throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let outcome = try semgTrain.run(SemgTrain.brief + ["--notch", hertz])
    #expect(outcome.status == 78)
    #expect(outcome.error.contains("--notch off") && outcome.error.contains("a notch at"))
    #expect(!outcome.error.contains("permissions"))
  }

  @Test(arguments: ["1e155", "1e200", "1.7e308"])
  func numbersWhoseSquaresAreTooLargeAreInspected(number: String) throws {
    let semgTrain = try SemgTrain()
    var rows = (0..<300).map { row in
      (0..<8).map { "\(Double((row * 7 + $0) % 11) / 8)" }.joined(separator: ",")
    }
    rows[3] = number + rows[3].drop { $0 != "," }
    try (rows.joined(separator: "\n") + "\n").write(
      toFile: semgTrain.directory.file("x.csv"), atomically: false, encoding: .utf8)
    let outcome = try semgTrain("inspect", "x.csv", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(try SemgTrain.objects(outcome.output).first)
    let channels = try #require(report["channels"] as? [[String: Any]])
    let value = try #require(Double(number))
    // One of 300 samples stands out: mean v/300, deviation v·√299/300.
    let mean = try #require(channels[0]["mean"] as? Double)
    let deviation = try #require(channels[0]["deviation"] as? Double)
    #expect(abs(mean / (value / 300) - 1) < 1e-12)
    #expect(abs(deviation / (value * (299.0.squareRoot() / 300)) - 1) < 1e-12)
    #expect(channels[0]["maximum"] as? Double == value)
    #expect(try semgTrain("inspect", "x.csv").status == 0)
  }

  @Test func theBatchOfParityIsBoundedByItsOwnName() throws {
    let outcome = try SemgTrain()("parity", "--batch-size", "65536")
    #expect(outcome.status == 64)
    #expect(outcome.error.contains("--batch-size") && !outcome.error.contains("--trials"))
  }
}

/// Files that are no CSV are never taken for one, and an archive is one whatever it is called.
@Suite(.enabled(if: SharedData.hasCases, "no cases at \(SharedData.cases.path)"))
struct ForeignFileTests {
  private static func path(_ name: String) -> String {
    SharedData.cases.appending(path: "archives/\(name)").path
  }

  @Test(arguments: [
    ("legacy-h5.h5", "the legacy format of Keras 2"),
    ("weights-only.weights.h5", "weights alone"), ("windows.npy", "a NumPy array"),
  ])
  func filesOfOtherKindsAreNamedByEveryCommand(file: String, words: String) throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    #expect(try semgTrain.run(SemgTrain.brief + ["--output", "run"]).status == 0)
    for command in [
      ["inspect", Self.path(file)], ["evaluate", Self.path(file), "--data", "recordings"],
      ["predict", "--artifacts", "run", Self.path(file)],
    ] {
      let outcome = try semgTrain.run(command)
      #expect(outcome.status == 65, "\(command)")
      #expect(outcome.error.contains(words), "\(outcome.error)")
      #expect(!outcome.error.contains("column,") && !outcome.error.contains("damaged"))
    }
  }

  @Test func archivesAndDirectoriesAreKnownByTheirContent() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let archive = Self.path("nested-model.keras")
    try FileManager.default.copyItem(atPath: archive, toPath: place.file("model.zip"))
    let inspected = try semgTrain("inspect", "model.zip", "--json")
    #expect(inspected.status == 0, "\(inspected.error)")
    #expect(try SemgTrain.objects(inspected.output).first?["kind"] as? String == "keras")
    let predicted = try semgTrain("predict", "model.zip")
    #expect(predicted.status == 64 && predicted.error.contains("found a trained model"))

    let unzip = try semgTrain.run([], shell: "python3 -m zipfile -e model.zip unzipped; true")
    #expect(unzip.status == 0)
    for command in [["inspect", "unzipped"], ["evaluate", "unzipped"]] {
      let outcome = try semgTrain.run(command)
      #expect(outcome.status == 65, "\(command) \(outcome.error)")
      #expect(outcome.error.contains("an unzipped Keras archive"), "\(outcome.error)")
    }
    try Data().write(to: URL(filePath: place.file("unzipped/saved_model.pb")))
    #expect(try semgTrain("inspect", "unzipped").error.contains("SavedModel"))
  }

  @Test func aPointerOfGitIsNamedInPlaceOfARecording() throws {
    let semgTrain = try SemgTrain()
    let path = try SmallRecordings(in: semgTrain.directory).paths[0]
    try "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n".write(
      toFile: semgTrain.directory.file("recordings/\(path)"), atomically: false, encoding: .utf8)
    for command in [SemgTrain.brief, ["inspect", "recordings/\(path)"]] {
      let outcome = try semgTrain.run(command)
      #expect(outcome.status == 65)
      #expect(outcome.error.contains("git lfs pull"), "\(outcome.error)")
    }
  }
}
