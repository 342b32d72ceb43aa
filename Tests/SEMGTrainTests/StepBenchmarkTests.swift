import Compute
import ComputeCPU
import Networks
import Testing

@testable import SEMGTrain

struct StepBenchmarkTests {
  /// However many steps are timed, each predicts windows, none what an earlier one left in their
  /// place.
  @Test func everyStepOfPredictionHasABatchOfItsOwn() throws {
    let network = try Network.semgNet(time: 40, channels: 4, classes: 3, width: 4)
    let benchmark = try StepBenchmark(
      network: network, device: CPUDevice(threads: 1), batchSize: 16, work: .inference)
    // Four batches in turn: both end with the last one.
    let first = try predictions(of: benchmark, steps: 4)
    #expect(first.allSatisfy { $0 > 0 && $0 < 1 })
    #expect(Set(first).count > 3)
    #expect(try predictions(of: benchmark, steps: 80) == first)
    #expect(try predictions(of: benchmark, steps: 79) != first)
  }

  private func predictions(of benchmark: StepBenchmark, steps: Int) throws -> [Float] {
    _ = try benchmark.run(steps: steps, profiles: false)
    return Array(try benchmark.predictions(ofStep: steps - 1))
  }
}
