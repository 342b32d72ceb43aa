import Compute
import ComputeCases
import TestSupport
import Testing

@testable import ComputeOpenCL

/// Halves of weights, for the kernels on tensor cores, follow the weights, whoever writes them.
@Suite(.needsOpenCL, .enabled(if: runsSlowTests, "long without optimization"))
struct WeightCopyTests {
  private let made: TestPlan
  private let loaded: OpenCLLoadedPlan

  init() throws {
    made = try TestPlan(StepRun.networks()[1], capacity: 3)
    let plan = try made.load(
      TensorCoreTests.emulating.get(), programs: [.update, .forwardBackward], fuses: true)
    loaded = try #require(plan as? OpenCLLoadedPlan)
  }

  private func expectCopies(_ when: String) throws {
    let copies = loaded.scratch.weightCopies
    let buffer = try #require(copies.slot.buffer)
    // All but the first convolution's, which reads four channels.
    #expect(copies.copies.count == 3)
    for (id, copy) in copies.copies {
      var halves = [Float16](repeating: .nan, count: copy.count)
      try loaded.memory.read(buffer, offset: 2 * copy.target, into: &halves, count: copy.count)
      let expected = try loaded.read(id).map { Float16($0) }
      #expect(halves == expected, "\(made.plan.plan[id].name) \(when)")
    }
  }

  /// Without the moving statistics.
  private func weights() throws -> [[Float]] {
    try made.plan.plan.tensors(role: .parameter).map { try loaded.read($0) }
  }

  private func step(_ step: Int) throws {
    try loaded.run(.forwardBackward, step: step, live: 2)
    try loaded.run(.update, step: step, live: 2)
  }

  @Test func adamWritesThem() throws {
    try loaded.run(.forwardBackward, step: 0, live: 2)
    try expectCopies("that were written at first")
    // From here on nobody copies.
    let buffer = try #require(loaded.scratch.weightCopies.slot.buffer)
    try loaded.memory.fill(buffer, with: 0xFF)
    let before = try weights()
    try loaded.run(.update, step: 0, live: 2)
    #expect(try weights() != before)
    try expectCopies("after a step")
    try step(1)
    try expectCopies("after two steps")
  }

  @Test func aStepThatIsLeftOutLeavesThem() throws {
    try step(0)
    let before = try weights()
    try loaded.run(.forwardBackward, step: 1, live: 2)
    let last = try #require(made.plan.plan.tensors(role: .gradient).last)
    var gradient = try loaded.read(last)
    gradient[0] = .infinity
    try loaded.write(gradient, to: last)
    try loaded.run(.update, step: 1, live: 2)
    #expect(try weights() == before)
    #expect(try loaded.lossScaling()?.skippedSteps == 1)
    try expectCopies("after an overflow")
  }

  @Test func theyFollowWeightsFromTheHost() throws {
    try step(0)
    for id in made.plan.plan.tensors(role: .parameter) {
      try loaded.write(try loaded.read(id).map { 0.5 * $0 }, to: id)
    }
    try loaded.run(.forwardBackward, step: 1, live: 2)
    try expectCopies("from the host")
    try loaded.run(.update, step: 1, live: 2)
    try expectCopies("after a step from there")
  }
}
