import Compute
import ComputeCPU
import ComputeCases
import Networks
import TestSupport
import Testing

/// Whole steps: what must not depend on how they are cut into launches, on memory that is shared,
/// on what lies beyond the live samples, or on chance.
@Suite struct StepTests {
  private static let programs: [ProgramID] = [.forwardBackward, .update, .validate, .predict]

  static func networks() throws -> [Network] {
    [
      try .inceptionSE(
        time: 40, channels: 4, classes: 3, padding: .causal, width: 8, heads: 2, keySize: 8,
        denseUnits: 16),
      try .semgNet(time: 40, channels: 4, classes: 3, width: 8),
    ]
  }

  /// Trains two steps, the second with `live` samples, and returns all that the run leaves.
  private func train(
    _ made: TestPlan, threads: Int, fuses: Bool, keepsActivations: Bool = false, live: Int = 3,
    spoil: Float? = nil
  ) throws -> [[Float]] {
    let loaded = try made.load(
      CPUDevice(threads: threads), programs: Self.programs, fuses: fuses,
      keepsActivations: keepsActivations)
    for (step, live) in [(0, made.capacity), (1, live)] {
      if step > 0, let spoil { try fill(loaded, with: spoil) }
      try loaded.run(.forwardBackward, step: step, live: live)
      try loaded.run(.update, step: step, live: live)
    }
    if let spoil { try fill(loaded, with: spoil) }
    try loaded.run(.validate, step: 0, live: live)
    var result: [[Float]] = []
    for id in made.plan.weights + made.plan.firstMoments + made.plan.secondMoments {
      result.append(try loaded.read(id))
    }
    for program in [ProgramID.forwardBackward, .validate] {
      let steps = program == .validate ? 0..<1 : 0..<2
      result.append(
        try loaded.results(of: program, steps: steps).flatMap {
          [$0.loss, $0.penalty, Float($0.hits)]
        })
    }
    return result
  }

  /// Overwrites all that has been computed of samples, where fused launches keep it at all.
  private func fill(_ loaded: any LoadedPlan, with value: Float) throws {
    let launches = Self.programs.flatMap { loaded.launches(of: $0) }
    let elided = Set(launches.flatMap(\.elided))
    var count = 0
    for id in loaded.plan.tensors(role: .activation) where !elided.contains(id) {
      let spec = loaded.plan[id]
      guard spec.hasBatchAxis, spec.elementType == .float32 else { continue }
      try loaded.write(Array(repeating: value, count: spec.elementCount), to: id)
      count += 1
    }
    #expect(count > 60)
  }

  private func distance(_ a: [[Float]], _ b: [[Float]]) -> Double {
    let pairs = zip(a.joined(), b.joined())
    let error = pairs.reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    let norm = b.joined().reduce(0.0) { $0 + Double($1) * Double($1) }
    return (error / norm).squareRoot()
  }

  @Test(arguments: [0, 1], [1, 2])
  func theSameSeedAndThreadsGiveTheSameBits(network: Int, threads: Int) throws {
    let made = try TestPlan(Self.networks()[network], capacity: 5)
    let first = try train(made, threads: threads, fuses: true)
    let second = try train(made, threads: threads, fuses: true)
    #expect(first == second)
    let isFinite = first.joined().allSatisfy { $0.isFinite }
    #expect(isFinite)
  }

  /// At the published widths, where convolutions are cut otherwise than in the small networks.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: [0, 1])
  func theSameSeedGivesTheSameBitsAtFullWidth(network: Int) throws {
    let networks = [try Network.inceptionSE(padding: .causal), try .semgNet()]
    let made = TestPlan(networks[network], capacity: 16)
    let first = try train(made, threads: 2, fuses: true, live: 16)
    let second = try train(made, threads: 2, fuses: true, live: 16)
    let isSame = first.map { $0.map(\.bitPattern) } == second.map { $0.map(\.bitPattern) }
    #expect(isSame)
    let isFinite = first.joined().allSatisfy { $0.isFinite }
    #expect(isFinite)
  }

