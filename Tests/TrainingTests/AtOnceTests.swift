import Artifacts
import Compute
import ComputeCPU
import ComputeOpenCL
import Foundation
import Networks
import Synchronization
import TestSupport
import Testing

@testable import Training

/// Runs whose models train at the same time.
struct AtOnceTests {
  /// What a run leaves, but for times.
  struct Left: Equatable {
    var weights: [String: NetworkWeights] = [:]
    var optimizers: [String: OptimizerState] = [:]
    /// Of `history.csv`, without its last column.
    var history: [String] = []
    var bestEpochs: [String: Int] = [:]
    var test: PartReport?
  }

  static func run(
    on device: any Device, atOnce: Bool?, epochs: Int = 2, minutes: Double? = nil,
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws -> (report: RunReport?, left: Left) {
    let directory = TrainingRunTests.temporaryDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let settings = RunSettings(
      recipe: TrainingRecipe(epochs: epochs, batchSize: 16), maximumMinutes: minutes,
      trainsAtOnce: atOnce)
    let result = try TrainingRun(
      data: toyWindows(), device: device, settings: settings,
      directory: RunDirectory(creating: directory.path)
    ).train(report: report, shouldStop: shouldStop)
    var left = Left(bestEpochs: result?.bestEpoch ?? [:], test: result?.test)
    for model in NetworkModel.builtIn {
      let path = directory.appending(path: RunDirectory.artifactName(of: model.name)).path
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let archive = try KerasArchive.read(path)
      left.weights[model.name] = archive.weights
      left.optimizers[model.name] = archive.optimizer
    }
    let text = try? String(contentsOf: directory.appending(path: "history.csv"), encoding: .utf8)
    left.history = (text ?? "").split(separator: "\n").map {
      $0.split(separator: ",").dropLast().joined(separator: ",")
    }
    return (result, left)
  }

  /// Both on any device that is told to; the models' events come one at a time.
  @Test func theyLeaveWhatTheyLeaveOneAfterTheOther() throws {
    let device = CPUDevice(threads: 1)
    let inTurn = try Self.run(on: device, atOnce: false)
    let isTold = Mutex(false)
    let started = Mutex<[String]>([])
    let atOnce = try Self.run(on: device, atOnce: true) { event in
      isTold.withLock {
        #expect(!$0)
        $0 = true
      }
      if case .started(let model, _, _) = event { started.withLock { $0.append(model) } }
      isTold.withLock { $0 = false }
    }
    #expect(atOnce.left == inTurn.left)
    #expect(atOnce.left.weights.count == 2 && atOnce.left.optimizers.count == 2)
    #expect(atOnce.left.history.count == 5)
    #expect(Set(started.withLock { $0 }) == Set(NetworkModel.builtIn.map(\.name)))
  }

  /// As soon as each has an epoch behind it.
  @Test func bothAreStoppedAndWhatIsThereIsWhole() throws {
    let trained = Mutex<[EpochRecord]>([])
    let stopped = try Self.run(
      on: CPUDevice(threads: 1), atOnce: true, epochs: 1_000,
      report: { event in
        if case .epoch(let record) = event { trained.withLock { $0.append(record) } }
      },
      shouldStop: {
        trained.withLock { Set($0.map(\.model)).count == 2 }
      })
    #expect(stopped.report == nil)
    #expect(stopped.left.weights.count == 2)
    let records = trained.withLock { $0 }
    #expect(stopped.left.history.count == 1 + records.count)
    #expect(records.count < 1_000)
  }

  /// Each has all of the time, not a share of it.
  @Test func theTimeLimitIsThatOfBoth() throws {
    let finished = Mutex<[TrainedModel.Outcome]>([])
    let clock = ContinuousClock()
    let start = clock.now
    let run = try Self.run(
      on: CPUDevice(threads: 1), atOnce: true, epochs: 1_000_000, minutes: 0.02,
      report: { event in
        guard case .finished(_, let outcome, _) = event else { return }
        #expect(start.duration(to: clock.now) >= .milliseconds(1_000))
        finished.withLock { $0.append(outcome) }
      })
    #expect(run.report?.outcome.values.sorted() == ["out_of_time", "out_of_time"])
    #expect(finished.withLock { $0 } == [.outOfTime, .outOfTime])
  }

  /// One that fails stops the other, and its reason is told.
  @Test func anErrorInOneEndsTheRun() throws {
    let epochs = Mutex(0)
    let error = #expect(throws: DeviceError.self) {
      _ = try Self.run(on: FailingDevice(), atOnce: true, epochs: 100_000) { event in
        if case .epoch = event { epochs.withLock { $0 += 1 } }
      }
    }
    #expect(error == FailingDevice.failure)
    #expect(epochs.withLock { $0 } < 10_000)
  }

  /// By the device, and by its memory.
  @Test func theyTrainAtOnceWhereTheDeviceGainsByItAndHasRoom() {
    let data = toyWindows()
    let settings = RunSettings(recipe: TrainingRecipe(batchSize: 16))
    func memory(_ bytes: Int?, _ settings: RunSettings = settings) -> TrainingMemory {
      TrainingMemory(
        of: data, settings: settings, on: FailingDevice(memoryForPlansAtOnce: bytes))
    }
    let alone = memory(nil)
    #expect(!alone.trainsAtOnce && alone.byteCount > 1_000_000)
    let together = memory(.max)
    #expect(together.trainsAtOnce && together.byteCount > alone.byteCount)
    #expect(memory(together.byteCount * 4 / 3 + 4).trainsAtOnce)
    #expect(!memory(together.byteCount).trainsAtOnce)
    #expect(!memory(.max, RunSettings(models: [.semgNet], recipe: settings.recipe)).trainsAtOnce)
    #expect(!TrainingMemory(of: data, settings: settings, on: CPUDevice(threads: 2)).trainsAtOnce)
  }
}

extension OpenCLTests {
  /// The same on an OpenCL device: two queues in one context.
  @Suite(.enabled(if: runsSlowTests, "long without optimization"))
  struct AtOnceOnOneDeviceTests {
    @Test(arguments: Precision.allCases)
    func theyLeaveWhatTheyLeaveOneAfterTheOther(precision: Precision) throws {
      let device = try OpenCLTests.open(precision)
      let inTurn = try AtOnceTests.run(on: device, atOnce: false, epochs: 3)
      for _ in 0..<3 {
        let atOnce = try AtOnceTests.run(on: device, atOnce: true, epochs: 3)
        #expect(atOnce.left == inTurn.left)
      }
      #expect(inTurn.left.weights.count == 2)
      #expect(device.memoryForPlansAtOnce == nil, "a processor")
    }
  }
}

/// The CPU backend, with one network whose updates fail after a while.
private struct FailingDevice: Device {
  static let failure = DeviceError.callFailed(device: "failing", call: "here", code: "LOST")
  let name = "failing"
  let precision = Precision.fp32
  var memoryForPlansAtOnce: Int?
  private let base = CPUDevice(threads: 1)

  init(memoryForPlansAtOnce: Int? = nil) { self.memoryForPlansAtOnce = memoryForPlansAtOnce }

  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    FailingPlan(try base.load(plan, options: options), fails: plan.name == "sEMG_Net")
  }
}

private final class FailingPlan: ForwardingPlan {
  private let fails: Bool
  private var runs = 0

  init(_ base: any LoadedPlan, fails: Bool) {
    self.fails = fails
    super.init(base)
  }

  override func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    runs += 1
    if fails && runs > 20 { throw FailingDevice.failure }
    try super.run(program, step: step, live: live)
  }
}
