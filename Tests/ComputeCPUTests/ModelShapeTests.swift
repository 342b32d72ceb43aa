import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import TestSupport
import Testing

/// Each operation at the shapes of the published networks, where the plain loops need optimization.
@Suite(.enabled(if: runsSlowTests)) struct ModelShapeTests {
  @Test(arguments: OperationCase.models(batch: 2), [false, true])
  func theCPUAgreesWithTheReference(on subject: OperationCase, fuses: Bool) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: CPUDevice(threads: 2), fuses: fuses),
      program: subject.program, step: subject.step, live: subject.live)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }
}
