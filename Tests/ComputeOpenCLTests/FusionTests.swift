import Compute
import ComputeCPU
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Networks
import TestSupport
import Testing

/// Networks, launch by launch: what is fused against the operations that it covers.
@Suite(.needsOpenCL) struct FusionTests {
  enum Subject: String, CaseIterable, Sendable {
    case semgNet, pooledByThree, oneChannel

    func network() throws -> Network {
      switch self {
      case .semgNet: try .semgNet(time: 45, channels: 3, classes: 4, width: 5)
      case .pooledByThree: try Self.block(filters: 6, pool: 3, time: 29)
      case .oneChannel: try Self.block(filters: 1, pool: 2, time: 13)
      }
    }

    /// sEMG-Net's block at other sizes.
    private static func block(filters: Int, pool: Int, time: Int) throws -> Network {
      var net = NetworkBuilder()
      var x = net.append(.input(time: time, channels: 3))
      x = net.append(
        .conv1D(filters: filters, kernelSize: 5, dilation: 1, padding: .same, l2: 1e-4), x)
      x = net.append(.batchNormalization(momentum: 0.99, epsilon: 1e-3), x)
      x = net.append(.relu, x)
      x = net.append(.dropout(rate: 0.25), x)
      x = net.append(.maxPooling1D(size: pool), x)
      x = net.append(.globalAveragePooling1D, x)
      _ = net.append(.dense(units: 4, activation: .softmax, l2: 0), x)
      return try net.build(name: "block")
    }
  }

  /// Launches of several operations, or that a pattern renames: the others have cases of their own.
  @Test(arguments: Subject.allCases)
  func everyFusedLaunchAgreesWithTheOperationsItCovers(subject: Subject) throws {
    let made = try TestPlan(subject.network(), capacity: 4)
    for program in [ProgramID.forwardBackward, .validate] {
      let report = try compare(
        reference: made.load(ReferenceDevice(), programs: [program], fuses: false),
        candidate: made.load(TestDevice.open(), programs: [program], fuses: true),
        program: program, step: 1, live: 3)
      let covered = report.flatMap(\.launch.operations).sorted()
      #expect(covered == Array(made.plan.plan.programs[program]?.operations.indices ?? 0..<0))
      for launch in report { #expect(launch.passes, "\(launch)") }
    }
  }
}
