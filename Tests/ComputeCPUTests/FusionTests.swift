import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks
import Testing

/// Whole networks, launch by launch: what is fused against the operations that it covers.
@Suite struct FusionTests {
  enum Subject: String, CaseIterable, Sendable {
    case inceptionCausal, inceptionSame, semgNet

    func network() throws -> Network {
      switch self {
      case .inceptionCausal:
        try .inceptionSE(
          time: 29, channels: 5, classes: 4, padding: .causal, width: 5, heads: 2, keySize: 6,
          denseUnits: 7)
      case .inceptionSame:
        try .inceptionSE(
          time: 33, channels: 8, classes: 5, padding: .same, width: 8, heads: 2, keySize: 16,
          denseUnits: 16)
      case .semgNet: try .semgNet(time: 45, channels: 3, classes: 4, width: 5)
      }
    }
  }

  @Test(arguments: Subject.allCases, [1, 2])
  func everyLaunchAgreesWithTheOperationsItCovers(subject: Subject, threads: Int) throws {
    let made = try TestPlan(subject.network(), capacity: 4)
    for program in [ProgramID.forwardBackward, .update, .validate] {
      let report = try compare(
        reference: made.load(ReferenceDevice(), programs: [program], fuses: false),
        candidate: made.load(CPUDevice(threads: threads), programs: [program], fuses: true),
        program: program, step: 1, live: 3)
      let covered = report.flatMap(\.launch.operations).sorted()
      #expect(covered == Array(made.plan.plan.programs[program]?.operations.indices ?? 0..<0))
      for launch in report { #expect(launch.passes, "\(launch)") }
    }
  }
}
