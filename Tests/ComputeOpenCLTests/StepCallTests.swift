import Compute
import ComputeOpenCL
import Networks
import TestSupport
import Testing

/// What a step asks of OpenCL, counted between the loader and the platform.
@Suite(.needsOpenCL, .needsCallLayer) struct StepCallTests {
  private static let creating = [
    "clCreateBuffer", "clCreateSubBuffer", "clCreateKernel", "clCreateProgramWithSource",
    "clCreateProgramWithBinary", "clBuildProgram", "clCreateCommandQueue", "clCreateContext",
    "clCreateUserEvent",
  ]
  private static let moving = [
    "clEnqueueReadBuffer", "clEnqueueWriteBuffer", "clEnqueueMapBuffer",
    "clEnqueueUnmapMemObject",
  ]

  @Test(arguments: [0, 1], [true, false])
  func aTrainingStepOnlyEnqueuesKernels(network: Int, fuses: Bool) throws {
    let layer = try #require(CallLayer.present)
    let device = try OpenCLDevice(
      TestDevice.open().description, options: .init(usesCLBlast: false, specializes: false))
    let made = try TestPlan(StepRun.networks()[network], capacity: 3)
    let loaded = try made.load(
      device, programs: [.forwardBackward, .update], fuses: fuses, keepsActivations: false)
    func run(step: Int, live: Int) throws {
      try loaded.run(.forwardBackward, step: step, live: live)
      try loaded.run(.update, step: step, live: live)
    }
    try run(step: 0, live: 3)
    layer.reset()
    try run(step: 1, live: 3)
    for name in Self.creating + Self.moving + ["events", "waits", "clFinish"] {
      #expect(layer.count(name) == 0, "\(name)")
    }
    let kernels = layer.count("clEnqueueNDRangeKernel")
    #expect(kernels >= loaded.launches(of: .forwardBackward).count)
    // The step is a number of four bytes, and no kernel takes it twice.
    #expect(layer.count("wide arguments") == 0)
    let steps = layer.count("clSetKernelArg")
    #expect(steps > 0 && steps <= kernels)
    let others =
      layer.count("*") - kernels - steps - layer.count("clFlush")
      - layer.count("clEnqueueFillBuffer") - layer.count("clEnqueueCopyBuffer")
    #expect(others == 0)

    layer.reset()
    try run(step: 1, live: 2)
    #expect(layer.count("wide arguments") == 0)
    #expect(layer.count("clSetKernelArg") > steps, "the live samples are arguments, too")
    #expect(layer.count("clCreateBuffer") == 0)
  }

  /// The published networks, with the most commands that a step may take.
  private static func published(
    onTensorCores: Bool = false
  ) throws -> [(network: Network, most: Int)] {
    [
      (try .semgNet(time: 204, channels: 8, classes: 5), onTensorCores ? 28 : 35),
      (
        try .inceptionSE(time: 204, channels: 8, classes: 5, padding: .causal),
        onTensorCores ? 50 : 64
      ),
    ]
  }

  /// Laid out for whole batches, as in training.
  private static func loadWhole(
    _ network: Network, on device: OpenCLDevice
  ) throws -> any LoadedPlan {
    try TestPlan(network, capacity: 128).load(
      device, programs: [.forwardBackward, .update], fuses: true, keepsActivations: false)
  }

  /// Every enqueue, CLBlast's, copies and fills among them, of the published networks, laid out for
  /// whole batches: a launch costs a few microseconds, whatever it does.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: [true, false])
  func aTrainingStepIsShort(usesCLBlast: Bool) throws {
    let layer = try #require(CallLayer.present)
    let device = try OpenCLDevice(
      TestDevice.open().description,
      options: .init(usesCLBlast: usesCLBlast, specializes: false))
    for (network, most) in try Self.published() {
      let loaded = try Self.loadWhole(network, on: device)
      layer.reset()
      try loaded.run(.forwardBackward, step: 0, live: 2)
      try loaded.run(.update, step: 0, live: 2)
      let enqueues = layer.count("enqueues")
      print("\(network.name), CLBlast \(usesCLBlast): \(enqueues) commands a step")
      #expect(enqueues <= most, "\(network.name), CLBlast: \(usesCLBlast)")
    }
  }

  /// In half precision, with the convolutions on tensor cores or not. The first step after weights
  /// were written from the host copies them once.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: [true, false])
  func aTrainingStepInHalfPrecisionIsShort(usesTensorCores: Bool) throws {
    let layer = try #require(CallLayer.present)
    var options = OpenCLDevice.Options(usesCLBlast: false, specializes: false, precision: .fp16)
    options.tensorCores = usesTensorCores ? .emulated : .never
    let device = try OpenCLDevice(TestDevice.open().description, options: options)
    for (network, most) in try Self.published(onTensorCores: usesTensorCores) {
      let loaded = try Self.loadWhole(network, on: device)
      var counts: [Int] = []
      for step in 0..<2 {
        layer.reset()
        try loaded.run(.forwardBackward, step: step, live: 1)
        try loaded.run(.update, step: step, live: 1)
        counts.append(layer.count("enqueues"))
      }
      print("\(network.name), tensor cores \(usesTensorCores): \(counts[1]) commands a step")
      #expect(counts[1] <= most, "\(network.name)")
      #expect(counts[0] == counts[1] + (usesTensorCores ? 1 : 0), "\(network.name)")
    }
  }

  /// CLBlast makes kernels and events of its own at each call; memory it is given.
  @Test(arguments: [0, 1])
  func aTrainingStepWithCLBlastAllocatesNothing(network: Int) throws {
    let layer = try #require(CallLayer.present)
    let device = try OpenCLDevice(
      TestDevice.open().description, options: .init(usesCLBlast: true, specializes: false))
    let made = try TestPlan(StepRun.networks()[network], capacity: 3)
    let loaded = try made.load(
      device, programs: [.forwardBackward, .update], fuses: true, keepsActivations: false)
    layer.reset()
    try loaded.run(.forwardBackward, step: 0, live: 3)
    try loaded.run(.update, step: 0, live: 3)
    for name in ["clCreateBuffer", "clBuildProgram", "clCreateProgramWithSource", "waits"] {
      #expect(layer.count(name) == 0, "\(name)")
    }
  }
}
