import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Testing

@Suite struct OperationTests {
  @Test(arguments: OperationCase.awkward, [1, 2, 7])
  func eachOperationAgreesWithTheReference(on subject: OperationCase, threads: Int) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: CPUDevice(threads: threads)), program: subject.program,
      step: subject.step, live: subject.live)
    #expect(report.count == subject.plan.programs[subject.program]?.operations.count)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }
}
