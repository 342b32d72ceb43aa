import Artifacts
import Compute
import ComputeCPU
import Foundation
import Testing

@testable import Training

@Suite struct TrainingRunTests {
  static func run(
    _ settings: RunSettings, in directory: URL, shouldStop: @escaping () -> Bool = { false }
  ) throws -> RunReport? {
    return try TrainingRun(
      data: toyWindows(), device: CPUDevice(threads: 2), settings: settings,
      directory: RunDirectory(creating: directory.path)
    ).train(shouldStop: shouldStop)
  }

  static func temporaryDirectory() -> URL {
    FileManager.default.temporaryDirectory.appending(path: "semg-run-\(UUID().uuidString)")
  }

  @Test func aRunLeavesArtifactsHistoryAndMetrics() throws {
    let directory = Self.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let report = try #require(
      try Self.run(RunSettings(recipe: TrainingRecipe(epochs: 2, batchSize: 16)), in: directory))
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    #expect(
      files == ["best_inception_se.keras", "best_semg_net.keras", "history.csv", "metrics.json"])
    #expect(report.test.models.keys.sorted() == ["inception-se", "semg-net"])
    #expect(report.test.windows == 6 && report.validation.windows == 6)
    let history = try String(
      contentsOf: directory.appending(path: "history.csv"), encoding: .utf8)
    #expect(history.split(separator: "\n").count == 5)
    let saved = try JSONDecoder().decode(
      RunReport.self, from: Data(contentsOf: directory.appending(path: "metrics.json")))
    #expect(saved.test == report.test && saved.bestEpoch == report.bestEpoch)
  }

  @Test func aStoppedRunKeepsWholeArtifactsAndReportsNothing() throws {
    let directory = Self.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    nonisolated(unsafe) var asked = 0
    let report = try Self.run(
      RunSettings(recipe: TrainingRecipe(epochs: 4, batchSize: 16)), in: directory
    ) {
      asked += 1
      return asked > 4
    }
    #expect(report == nil)
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    #expect(files == ["best_inception_se.keras", "history.csv"])
  }

  @Test func theTimeLimitIsSharedByTheModels() throws {
    let directory = Self.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let report = try #require(
      try Self.run(
        RunSettings(recipe: TrainingRecipe(epochs: 1_000_000, batchSize: 16), maximumMinutes: 0.01),
        in: directory))
    #expect(report.outcome == ["inception-se": "out_of_time", "semg-net": "out_of_time"])
    #expect(report.seconds < 30)
  }

  @Test func aFolderThatVanishesStopsTheRun() throws {
    let directory = Self.temporaryDirectory()
    let run = TrainingRun(
      data: toyWindows(), device: CPUDevice(threads: 1),
      settings: RunSettings(models: [.semgNet], recipe: TrainingRecipe(epochs: 2, batchSize: 16)),
      directory: try RunDirectory(creating: directory.path))
    try FileManager.default.removeItem(at: directory)
    #expect(throws: ArchiveError.self) { try run.train() }
    #expect(!FileManager.default.fileExists(atPath: directory.path))
  }
}
