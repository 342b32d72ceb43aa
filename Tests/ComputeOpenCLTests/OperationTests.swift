import Compute
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Testing

@Suite(.needsOpenCL) struct OperationTests {
  /// Those that are there to be fused alone are checked where they are.
  static let cases = OperationCase.awkward.filter {
    ![.kernelGradients, .head].contains($0.family)
  }

  @Test(arguments: cases)
  func eachOperationAgreesWithTheReference(on subject: OperationCase) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: TestDevice.open()), program: subject.program,
      step: subject.step, live: subject.live)
    #expect(report.count == subject.plan.programs[subject.program]?.operations.count)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  /// Alone and fused, with bounds as wide as halves are coarse wherever there are halves.
  @Test(arguments: cases, [false, true])
  func eachOperationAgreesInHalfPrecision(on subject: OperationCase, fuses: Bool) throws {
    for path in TestDevice.halfPaths {
      let candidate = try subject.load(on: TestDevice.openHalf(path), fuses: fuses)
      let isFused = candidate.launches(of: subject.program).contains { $0.operations.count > 1 }
      guard isFused || !fuses else { return }
      let report = try compare(
        reference: subject.load(on: ReferenceDevice()), candidate: candidate,
        program: subject.program, step: subject.step, live: subject.live)
      for launch in report { #expect(launch.passes, "\(path) \(launch)") }
    }
  }

  @Test func activationsWithATimeAxisAreHalvesAndConvertedForTheHost() throws {
    let subject = try #require(OperationCase.awkward.last { $0.family == .meanOverTime })
    let loaded = try subject.load(on: TestDevice.openHalf())
    let tensors = subject.plan.tensors(role: .activation)
    let sequence = try #require(tensors.first { subject.plan[$0].shape.count == 3 })
    let mean = try #require(tensors.first { subject.plan[$0].shape.count == 2 })
    #expect(loaded.storage(of: sequence) == .float16)
    #expect(loaded.storage(of: mean) == .float32)
    let values: [Float] = [1.0005, -65504, 6e-8, 1e6, .nan]
    try loaded.write(values, to: sequence)
    let found = try loaded.read(sequence)
    for (value, rounded) in zip(values, found) {
      #expect(rounded == Float(Float16(value)) || value.isNaN && rounded.isNaN)
    }
    try loaded.write([1.0005], to: mean)
    #expect(try loaded.read(mean)[0] == 1.0005)
  }
}
