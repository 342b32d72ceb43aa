import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks
import TestSupport
import Testing

/// Whole networks, launch by launch: what is fused against the operations that it covers.
@Suite struct FusionTests {
  enum Subject: String, CaseIterable, Sendable {
    case inceptionCausal, inceptionSame, semgNet, pooledByThree, inceptionLong

    /// The reference takes long over many time steps without optimization.
    static let running = allCases.filter { runsSlowTests || $0 != .inceptionLong }

    /// Samples of a step, and how many it may have.
    var batch: (live: Int, capacity: Int) { self == .inceptionLong ? (1, 2) : (3, 4) }

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
      case .pooledByThree: try Self.pooledNetwork(size: 3, time: 29)
      case .inceptionLong:
        try .inceptionSE(
          time: 401, channels: 3, classes: 20, padding: .causal, width: 4, heads: 2, keySize: 8,
          denseUnits: 8)
      }
    }

    /// sEMG-Net's block with pools of another size.
    private static func pooledNetwork(size: Int, time: Int) throws -> Network {
      var net = NetworkBuilder()
      var x = net.append(Layers.Input(time: time, channels: 3))
      x = net.append(
        Layers.Conv1D(filters: 6, kernelSize: 5, dilation: 1, padding: .same, l2: 1e-4), x)
      x = net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), x)
      x = net.append(Layers.ReLU(), x)
      x = net.append(Layers.Dropout(rate: 0.25), x)
      x = net.append(Layers.MaxPooling1D(size: size), x)
      x = net.append(Layers.GlobalAveragePooling1D(), x)
      _ = net.append(Layers.Dense(units: 4, activation: .softmax, l2: 0), x)
      return try net.build(name: "pooled")
    }
  }

  @Test(arguments: Subject.running, [1, 2, 7])
  func everyLaunchAgreesWithTheOperationsItCovers(subject: Subject, threads: Int) throws {
    let made = try TestPlan(subject.network(), capacity: subject.batch.capacity)
    for program in [ProgramID.forwardBackward, .update, .validate] {
      let report = try compare(
        reference: made.load(ReferenceDevice(), programs: [program], fuses: false),
        candidate: made.load(CPUDevice(threads: threads), programs: [program], fuses: true),
        program: program, step: 1, live: subject.batch.live)
      let covered = report.flatMap(\.launch.operations).sorted()
      #expect(covered == Array(made.plan.plan.programs[program]?.operations.indices ?? 0..<0))
      for launch in report { #expect(launch.passes, "\(launch)") }
    }
  }

  /// The published networks, so that a change of their plans that hides a pattern is seen.
  @Test func theNetworksAreLoweredToFewLaunches() throws {
    let expected: [(Network, [String: Int], Int)] = [
      (
        try .semgNet(),
        [
          "batch_norm_relu_dropout_forward": 1, "batch_norm_relu_dropout_max_pool_forward": 3,
          "batch_norm_relu_dropout_backward": 1, "batch_norm_relu_dropout_max_pool_backward": 3,
          "conv1d_backward_kernel_unbiased": 4,
        ], 40
      ),
      (
        try .inceptionSE(padding: .causal),
        [
          "squeeze_block_forward": 4, "squeeze_block_backward": 4, "attention_mean_forward": 1,
          "attention_mean_backward": 1, "conv1d_backward_input_sum": 3,
          "conv1d_backward_kernel_unbiased": 8,
        ], 60
      ),
    ]
    for (network, names, most) in expected {
      let plan = NetworkPlan(network, options: NetworkPlanOptions(batchCapacity: 2))
      let loaded = try CPUDevice(threads: 1).load(
        plan.plan, options: LoadOptions(programs: [.forwardBackward]))
      let launches = loaded.launches(of: .forwardBackward)
      for (name, count) in names { #expect(launches.count { $0.name == name } == count, "\(name)") }
      #expect(launches.count <= most)
    }
  }
}
