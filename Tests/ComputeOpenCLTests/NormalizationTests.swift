import Compute
import ComputeCPU
import ComputeCases
import ComputeOpenCL
import TestSupport
import Testing

/// Batch and layer normalization, means over time and scales by them, at the networks' shapes and
/// where rounding is worst.
@Suite(.needsOpenCL) struct NormalizationTests {
  private static let families: Set<OperationCase.Family> = [
    .batchNorm, .batchNormInference, .layerNorm, .scaleChannels, .meanOverTime,
  ]

  /// At these shapes a tensor has many chunks of rows. Builds for one shape are made of one only,
  /// since compiling takes long.
  static let models = OperationCase.models(batch: 3).flatMap {
    subject -> [(OperationCase, Bool)] in
    guard families.contains(subject.family) else { return [] }
    return subject.axes[.channels] == 64
      ? [(subject, false), (subject, true)] : [(subject, false)]
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: models)
  func theNetworksShapesAgreeWithTheCPU(on subject: OperationCase, specializes: Bool) throws {
    let report = try compare(
      reference: subject.load(on: CPUDevice(threads: 1)),
      candidate: subject.load(on: TestDevice.open(specializes: specializes)),
      program: subject.program, step: subject.step, live: subject.live)
    #expect(report.count == subject.plan.programs[subject.program]?.operations.count)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  /// One pass over x and x² would lose all digits of these variances, and means of chunks that are
  /// rounded like the values would lose some.
  @Test(arguments: [1, 3]) func aMeanFarFromZeroCostsNoDigits(live: Int) throws {
    let (time, channels) = (67, 33)
    let subject = OperationCase.batchNorm(
      time: time, channels: channels, capacity: 3, live: live)
    let loaded = try subject.load(on: TestDevice.open())
    let noise = SeededValues.uniform(name: "noise", count: 3 * time * channels)
    // Means up to 28,000 deviations: a rounding of such a value is a five-hundredth of one.
    let x = noise.indices.map { Float(100 * ($0 % channels)) + 0.2 * noise[$0] }
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
      #expect(abs(Double(variances[c]) - variance) <= 1e-5 * variance, "channel \(c)")
    }
  }

  @Test(arguments: [2, 5]) func aRunGivesTheSameBitsAgain(live: Int) throws {
    let subjects = [
      OperationCase.batchNorm(time: 61, channels: 33, capacity: 5, live: live),
      .layerNorm(time: 61, channels: 33, capacity: 5, live: live),
      .scaleChannels(time: 61, channels: 33, capacity: 5, live: live),
    ]
    for subject in subjects {
      let runs = try (0..<2).map { _ in
        let loaded = try subject.load(on: TestDevice.open())
        try loaded.run(subject.program, step: 0, live: live)
        return try subject.plan.tensors.indices.map {
          try loaded.read(TensorID(index: $0)).map(\.bitPattern)
        }
      }
      let isSame = runs[0] == runs[1]
      #expect(isSame, "\(subject)")
    }
  }
}
