import Compute
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Networks
import TestSupport
import Testing

/// Whole steps of both networks in half precision: fused launches beside their parts, the scaled
/// loss, and what is done where it overflows.
@Suite(.needsOpenCL) struct HalfPrecisionTests {
  private func load(
    _ made: TestPlan, on device: any Device, programs: [ProgramID] = [.forwardBackward, .update],
    fuses: Bool = true, steps: Int = 2
  ) throws -> any LoadedPlan {
    try made.load(device, programs: programs, fuses: fuses, steps: steps)
  }

  /// Trainable weights, without the moving statistics.
  private func weights(_ made: TestPlan, _ loaded: any LoadedPlan) throws -> [[Float]] {
    try made.plan.weights.filter { made.plan.plan[$0].role == .parameter }.map {
      try loaded.read($0)
    }
  }

  @Test(arguments: [0, 1], [true, false])
  func everyLaunchOfAStepAgreesWithTheReference(network: Int, fuses: Bool) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 4)
    for program in [ProgramID.forwardBackward, .update, .validate] {
      for path in TestDevice.halfPaths {
        let report = try compare(
          reference: load(made, on: ReferenceDevice(), programs: [program], fuses: false),
          candidate: load(made, on: TestDevice.openHalf(path), programs: [program], fuses: fuses),
          program: program, step: 1, live: 3)
        for launch in report { #expect(launch.passes, "\(path) \(launch)") }
      }
    }
  }

  @Test(arguments: [0, 1])
  func theSameSeedGivesTheSameBits(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let runs = try (0..<2).map { _ in try StepRun(on: TestDevice.openHalf()).train(made) }
    #expect(runs[0] == runs[1])
    #expect(StepRun.isFinite(runs[0]))
  }

  @Test(arguments: [0, 1])
  func tenStepsFollowThoseInSinglePrecision(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 8)
    let losses = try [TestDevice.open(), TestDevice.openHalf()].map { device in
      let loaded = try load(made, on: device, steps: 10)
      for step in 0..<10 {
        try loaded.run(.forwardBackward, step: step, live: 8)
        try loaded.run(.update, step: step, live: 8)
      }
      return try loaded.results(of: .forwardBackward, steps: 0..<10)
    }
    for (step, (single, half)) in zip(losses[0], losses[1]).enumerated() {
      #expect(abs(half.loss / single.loss - 1) < 2e-2, "step \(step)")
    }
  }

  @Test func aScaleThatIsTooLargeIsHalvedUntilStepsAreTaken() throws {
    let made = try TestPlan(StepRun.networks()[0], capacity: 4)
    let first = Float(sign: .plus, exponent: 40, significand: 1)
    let options = OpenCLDevice.Options(specializes: false, precision: .fp16, lossScale: first)
    let loaded = try load(made, on: TestDevice.open(options: options), steps: 40)
    var before = try weights(made, loaded)
    var skipped = 0
    for step in 0..<40 {
      try loaded.run(.forwardBackward, step: step, live: 4)
      try loaded.run(.update, step: step, live: 4)
      let scaling = try #require(try loaded.lossScaling())
      let after = try weights(made, loaded)
      #expect((after == before) == (scaling.skippedSteps > skipped), "step \(step)")
      skipped = scaling.skippedSteps
      #expect(scaling.scale == Float(sign: .plus, exponent: 40 - skipped, significand: 1))
      #expect(StepRun.isFinite(after))
      before = after
    }
    #expect((1..<40).contains(skipped))
    for id in made.plan.weights { #expect(StepRun.isFinite([try loaded.read(id)])) }
    let results = try loaded.results(of: .forwardBackward, steps: 0..<40)
    #expect(results.allSatisfy { $0.loss.isFinite })
  }

  @Test(arguments: [Float.infinity, -.infinity, .nan])
  func aGradientThatIsNoNumberSkipsTheStepAndTheScaleCanBeWritten(value: Float) throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let loaded = try load(made, on: TestDevice.openHalf())
    let before = try weights(made, loaded)
    try loaded.run(.forwardBackward, step: 0, live: 4)
    let last = try #require(made.plan.plan.tensors(role: .gradient).last)
    var gradient = try loaded.read(last)
    gradient[gradient.count - 1] = value
    try loaded.write(gradient, to: last)
    try loaded.run(.update, step: 0, live: 4)
    #expect(try weights(made, loaded) == before)
    #expect(try loaded.lossScaling() == LossScaling(scale: 32_768, skippedSteps: 1))
    try loaded.run(.forwardBackward, step: 1, live: 4)
    try loaded.run(.update, step: 1, live: 4)
    #expect(try weights(made, loaded) != before)
    let scaling = LossScaling(scale: 32_768, goodSteps: 1, skippedSteps: 1)
    #expect(try loaded.lossScaling() == scaling)
    // The last but one of the good steps after which the scale is doubled.
    try loaded.write(LossScaling(scale: 1_024, goodSteps: 1_998, skippedSteps: 3))
    for scale: Float in [1_024, 2_048] {
      try loaded.run(.forwardBackward, step: 1, live: 4)
      try loaded.run(.update, step: 1, live: 4)
      let scaling = LossScaling(
        scale: scale, goodSteps: scale == 1_024 ? 1_999 : 0, skippedSteps: 3)
      #expect(try loaded.lossScaling() == scaling)
    }
  }

  /// Gradients of one step more, the scale's share in them; the last is not a number where the step is
  /// to be left out.
  private func update(
    _ made: TestPlan, _ loaded: any LoadedPlan, _ round: Int, step: Int, overflows: Bool = false
  ) throws {
    let scale = try #require(try loaded.lossScaling()).scale
    let gradients = made.plan.plan.tensors(role: .gradient)
    for id in gradients {
      let values = SeededValues.uniform(
        name: "\(id) \(round)", count: made.plan.plan[id].elementCount)
      let isLast = overflows && id == gradients.last
      try loaded.write(values.map { isLast ? .nan : $0 * scale }, to: id)
    }
    try loaded.run(.update, step: step, live: 4)
  }

  /// Neither weights and moments nor bias correction and learning rate know of it, within a table
  /// and into the next.
  @Test func aStepThatIsLeftOutHasNeverBeen() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let rates: [Float] = [1e-3, 4e-3, 2e-3, 8e-3]
    func table(_ rates: ArraySlice<Float>) -> EpochTable {
      EpochTable(
        dataset: DatasetID(index: 0), samples: [], learningRates: Array(rates),
        firstIteration: rates.startIndex)
    }
    let plain = try load(made, on: TestDevice.openHalf(), programs: [.update])
    try plain.upload(table(rates[...]), for: .update)
    for step in 0..<3 { try update(made, plain, step, step: step) }

    let skipping = try load(made, on: TestDevice.openHalf(), programs: [.update])
    try skipping.upload(table(rates[..<2]), for: .update)
    try update(made, skipping, 0, step: 0)
    try update(made, skipping, 9, step: 1, overflows: true)
    try skipping.upload(table(rates[2...]), for: .update)
    try update(made, skipping, 1, step: 0)
    #expect(try weights(made, skipping) != weights(made, plain))
    try update(made, skipping, 2, step: 1)
    #expect(try skipping.lossScaling()?.skippedSteps == 1)
    #expect(try weights(made, skipping) == weights(made, plain))
    let moments = made.plan.firstMoments + made.plan.secondMoments
    for id in moments { #expect(try skipping.read(id) == plain.read(id)) }
  }

  /// The same with gradients of the network's own, which the smaller scale rounds otherwise where
  /// they are smallest.
  @Test func trainingGoesOnAsIfAnOverflowHadNotBeen() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let plain = try load(made, on: TestDevice.openHalf(), steps: 3)
    let skipping = try load(made, on: TestDevice.openHalf(), steps: 3)
    let last = try #require(made.plan.plan.tensors(role: .gradient).last)
    for loaded in [plain, skipping] {
      try loaded.run(.forwardBackward, step: 0, live: 4)
      try loaded.run(.update, step: 0, live: 4)
    }
    let before = try weights(made, plain)
    try skipping.run(.forwardBackward, step: 1, live: 4)
    try skipping.write(
      [Float](repeating: .infinity, count: made.plan.plan[last].elementCount), to: last)
    try skipping.run(.update, step: 1, live: 4)
    for (loaded, step) in [(plain, 1), (skipping, 2)] {
      // The batch and the masks of one step, the rate of the iteration that it is.
      try loaded.run(.forwardBackward, step: 2, live: 4)
      try loaded.run(.update, step: step, live: 4)
    }
    let (after, resumed) = (try weights(made, plain), try weights(made, skipping))
    let moved = StepRun.distance(after, before)
    #expect(moved > 0)
    #expect(StepRun.distance(resumed, after) < 1e-2 * moved)
  }
}
