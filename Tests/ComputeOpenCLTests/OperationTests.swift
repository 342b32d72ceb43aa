import Compute
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Testing

@Suite(.needsOpenCL) struct OperationTests {
  /// Cases whose operations have kernels.
  static let cases = OperationCase.awkward.filter { subject in
    families.contains { subject.name.hasPrefix($0) }
  }
  static let families = [
    "relu", "sigmoid", "add", "concatenate", "dropout", "gaussian", "max", "softmax",
    "cross-entropy", "adam", "gather",
    "batch norm", "layer norm", "scale channels", "mean over time", "conv1d", "dense",
    "attention",
  ]

  @Test(arguments: cases)
  func eachOperationAgreesWithTheReference(on subject: OperationCase) throws {
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()),
      candidate: subject.load(on: TestDevice.open()), program: subject.program,
      step: subject.step, live: subject.live)
    #expect(report.count == subject.plan.programs[subject.program]?.operations.count)
    for launch in report { #expect(launch.passes, "\(launch)") }
  }
}
