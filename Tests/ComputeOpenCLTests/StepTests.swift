import Compute
import ComputeCPU
import ComputeOpenCL
import Networks
import TestSupport
import Testing

/// Whole steps of both networks on the OpenCL device.
@Suite(.needsOpenCL) struct StepTests {
  private func run(fuses: Bool = true, keepsActivations: Bool = false) throws -> StepRun {
    StepRun(on: try TestDevice.open(), fuses: fuses, keepsActivations: keepsActivations)
  }

  @Test(arguments: [0, 1])
  func theSameSeedGivesTheSameBits(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let first = try run().train(made)
    let second = try run().train(made)
    #expect(first == second)
    #expect(StepRun.isFinite(first))
  }

  /// Activations that share memory while another is still read would show here.
  @Test(arguments: [0, 1], [true, false])
  func sharedMemoryChangesNothing(network: Int, fuses: Bool) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let shared = try run(fuses: fuses).train(made)
    let apart = try run(fuses: fuses, keepsActivations: true).train(made)
    #expect(shared == apart)
  }

  @Test(arguments: [0, 1])
  func fusedStepsAgreeWithSingleOperations(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let fused = try run(fuses: true).train(made)
    let single = try run(fuses: false).train(made)
    // Biases before a batch norm have gradients of rounding noise, which Adam scales up.
    #expect(StepRun.distance(fused, single) < 1e-3)
  }

  @Test(arguments: [0, 1])
  func whatLiesBeyondTheLiveSamplesChangesNothing(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let spoilt = try run(keepsActivations: true).train(made, live: 2, spoil: .nan)
    let clean = try run(keepsActivations: true).train(made, live: 2)
    #expect(StepRun.isFinite(clean))
    #expect(spoilt == clean)
    let predictions = try [nil, Float.nan].map {
      try run(keepsActivations: true).predict(made, live: 2, spoil: $0)
    }
    #expect(predictions[0] == predictions[1])
  }

  /// Dropout, noise and augmentation are on: masks and samples that differed would show at once.
  @Test(arguments: [0, 1], [true, false])
  func tenTrainingStepsFollowTheCPU(network: Int, fuses: Bool) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 8)
    let devices: [any Device] = [CPUDevice(threads: 2), try TestDevice.open()]
    let losses = try devices.map { device in
      let loaded = try made.load(
        device, programs: [.forwardBackward, .update], fuses: fuses, keepsActivations: false,
        steps: 10)
      for step in 0..<10 {
        try loaded.run(.forwardBackward, step: step, live: 8)
        try loaded.run(.update, step: step, live: 8)
      }
      return try loaded.results(of: .forwardBackward, steps: 0..<10)
    }
    for (step, (cpu, device)) in zip(losses[0], losses[1]).enumerated() {
      #expect(abs(device.loss / cpu.loss - 1) < 1e-4, "step \(step)")
      #expect(abs(device.penalty / cpu.penalty - 1) < 1e-4, "step \(step)")
    }
  }

  /// Zero by algebra; what rounding makes of it, Adam would scale up to whole steps.
  @Test(arguments: [0, 1])
  func biasesBeforeANormalizationHaveNoGradient(network: Int) throws {
    let made = try TestPlan(StepRun.networks()[network], capacity: 5)
    let loaded = try made.load(
      try TestDevice.open(), programs: [.forwardBackward], fuses: true, keepsActivations: false)
    try loaded.run(.forwardBackward, step: 0, live: 5)
    let operations = try #require(made.plan.plan.programs[.forwardBackward]).operations
    var found = 0
    for (index, operation) in operations.enumerated() {
      guard case .conv1DBackwardKernel(let op) = operation,
        operations[..<index].contains(where: {
          if case .batchNormBackward = $0 { $0.writes.contains(op.outputGradient) } else { false }
        })
      else { continue }
      #expect(try loaded.read(op.biasGradient).allSatisfy { $0 == 0 })
      #expect(try loaded.read(op.kernelGradient).contains { $0 != 0 })
      found += 1
    }
    #expect(found == [8, 4][network])
  }

  @Test func aProfileTimesEveryLaunchAndChangesNoResult() throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let programs: [ProgramID] = [.forwardBackward, .update]
    let plain = try made.load(TestDevice.open(), programs: programs, fuses: true)
    let timed = try #require(
      try made.load(TestDevice.open(), programs: programs, fuses: true) as? any ProfiledPlan)
    let profile = LaunchProfile()
    timed.profile = profile
    for loaded in [plain, timed] {
      for step in 0..<2 {
        try loaded.run(.forwardBackward, step: step, live: 4)
        try loaded.run(.update, step: step, live: 4)
      }
    }
    let results = try [plain, timed].map { try $0.results(of: .forwardBackward, steps: 0..<2) }
    #expect(results[0] == results[1])
    let launches = programs.flatMap { timed.launches(of: $0) }
    #expect(profile.entries.map(\.name) == launches.map(\.name))
    #expect(profile.entries.allSatisfy { $0.calls == 2 && $0.seconds > 0 })
  }

  /// CLBlast's products count in a profile as our kernels' do.
  @Test(arguments: [true, false])
  func aProfileCountsTheProductsOfEveryDenseLayer(usesCLBlast: Bool) throws {
    let made = try TestPlan(StepRun.networks()[1], capacity: 4)
    let device = try TestDevice.open(
      options: OpenCLDevice.Options(usesCLBlast: usesCLBlast, specializes: false))
    let loaded = try #require(
      try made.load(device, programs: [.forwardBackward], fuses: false) as? any ProfiledPlan)
    let profile = LaunchProfile()
    loaded.profile = profile
    try loaded.run(.forwardBackward, step: 0, live: 3)
    let expected = profile.entries.filter { $0.name.hasPrefix("dense_") }
      .reduce(0) { $0 + $1.productOperations }
    let kernels = profile.kernels.filter {
      usesCLBlast ? $0.name == "CLBlast" : $0.name.hasPrefix("matrix_")
    }
    #expect(expected > 0)
    #expect(kernels.reduce(0) { $0 + $1.cost.productOperations } == expected)
    #expect(kernels.allSatisfy { $0.cost.bytes > 0 })
  }
}
