import Compute
import ComputeCPU
import ComputeCases
import Testing

/// Means and variances where one pass over a batch would lose their digits; by the bounds that the
/// OpenCL kernels keep.
@Suite struct BatchStatisticsTests {
  private static let time = 512
  private static let channels = 5

  /// - Parameter value: of the input, from noise in [−1, 1), row and channel.
  private func check(
    threads: Int, live: Int, value: (_ noise: Float, _ row: Int, _ channel: Int) -> Float
  ) throws {
    let (time, channels) = (Self.time, Self.channels)
    let subject = OperationCase.batchNorm(
      time: time, channels: channels, capacity: 32, live: live)
    let loaded = try subject.load(on: CPUDevice(threads: threads))
    let noise = SeededValues.uniform(name: "noise", count: 32 * time * channels)
    let x = noise.indices.map { value(noise[$0], $0 / channels, $0 % channels) }
    func tensor(_ name: String) throws -> TensorID {
      try #require(subject.plan.tensors.firstIndex { $0.name == name }.map { TensorID(index: $0) })
    }
    try loaded.write(x, to: tensor("input"))
    try loaded.run(subject.program, step: 0, live: live)
    let means = try loaded.read(tensor("mean"))
    let variances = try loaded.read(tensor("variance"))
    for c in 0..<channels {
      let values = stride(from: c, to: live * time * channels, by: channels).map { Double(x[$0]) }
      let mean = values.reduce(0, +) / Double(values.count)
      let variance =
        values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
      #expect(abs(Double(means[c]) - mean) <= 1.2e-7 * abs(mean) + 1e-7 * variance.squareRoot())
      #expect(
        abs(Double(variances[c]) - variance) <= 1e-5 * variance,
        "channel \(c): \(variances[c]), not \(variance)")
    }
  }

  @Test(arguments: [1, 3], [1, 2])
  func aMeanFarFromZeroCostsNoDigits(live: Int, threads: Int) throws {
    try check(threads: threads, live: live) { noise, _, channel in
      10_000 + Float(100 * channel) + noise
    }
  }

  /// The statistics are taken about the first row.
  @Test(arguments: [1, 32], [1, 2])
  func aFirstRowFarFromTheOthersCostsNoDigits(live: Int, threads: Int) throws {
    try check(threads: threads, live: live) { noise, row, channel in
      row == 0 ? -1_000 * Float(channel * channel) : 10_000 + noise
    }
  }
}
