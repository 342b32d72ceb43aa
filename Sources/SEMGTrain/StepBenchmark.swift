import Compute
import ComputeOpenCL
import Networks
import Training

/// Times training steps as a run does them, gathering and augmentation included, or batches of
/// prediction as `predict` does them, from gathering the windows to reading the probabilities, on
/// windows made up in memory: what a step costs does not depend on what is in them.
struct StepBenchmark {
  struct Kernel: Encodable {
    let name: String
    /// Of one step.
    let launches: Int
    let milliseconds: Double
    /// Of the tensors that it reads or writes, each counted once.
    let gigabytesPerSecond: Double
    /// Of matrix products.
    let gigaflops: Double
    /// The least time that the device's measured peaks allow, over the time taken; nil where they
    /// are not known.
    let shareOfLimit: Double?

    enum CodingKeys: String, CodingKey {
      case name, launches, milliseconds, gigaflops
      case gigabytesPerSecond = "gigabytes_per_second"
      case shareOfLimit = "share_of_limit"
    }

    init(_ kernel: LaunchProfile.Kernel, steps: Int, peaks: DevicePeaks?) {
      name = kernel.name
      launches = kernel.calls / steps
      milliseconds = 1000 * kernel.seconds / Double(steps)
      let seconds = max(kernel.seconds, 1e-12)
      gigabytesPerSecond = kernel.cost.bytes / seconds * 1e-9
      gigaflops = kernel.cost.productOperations / seconds * 1e-9
      shareOfLimit = peaks.map { $0.leastSeconds(of: kernel.cost) / seconds }
    }
  }

  /// What the device was seen to do at most.
  struct Peaks: Encodable {
    let gigabytesPerSecond: Double
    let gigaflops: Double

    enum CodingKeys: String, CodingKey {
      case gigaflops
      case gigabytesPerSecond = "gigabytes_per_second"
    }

    init(_ peaks: DevicePeaks) {
      gigabytesPerSecond = peaks.bytesPerSecond * 1e-9
      gigaflops = peaks.operationsPerSecond * 1e-9
    }
  }

  /// What is timed.
  enum Work: String, Encodable {
    case training, inference
  }

  struct Result: Encodable {
    let samplesPerSecond: Double
    let millisecondsPerStep: Double
    let steps: Int
    let batchSize: Int
    let work: Work
    /// The slowest first; none unless they were asked for.
    let kernels: [Kernel]
    let measuredPeaks: Peaks?

    enum CodingKeys: String, CodingKey {
      case steps, work, kernels
      case measuredPeaks = "measured_peaks"
      case samplesPerSecond = "samples_per_second"
      case millisecondsPerStep = "milliseconds_per_step"
      case batchSize = "batch_size"
    }
  }

  let loaded: any LoadedPlan
  private let device: any Device
  private let work: Work
  /// Of prediction; the host reads them after every step.
  let probabilities: TensorID
  private let batchSize: Int
  /// Steps of the table on the device; more steps than that begin it anew.
  private let tableSteps: Int
  private let clock = ContinuousClock()

  /// - Throws: `DeviceError` where the plan cannot be loaded.
  init(network: Network, device: any Device, batchSize: Int, work: Work = .training) throws {
    self.batchSize = batchSize
    self.device = device
    self.work = work
    let built = NetworkPlan(
      network,
      options: NetworkPlanOptions(batchCapacity: batchSize, inferenceCapacity: batchSize))
    loaded = try device.load(
      built.plan,
      options: LoadOptions(
        programs: work == .training ? [.forwardBackward, .update] : [.validate],
        liveBatches: [.forwardBackward: [batchSize], .validate: [batchSize]]))
    probabilities = built.validation.probabilities
    let weights = NetworkWeights(initializing: network, seed: 42)
    for (tensor, values) in zip(built.weights, weights.values) {
      try loaded.write(values, to: tensor)
    }
    let windows = max(64, 4 * batchSize)
    let dataset = try loaded.upload(Self.dataset(of: network, windows: windows))
    guard work == .training else {
      tableSteps = windows / batchSize
      try loaded.upload(
        EpochTable(
          dataset: dataset, samples: (0..<windows).map { SampleEntry(window: Int32($0)) }),
        for: .validate)
      return
    }
    let augmentation = Augmentation(
      windows: (0..<windows).map(Int32.init), channels: network.input.channels, recipe: .standard,
      seed: 42)
    let samples = augmentation.samples(epoch: 0)
    tableSteps = samples.count / batchSize
    try loaded.upload(
      EpochTable(
        dataset: dataset, samples: samples,
        learningRates: Array(repeating: 1e-3, count: tableSteps + 1)), for: .forwardBackward)
  }

  /// Times `steps` steps, then, where they are asked for, the kernels of a fifth as many more, on a
  /// profiling queue.
  ///
  /// - Throws: `DeviceError`.
  func run(steps: Int, profiles: Bool) throws -> Result {
    for step in 0..<max(2, steps / 10) { try run(step) }
    try wait()
    let start = clock.now
    for step in 0..<steps { try run(step) }
    try wait()
    let seconds = start.duration(to: clock.now) / .seconds(1)
    let peaks = profiles ? try (device as? OpenCLDevice)?.measuredPeaks() : nil
    return Result(
      samplesPerSecond: Double(steps * batchSize) / seconds,
      millisecondsPerStep: 1000 * seconds / Double(steps), steps: steps, batchSize: batchSize,
      work: work, kernels: profiles ? try kernels(steps: max(1, steps / 5), peaks: peaks) : [],
      measuredPeaks: peaks.map(Peaks.init))
  }

  private func run(_ step: Int) throws(DeviceError) {
    guard work == .training else {
      try loaded.run(.validate, step: step % tableSteps, live: batchSize)
      _ = try loaded.read(probabilities)
      return
    }
    try loaded.run(.forwardBackward, step: step % tableSteps, live: batchSize)
    try loaded.run(.update, step: step % tableSteps, live: batchSize)
  }

  /// Only reading waits for what is queued.
  private func wait() throws(DeviceError) {
    if work == .training {
      _ = try loaded.results(of: .forwardBackward, steps: 0..<1)
    } else {
      _ = try loaded.read(probabilities)
    }
  }

  /// Where the time of `steps` steps goes, a step; nothing where the device keeps no profile.
  private func kernels(steps: Int, peaks: DevicePeaks?) throws(DeviceError) -> [Kernel] {
    guard let loaded = loaded as? any ProfiledPlan else { return [] }
    let profile = LaunchProfile()
    loaded.profile = profile
    defer { loaded.profile = nil }
    for step in 0..<steps { try run(step) }
    return profile.kernels.map { Kernel($0, steps: steps, peaks: peaks) }
  }

  /// Windows of noise with labels in turn.
  private static func dataset(of network: Network, windows: Int) -> Dataset {
    let (time, channels) = network.input
    let stride = max(1, time * 2 / 5)
    let rows = stride * (windows - 1) + time
    return Dataset(
      samples: noise(rows * channels), channels: channels,
      windowStarts: (0..<windows).map { Int32($0 * stride) },
      labels: (0..<windows).map { Int32($0 % max(1, network.classes)) })
  }

  private static func noise(_ count: Int) -> [Float] {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    return (0..<count).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 23) - 1
    }
  }
}