  /// Activations that share memory while another is still read would show here.
  @Test(arguments: [0, 1], [true, false])
  func sharedMemoryChangesNothing(network: Int, fuses: Bool) throws {
    let made = try TestPlan(Self.networks()[network], capacity: 5)
    let shared = try train(made, threads: 2, fuses: fuses)
    let apart = try train(made, threads: 2, fuses: fuses, keepsActivations: true)
    #expect(shared == apart)
  }

  @Test(arguments: [0, 1])
  func fusedStepsAgreeWithSingleOperations(network: Int) throws {
    let made = try TestPlan(Self.networks()[network], capacity: 5)
    let fused = try train(made, threads: 2, fuses: true)
    let single = try train(made, threads: 1, fuses: false)
    // Biases before a batch norm have gradients of rounding noise, which Adam scales up.
    #expect(distance(fused, single) < 1e-3)
  }

  @Test(arguments: [0, 1])
  func whatLiesBeyondTheLiveSamplesChangesNothing(network: Int) throws {
    let made = try TestPlan(Self.networks()[network], capacity: 5)
    let spoilt = try train(
      made, threads: 2, fuses: true, keepsActivations: true, live: 2, spoil: .nan)
    let clean = try train(made, threads: 2, fuses: true, keepsActivations: true, live: 2)
    let isFinite = clean.joined().allSatisfy { $0.isFinite }
    #expect(isFinite)
    #expect(spoilt == clean)
  }

  @Test(arguments: [0, 1])
  func whatLiesBeyondTheLiveSamplesChangesNoPrediction(network: Int) throws {
    let made = try TestPlan(Self.networks()[network], capacity: 5)
    let live = 2
    let port = made.plan.prediction
    let samples = SeededValues.uniform(
      name: "batch", count: made.plan.plan[port.batch].elementCount(live: live))
    let runs = try [nil, Float.nan].map { spoil in
      let loaded = try made.load(
        CPUDevice(threads: 2), programs: Self.programs, fuses: true, keepsActivations: true)
      try fill(loaded, with: 0.5)
      try loaded.run(.predict, step: 0, live: made.capacity)
      if let spoil { try fill(loaded, with: spoil) }
      try loaded.write(samples, to: port.batch)
      try loaded.run(.predict, step: 0, live: live)
      let count = made.plan.plan[port.probabilities].elementCount(live: live)
      return Array(try loaded.read(port.probabilities).prefix(count))
    }
    let isFinite = runs[0].allSatisfy { $0.isFinite && $0 > 0 }
    #expect(isFinite)
    #expect(runs[0] == runs[1])
  }

  /// Reordered copies of the kernels must follow what is written, restored and updated.
  @Test func predictionsFollowTheWeights() throws {
    let made = try TestPlan(Self.networks()[1], capacity: 4)
    let loaded = try made.load(
      CPUDevice(threads: 2), programs: Self.programs, fuses: true, keepsActivations: false)
    let batch = made.plan.prediction.batch
    func predict() throws -> [Float] {
      let count = made.plan.plan[batch].elementCount
      try loaded.write(SeededValues.uniform(name: "batch", count: count), to: batch)
      try loaded.run(.predict, step: 0, live: 4)
      return try loaded.read(made.plan.prediction.probabilities)
    }
    let first = try predict()
    let snapshot = try loaded.snapshot()
    try loaded.run(.forwardBackward, step: 0, live: 4)
    try loaded.run(.update, step: 0, live: 4)
    let trained = try predict()
    try loaded.restore(snapshot)
    let restored = try predict()
    loaded.discard(snapshot)
    let kernel = made.plan.weights[0]
    try loaded.write(try loaded.read(kernel).map { -$0 }, to: kernel)
    let negated = try predict()
    #expect(trained != first)
    #expect(restored == first)
    #expect(negated != first)
  }

  @Test func aProfileCountsEveryLaunch() throws {
    let made = try TestPlan(Self.networks()[1], capacity: 4)
    let any = try made.load(CPUDevice(threads: 1), programs: Self.programs, fuses: true)
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
    let made = try TestPlan(Self.networks()[1], capacity: 4)
    let loaded = try made.load(CPUDevice(threads: 1), programs: Self.programs, fuses: true)
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
