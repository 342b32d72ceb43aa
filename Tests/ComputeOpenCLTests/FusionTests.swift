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
    case semgNet, pooledByThree, oneChannel, squeezed, squeezedWide

    /// Launches that there have to be.
    func fused(in program: ProgramID) -> Set<String> {
      switch (self, program) {
      case (.squeezed, .validate), (.squeezedWide, .validate): ["squeeze_block_inference"]
      case (.squeezed, _):
        [
          "squeeze_block_forward", "squeeze_block_backward", "conv1d_backward_input_sum",
          "conv1d_backward_kernels",
        ]
      case (.squeezedWide, _): ["squeeze_block_forward", "squeeze_block_backward"]
      case (_, .validate): ["batch_norm_relu_max_pool_inference"]
      case (.semgNet, _):
        [
          "gather_noisy_windows", "batch_norm_relu_dropout_max_pool_forward",
          "dense_relu_dropout_forward", "dense_softmax_cross_entropy_backward",
          "dense_backward",
          "batch_norm_relu_dropout_max_pool_backward",
          "batch_norm_relu_dropout_max_pool_mean_backward", "conv1d_backward_kernels",
        ]
      default:
        [
          "batch_norm_relu_dropout_max_pool_forward",
          "batch_norm_relu_dropout_max_pool_mean_backward", "dense_backward",
        ]
      }
    }

    func network() throws -> Network {
      switch self {
      case .semgNet: try .semgNet(time: 44, channels: 3, classes: 4, width: 5)
      case .pooledByThree: try Self.block(filters: 6, pool: 3, time: 29)
      case .oneChannel: try Self.block(filters: 1, pool: 2, time: 13)
      case .squeezed: try Self.squeezed(blocks: 2, [5, 5], units: 1, time: 29, dropout: 0.2)
      case .squeezedWide: try Self.squeezed(blocks: 1, [33, 7], units: 12, time: 19, dropout: nil)
      }
    }

    /// sEMG-Net's block at other sizes.
    private static func block(filters: Int, pool: Int, time: Int) throws -> Network {
      var net = NetworkBuilder()
      var x = net.append(Layers.Input(time: time, channels: 3))
      x = net.append(
        Layers.Conv1D(filters: filters, kernelSize: 5, dilation: 1, padding: .same, l2: 1e-4), x)
      x = net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), x)
      x = net.append(Layers.ReLU(), x)
      x = net.append(Layers.Dropout(rate: 0.25), x)
      x = net.append(Layers.MaxPooling1D(size: pool), x)
      x = net.append(Layers.GlobalAveragePooling1D(), x)
      _ = net.append(Layers.Dense(units: 4, activation: .softmax, l2: 0), x)
      return try net.build(name: "block")
    }

    /// Blocks of the Inception-SE-TCN, without attention, at other sizes.
    private static func squeezed(
      blocks: Int, _ filters: [Int], units: Int, time: Int, dropout: Float?
    ) throws -> Network {
      let channels = filters.reduce(0, +)
      var net = NetworkBuilder()
      var x = net.append(Layers.Input(time: time, channels: channels))
      for _ in 0..<blocks {
        var branches: [NetworkBuilder.Node] = []
        for (width, kernelSize) in zip(filters, [3, 5]) {
          var y = net.append(
            Layers.Conv1D(
              filters: width, kernelSize: kernelSize, dilation: 2, padding: .causal, l2: 0), x)
          y = net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), y)
          branches.append(net.append(Layers.ReLU(), y))
        }
        var y = net.append(Layers.Concatenate(), branches[0], branches[1])
        if let dropout { y = net.append(Layers.Dropout(rate: dropout), y) }
        var scale = net.append(Layers.GlobalAveragePooling1D(), y)
        scale = net.append(Layers.Dense(units: units, activation: .relu, l2: 0), scale)
        scale = net.append(Layers.Dense(units: channels, activation: .sigmoid, l2: 0), scale)
        scale = net.append(Layers.Reshape(), scale)
        y = net.append(Layers.Multiply(), y, scale)
        x = net.append(Layers.Add(), x, y)
      }
      x = net.append(Layers.GlobalAveragePooling1D(), x)
      _ = net.append(Layers.Dense(units: 4, activation: .softmax, l2: 0), x)
      return try net.build(name: "squeezed")
    }
  }

  @Test(arguments: Subject.allCases)
  func everyFusedLaunchAgreesWithTheOperationsItCovers(subject: Subject) throws {
    try check(subject, on: TestDevice.open())
  }

  @Test(
    .enabled(if: runsSlowTests, "long without optimization"),
    arguments: [Subject.pooledByThree, .squeezedWide])
  func fusedLaunchesBuiltForTheirShapesAgreeToo(subject: Subject) throws {
    try check(subject, on: TestDevice.open(specializes: true))
  }

  private func check(_ subject: Subject, on device: OpenCLDevice) throws {
    let made = try TestPlan(subject.network(), capacity: 4)
    for program in [ProgramID.forwardBackward, .validate] {
      let report = try compare(
        reference: made.load(ReferenceDevice(), programs: [program], fuses: false),
        candidate: made.load(device, programs: [program], fuses: true),
        program: program, step: 1, live: 3)
      let covered = report.flatMap(\.launch.operations).sorted()
      #expect(covered == Array(made.plan.plan.programs[program]?.operations.indices ?? 0..<0))
      for launch in report { #expect(launch.passes, "\(launch)") }
      #expect(subject.fused(in: program).isSubset(of: report.map(\.launch.name)))
    }
  }

  private static let families: Set<OperationCase.Family> = [
    .normBlock, .normBlockInference, .squeezeBlock, .squeezeBlockInference, .gradientSum,
  ]

  /// Small enough for simulators and for a search of faults in the kernels.
  @Test(
    arguments: OperationCase.awkward.filter { families.contains($0.family) })
  func operationsInARowAgreeWithTheReferenceAsTheyAreFused(subject: OperationCase) throws {
    let candidate = try subject.load(on: TestDevice.open(), fuses: true)
    let report = try compare(
      reference: subject.load(on: ReferenceDevice()), candidate: candidate,
      program: subject.program, step: subject.step, live: subject.live)
    #expect(report.contains { $0.launch.operations.count > 1 })
    for launch in report { #expect(launch.passes, "\(launch)") }
  }

  @Test(arguments: [Subject.semgNet, .squeezed])
  func fusedLaunchesGiveTheSameBitsAgain(subject: Subject) throws {
    let made = try TestPlan(subject.network(), capacity: 4)
    let runs = try (0..<2).map { _ in
      try StepRun(on: TestDevice.open()).train(made).map { $0.map(\.bitPattern) }
    }
    let isSame = runs[0] == runs[1]
    #expect(isSame)
  }
}
