import Compute
import ComputeCPU
import Networks
import TestSupport
import Testing

/// Numbers too small for full precision: processors take a hundred times as long for each.
@Suite struct TinyNumberTests {
  /// What a channel that has gone silent rings down to.
  private static let tiny = Float.leastNormalMagnitude / 4

  @inline(never) private func half(_ value: Float) -> Float { value / 2 }

  /// By oneDNN and by our loops, on every thread; and whoever asked for the run computes on as
  /// before.
  @Test(arguments: [0, 1], [1, 2])
  func noRunLeavesAny(network: Int, threads: Int) throws {
    let network = try StepRun.networks()[network]
    let made = NetworkPlan(
      network, options: NetworkPlanOptions(batchCapacity: 4, inferenceCapacity: 4))
    let loaded = try CPUDevice(threads: threads).load(
      made.plan,
      options: LoadOptions(programs: [.predict], fuses: false, keepsActivations: true))
    let weights = NetworkWeights(initializing: network, seed: 3)
    for (id, values) in zip(made.weights, weights.values) { try loaded.write(values, to: id) }
    let batch = made.prediction.batch
    let count = made.plan[batch].elementCount
    try loaded.write([Float](repeating: Self.tiny, count: count), to: batch)
    try loaded.run(.predict, step: 0, live: 4)

    var read = 0
    for launch in loaded.launches(of: .predict) {
      for index in launch.operations {
        for id in try #require(made.plan.programs[.predict]).operations[index].writes {
          guard made.plan[id].elementType == .float32 else { continue }
          #expect(!(try loaded.read(id)).contains(where: \.isSubnormal), "\(launch.name)")
          read += 1
        }
      }
    }
    #expect(read > 10)
    #expect(half(Float.leastNormalMagnitude) > 0)
  }

  /// The fastest of a few runs, so that a busy machine decides nothing. Without flushing, a batch of
  /// silence takes twenty times as long.
  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func silenceIsAsFastAsASignal() throws {
    let network = try Network.semgNet(time: 204, channels: 8, classes: 5)
    let made = NetworkPlan(
      network, options: NetworkPlanOptions(batchCapacity: 1, inferenceCapacity: 8))
    let loaded = try CPUDevice(threads: 2).load(
      made.plan,
      options: LoadOptions(programs: [.validate], liveBatches: [.validate: [8]]))
    let weights = NetworkWeights(initializing: network, seed: 3)
    for (id, values) in zip(made.weights, weights.values) { try loaded.write(values, to: id) }
    let clock = ContinuousClock()
    var seconds: [Double] = []
    for scale in [Float(1), Self.tiny] {
      let dataset = try loaded.upload(
        Dataset(
          samples: (0..<204 * 8).map { scale * Float($0 % 7 - 3) }, channels: 8,
          windowStarts: [0], labels: [0]))
      try loaded.upload(
        EpochTable(dataset: dataset, samples: Array(repeating: SampleEntry(window: 0), count: 8)),
        for: .validate)
      let times = try (0..<10).map { _ in
        try clock.measure { try loaded.run(.validate, step: 0, live: 8) } / .seconds(1)
      }
      seconds.append(times.min() ?? 0)
    }
    #expect(seconds[1] < 3 * seconds[0], "\(seconds)")
  }
}
