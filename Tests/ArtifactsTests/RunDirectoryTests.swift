import Foundation
import Testing

@testable import Artifacts

@Suite struct RunDirectoryTests {
  static let preprocessing = Preprocessing(
    sampleRate: 512, channels: Array(1...8),
    filter: .init(lowHertz: 20, highHertz: 255.744, notchHertz: 50), windowLength: 204,
    windowStride: 81, mean: Array(repeating: 0.25, count: 8),
    deviation: (1...8).map { Double($0) / 100 }, gestures: [0, 1, 2, 3, 4], recipe: "standard")

  @Test func preprocessingIsReadBackFromTheDirectoryAndFromBesideAnArtifact() throws {
    let folder = try TemporaryFolder()
    let run = try RunDirectory(creating: folder.file("run"))
    try run.write(Self.preprocessing)
    #expect(try RunDirectory.preprocessing(for: run.path) == Self.preprocessing)
    #expect(
      try RunDirectory.preprocessing(for: run.artifact(of: "inception-se")) == Self.preprocessing)
    #expect(try RunDirectory.preprocessing(for: folder.path) == nil)
  }

  @Test func keysOfPreprocessingAreSnakeCase() throws {
    let folder = try TemporaryFolder()
    let run = try RunDirectory(creating: folder.file("run"))
    try run.write(Self.preprocessing)
    let text = try String(contentsOfFile: run.file("preprocessing.json"), encoding: .utf8)
    for key in ["sample_rate", "window_length", "low_hertz", "notch_hertz", "gestures", "recipe"] {
      #expect(text.contains("\"\(key)\" : "))
    }
  }

  @Test(arguments: [
    ("\"recipe\" : \"standard\"", "\"other\" : 1"),
    ("\"window_length\" : 204", "\"window_length\" : 0"),
    ("\"sample_rate\" : 512", "\"sample_rate\" : \"fast\""), ("0.25,", ""), ("}", ""),
    ("\"format_version\" : 1", "\"format_version\" : 2"),
    ("\"recipe\" : \"standard\"", "\"recipe\" : \"standart\""),
    ("\"order\" : 4", "\"order\" : -4"), ("\"order\" : 4", "\"order\" : 2"),
    ("\"low_hertz\" : 20", "\"low_hertz\" : 0"),
    ("\"low_hertz\" : 20", "\"low_hertz\" : 255.8"),
    ("\"high_hertz\" : 255.744", "\"high_hertz\" : 256"),
    ("\"high_hertz\" : 255.744", "\"high_hertz\" : 10"),
    ("\"notch_hertz\" : 50", "\"notch_hertz\" : 256"),
    ("\"notch_hertz\" : 50", "\"notch_hertz\" : -50"),
    ("\"notch_hertz\" : 50", "\"notch_hertz\" : 1e-320"),
    ("\"notch_quality\" : 30", "\"notch_quality\" : 1e300"),
    ("\"low_hertz\" : 20", "\"low_hertz\" : 1e-320"),
    ("0.25,", "1e308,"), ("0.25,", "-1e16,"), ("0.01,", "0,"), ("0.01,", "1e-300,"),
    ("\"notch_quality\" : 30", "\"notch_quality\" : 0"),
  ])
  func damagedPreprocessingIsRefusedWithASentence(found: String, replacement: String) throws {
    let folder = try TemporaryFolder()
    let run = try RunDirectory(creating: folder.file("run"))
    try run.write(Self.preprocessing)
    let file = run.file("preprocessing.json")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let range = try #require(text.range(of: found))
    try Data(text.replacingCharacters(in: range, with: replacement).utf8).write(
      to: URL(filePath: file))
    let error = #expect(throws: RunDirectoryError.self) {
      try RunDirectory.preprocessing(for: run.path)
    }
    #expect(error?.kind == .badContent)
    #expect(error?.description.contains(file) == true)
  }

  @Test func anEarlierRunIsMovedAway() throws {
    let folder = try TemporaryFolder()
    for expected in [nil, "run.1", "run.2"] {
      let run = try RunDirectory(creating: folder.file("run"))
      #expect(run.earlierRun.map { URL(filePath: $0).lastPathComponent } == expected)
      try run.write(TrainingHistory())
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(names == ["run", "run.1", "run.2"])
    for name in names {
      let files = try FileManager.default.contentsOfDirectory(atPath: folder.file(name))
      #expect(files == ["history.csv"])
    }
  }

  @Test func aDirectoryWithoutArtifactsIsUsedAsItIs() throws {
    let folder = try TemporaryFolder()
    try Data("mine".utf8).write(to: URL(filePath: folder.file("notes.txt")))
    let run = try RunDirectory(creating: folder.path)
    #expect(run.earlierRun == nil)
    #expect(FileManager.default.fileExists(atPath: folder.file("notes.txt")))
  }

  @Test func whatAKilledRunLeftIsRemovedAndNothingElse() throws {
    let folder = try TemporaryFolder()
    let kept = ["history.csv", "notes.17.partial", "best_semg_net.keras.partial", "x.partial"]
    let left = ["best_semg_net.keras.4294967295.partial", "metrics.json.7.partial"]
    for name in kept + left + [".semg-train.lock"] {
      try Data("half".utf8).write(to: URL(filePath: folder.file(name)))
    }
    do {
      let run = try RunDirectory(creating: folder.file("."))
      #expect(run.earlierRun != nil)
    } catch {
      Issue.record("\(error)")
    }
    let moved = try FileManager.default.contentsOfDirectory(atPath: folder.path + ".1").sorted()
    try FileManager.default.removeItem(atPath: folder.path + ".1")
    #expect(moved == kept.sorted())
  }

  @Test func aSecondRunIntoTheSameDirectoryIsRefused() throws {
    let folder = try TemporaryFolder()
    let run = try RunDirectory(creating: folder.file("run"))
    try run.write(TrainingHistory())
    let error = #expect(throws: RunDirectoryError.self) {
      try RunDirectory(creating: folder.file("run"))
    }
    #expect(error == .locked(path: run.path))
    #expect(FileManager.default.fileExists(atPath: run.file("history.csv")))
  }

  /// A name so long that none behind it is a name.
  @Test func aRunThatCannotBeMovedAwayLetsGoOfItsLock() throws {
    let folder = try TemporaryFolder()
    let path = folder.file(String(repeating: "a", count: 254))
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    try Data("earlier".utf8).write(to: URL(filePath: "\(path)/history.csv"))
    for _ in 0..<2 {
      let error = #expect(throws: RunDirectoryError.self) { try RunDirectory(creating: path) }
      #expect(error?.description.contains("cannot be moved away") == true, "\(error as Any)")
      #expect(!RunDirectory.isInUse(path))
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["history.csv"])
    }
  }

  @Test func aFileInTheDirectorysPlaceCannotBeCreated() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(filePath: folder.file("run")))
    let error = #expect(throws: RunDirectoryError.self) {
      try RunDirectory(creating: folder.file("run"))
    }
    #expect(error?.kind == .cannotCreate)
  }

  @Test func artifactsAreFoundByTheirModels() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(filePath: folder.file("best_semg_net.keras")))
    let found = RunDirectory.artifacts(in: folder.path, of: ["inception-se", "semg-net"])
    #expect(found.map(\.model) == ["semg-net"])
    #expect(RunDirectory.artifactName(of: "inception-se") == "best_inception_se.keras")
  }

  @Test func historyIsOneLineAnEpoch() {
    let history = TrainingHistory(epochs: [
      .init(
        model: "semg-net", epoch: 1, loss: 1.5, accuracy: 0.25, validationLoss: 1.25,
        validationAccuracy: 0.5, learningRate: 1e-3, seconds: 12.34)
    ])
    #expect(
      history.csv == TrainingHistory.header + "\nsemg-net,1,1.5,0.25,1.25,0.5,0.001,12.3\n")
  }
}

