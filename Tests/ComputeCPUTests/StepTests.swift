import Compute
import ComputeCPU
import ComputeCases
import Networks
import TestSupport
import Testing

/// Whole steps: what must not depend on how they are cut into launches, on memory that is shared,
/// on what lies beyond the live samples, or on chance.
@Suite struct StepTests {
  private func run(
    threads: Int = 2, fuses: Bool = true, keepsActivations: Bool = false
  ) -> StepRun {
    StepRun(
      on: CPUDevice(threads: threads), fuses: fuses, keepsActivations: keepsActivations)
  }

  @Test(arguments: [0, 1], [1, 2])
  func theSameSeedAndThreadsGiveTheSameBits(network: Int, threads: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let first = try run(threads: threads, fuses: true).train(made)
    let second = try run(threads: threads, fuses: true).train(made)
    #expect(first == second)
    #expect(StepRun.isFinite(first))
  }

  /// At the published widths, where convolutions are cut otherwise than in the small networks.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: [0, 1])
  func theSameSeedGivesTheSameBitsAtFullWidth(network: Int) throws {
    let networks = [try Network.inceptionSE(padding: .causal), try .semgNet()]
    let made = TestPlan(networks[network], capacity: 16)
    let first = try run(threads: 2, fuses: true).train(made, live: 16)
    let second = try run(threads: 2, fuses: true).train(made, live: 16)
    let isSame = first.map { $0.map(\.bitPattern) } == second.map { $0.map(\.bitPattern) }
    #expect(isSame)
    #expect(StepRun.isFinite(first))
  }

  /// Activations that share memory while another is still read would show here.
  @Test(arguments: [0, 1], [true, false])
  func sharedMemoryChangesNothing(network: Int, fuses: Bool) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let shared = try run(threads: 2, fuses: fuses).train(made)
    let apart = try run(threads: 2, fuses: fuses, keepsActivations: true).train(made)
    #expect(shared == apart)
  }

  @Test(arguments: [0, 1])
  func fusedStepsAgreeWithSingleOperations(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let fused = try run(threads: 2, fuses: true).train(made)
    let single = try run(threads: 1, fuses: false).train(made)
    // Biases before a batch norm have gradients of rounding noise, which Adam scales up.
    #expect(StepRun.distance(fused, single) < 1e-3)
  }

  @Test(arguments: [0, 1])
  func whatLiesBeyondTheLiveSamplesChangesNothing(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let spoilt = try run(keepsActivations: true).train(made, live: 2, spoil: .nan)
    let clean = try run(keepsActivations: true).train(made, live: 2)
    #expect(StepRun.isFinite(clean))
    #expect(spoilt == clean)
  }

  @Test(arguments: [0, 1])
  func whatLiesBeyondTheLiveSamplesChangesNoPrediction(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let runs = try [nil, Float.nan].map {
      try run(keepsActivations: true).predict(made, live: 2, spoil: $0)
    }
    let isFinite = runs[0].allSatisfy { $0.isFinite && $0 > 0 }
    #expect(isFinite)
    #expect(runs[0] == runs[1])
  }

  /// Reordered copies of the kernels must follow what is written and updated.
  @Test func predictionsFollowTheWeights() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let loaded = try made.load(
      CPUDevice(threads: 2), programs: StepRun.programs, fuses: true, keepsActivations: false)
    let batch = made.plan.prediction.batch
    func predict() throws -> [Float] {
      let count = made.plan.plan[batch].elementCount
      try loaded.write(SeededValues.uniform(name: "batch", count: count), to: batch)
      try loaded.run(.predict, step: 0, live: 4)
      return try loaded.read(made.plan.prediction.probabilities)
    }
    let first = try predict()
    let weights = try made.plan.weights.map { try loaded.read($0) }
    try loaded.run(.forwardBackward, step: 0, live: 4)
    try loaded.run(.update, step: 0, live: 4)
    let trained = try predict()
    for (id, values) in zip(made.plan.weights, weights) { try loaded.write(values, to: id) }
    let restored = try predict()
    let kernel = made.plan.weights[0]
    try loaded.write(try loaded.read(kernel).map { -$0 }, to: kernel)
    let negated = try predict()
    #expect(trained != first)
    #expect(restored == first)
    #expect(negated != first)
  }

  @Test func aProfileCountsEveryLaunch() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let any = try made.load(CPUDevice(threads: 1), programs: StepRun.programs, fuses: true)
    let loaded = try #require(any as? CPULoadedPlan)
    let profile = LaunchProfile()
    loaded.profile = profile
    for step in 0..<2 { try loaded.run(.forwardBackward, step: step, live: 4) }
    loaded.profile = nil
    try loaded.run(.forwardBackward, step: 0, live: 4)
    #expect(profile.entries.map(\.name) == loaded.launches(of: .forwardBackward).map(\.name))
    #expect(profile.entries.allSatisfy { $0.calls == 2 && $0.seconds > 0 })
    // The first convolution: 2 runs of 4 samples, 40 steps, 9 taps, 4 channels to 8.
    let first = profile.entries.first { $0.name == "conv1d_forward" }
    let expected: Double = 2 * 4 * 2 * 40 * 9 * 4 * 8
    #expect(first?.productOperations == expected)
  }

  @Test func aTableThatTheDatasetCannotServeIsRefused() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let loaded = try made.load(CPUDevice(threads: 1), programs: StepRun.programs, fuses: true)
    let dataset = try loaded.upload(
      Dataset(
        samples: Array(repeating: 0, count: 44 * 4), channels: 4, windowStarts: [0, 4, 5],
        labels: [0, 2, 1]))
    for (window, fits) in [(0, true), (1, true), (2, false), (3, false), (-1, false)] {
      let table = EpochTable(dataset: dataset, samples: [SampleEntry(window: Int32(window))])
      if fits {
        try loaded.upload(table, for: .validate)
      } else {
        #expect(throws: DeviceError.self) { try loaded.upload(table, for: .validate) }
      }
    }
    #expect(throws: DeviceError.self) { try loaded.run(.validate, step: 1, live: 1) }
  }
}
