import Artifacts
import Compute
import ComputeCPU
import Foundation
import Networks
import Testing

@testable import Training

/// What keeps a run from starting shows before its directory is touched, and its time counts from
/// where it is told.
struct StartTests {
  /// The CPU backend that has no room for the plans of some name.
  private struct FullDevice: Device {
    let name = "full"
    let precision = Precision.fp32
    let refused: String
    private let base = CPUDevice(threads: 1)
    static let failure = DeviceError.outOfMemory(device: "full", bytes: 1, advice: "none")

    init(refusing name: String) { refused = name }

    func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
      guard plan.name != refused else { throw Self.failure }
      return try base.load(plan, options: options)
    }
  }

  @Test(arguments: ["sEMG_Net", "Inception_SE_Attn"], [false, true])
  func aNetworkThatCannotBeLoadedOpensNoDirectory(name: String, atOnce: Bool) throws {
    let settings = RunSettings(
      recipe: TrainingRecipe(epochs: 1, batchSize: 16), trainsAtOnce: atOnce)
    let names = try NetworkModel.builtIn.map {
      try settings.network($0, windowLength: 12, channels: 2, classes: 2).name
    }
    #expect(names.contains(name), "\(names)")
    nonisolated(unsafe) var isOpened = false
    let run = TrainingRun(
      data: toyWindows(), device: FullDevice(refusing: name), settings: settings
    ) {
      isOpened = true
      return try RunDirectory(creating: TrainingRunTests.temporaryDirectory().path)
    }
    #expect(throws: FullDevice.failure) { try run.train() }
    #expect(!isOpened)
  }

  @Test func theDirectoryIsOpenedOnceBeforeTheFirstStep() throws {
    let directory = TrainingRunTests.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    nonisolated(unsafe) var opened: [Bool] = []
    nonisolated(unsafe) var hasStarted = false
    let run = TrainingRun(
      data: toyWindows(), device: CPUDevice(threads: 1),
      settings: RunSettings(recipe: TrainingRecipe(epochs: 1, batchSize: 16))
    ) {
      opened.append(hasStarted)
      return try RunDirectory(creating: directory.path)
    }
    _ = try run.train(report: { event in if case .started = event { hasStarted = true } })
    #expect(opened == [false])
  }

  /// What passed before the training is part of the time: each network has its one step.
  @Test func theTimeCountsFromWhereItIsTold() throws {
    let directory = TrainingRunTests.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let run = TrainingRun(
      data: toyWindows(), device: CPUDevice(threads: 1),
      settings: RunSettings(
        recipe: TrainingRecipe(epochs: 1_000_000, batchSize: 16), maximumMinutes: 60),
      start: .now - .seconds(3600)
    ) { try RunDirectory(creating: directory.path) }
    let report = try #require(try run.train())
    #expect(Set(report.outcome.values) == ["out_of_time"])
    #expect(Set(report.bestEpoch.values) == [1])
  }

  /// A slow device's queue holds a quarter of a second's work, however fast it takes steps.
  @Test func aSlowDeviceIsAskedBeforeItsQueueIsLong() {
    let start = ContinuousClock.now
    let tally = StepTally(sampleCount: 100, capacity: 1, start: start)
    let soon = start + .milliseconds(1)
    #expect(tally.isDue(soon, queued: 1, secondsPerStep: nil), "the first step tells the speed")
    #expect(!tally.isDue(soon, queued: 1, secondsPerStep: 0.2))
    #expect(tally.isDue(soon, queued: 2, secondsPerStep: 0.2))
    #expect(!tally.isDue(soon, queued: 200, secondsPerStep: 0.001))
    #expect(tally.isDue(start + .milliseconds(100), queued: 1, secondsPerStep: 0.001))
  }
}