@Suite struct WholeFileTests {
  @Test func aReadThatFailsMidwayIsNotCalledUnreadable() throws {
    let folder = try TemporaryFolder()
    try Data("all of it".utf8).write(to: URL(filePath: folder.file("x")))
    #expect(try WholeFile.read(folder.file("x")) == Data("all of it".utf8))
    for missing in [folder.file("y"), folder.path] {
      let error = #expect(throws: FileReadError.self) { try WholeFile.read(missing) }
      guard case .unreadable? = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
    // A regular file whose first page cannot be read: the null page of this process's memory.
    for name in ["preprocessing.json", "x.keras"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder.file(name), withDestinationPath: "/proc/self/mem")
    }
    let archive = #expect(throws: ArchiveError.self) {
      try KerasArchive.read(folder.file("x.keras"))
    }
    #expect(archive?.kind == .readFailed)
    let preprocessing = #expect(throws: RunDirectoryError.self) {
      try RunDirectory.preprocessing(for: folder.path)
    }
    #expect(preprocessing?.kind == .readFailed)
    #expect(preprocessing?.description.contains("Input/output error") == true)
  }
}

@Suite struct AtomicFileTests {
  @Test func aFileIsReplacedWholeAndNothingIsLeftBeside() throws {
    let folder = try TemporaryFolder()
    for text in ["first", "second"] {
      try AtomicFile.write(Data(text.utf8), to: folder.file("x"))
      #expect(try String(contentsOfFile: folder.file("x"), encoding: .utf8) == text)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["x"])
  }

  @Test func aMissingFolderCannotBeWrittenTo() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: FileWriteError.self) {
      try AtomicFile.write(Data([1]), to: folder.file("missing/x"))
    }
    #expect(
      error == .cannotCreate(path: folder.file("missing/x"), reason: "No such file or directory"))
  }

  /// A bound on file sizes stands for the full disk, in a process of its own.
  @Test func aWriteThatFailsMidwayLeavesWhatWasThereWhole() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      try AtomicFile.write(Data("whole".utf8), to: folder.file("x"))
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 4_096, rlim_max: 4_096)
      setrlimit(Int32(RLIMIT_FSIZE.rawValue), &limit)
      let failure = #expect(throws: FileWriteError.self) {
        try AtomicFile.write(Data(count: 1 << 20), to: folder.file("x"))
      }
      #expect(failure == .failedMidway(path: folder.file("x"), reason: "File too large"))
      #expect(try String(contentsOfFile: folder.file("x"), encoding: .utf8) == "whole")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["x"])
    }
  }

  @Test func aFolderInItsPlaceIsNeitherReplacedNorHarmed() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      atPath: folder.file("x/y"), withIntermediateDirectories: true)
    let error = #expect(throws: FileWriteError.self) {
      try AtomicFile.write(Data([1]), to: folder.file("x"))
    }
    if case .cannotCreate = error {} else { Issue.record("\(String(describing: error))") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["x"])
  }
}
