import Compute
import Networks
import Training

/// Times training steps as a run does them, gathering and augmentation included, on windows made
/// up in memory: what a step costs does not depend on what is in them.
struct StepBenchmark {
  struct Kernel: Encodable {
    let name: String
    /// Of one step.
    let launches: Int
    let milliseconds: Double
  }

  struct Result: Encodable {
    let samplesPerSecond: Double
    let millisecondsPerStep: Double
    let steps: Int
    let batchSize: Int
    /// The slowest first.
    let kernels: [Kernel]

    enum CodingKeys: String, CodingKey {
      case steps, kernels
      case samplesPerSecond = "samples_per_second"
      case millisecondsPerStep = "milliseconds_per_step"
      case batchSize = "batch_size"
    }
  }

  private let loaded: any LoadedPlan
  private let batchSize: Int
  /// Steps of the table on the device; more steps than that begin it anew.
  private let tableSteps: Int
  private let clock = ContinuousClock()

  /// - Throws: `DeviceError` where the plan cannot be loaded.
  init(network: Network, device: any Device, batchSize: Int) throws {
    self.batchSize = batchSize
    let built = NetworkPlan(
      network,
      options: NetworkPlanOptions(batchCapacity: batchSize, inferenceCapacity: batchSize))
    loaded = try device.load(
      built.plan,
      options: LoadOptions(
        programs: [.forwardBackward, .update], liveBatches: [.forwardBackward: [batchSize]]))
    let weights = NetworkWeights(initializing: network, seed: 42)
    for (tensor, values) in zip(built.weights, weights.values) {
      try loaded.write(values, to: tensor)
    }
    let windows = max(64, 4 * batchSize)
    let dataset = try loaded.upload(Self.dataset(of: network, windows: windows))
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

  /// Times `steps` steps, then the launches of a fifth as many more.
  ///
  /// - Throws: `DeviceError`.
  mutating func run(steps: Int) throws -> Result {
    for step in 0..<max(2, steps / 10) { try run(step) }
    try wait()
    let start = clock.now
    for step in 0..<steps { try run(step) }
    try wait()
    let seconds = start.duration(to: clock.now) / .seconds(1)
    return Result(
      samplesPerSecond: Double(steps * batchSize) / seconds,
      millisecondsPerStep: 1000 * seconds / Double(steps), steps: steps, batchSize: batchSize,
      kernels: try kernels(steps: max(1, steps / 5)))
  }

  private func run(_ step: Int) throws(DeviceError) {
    try loaded.run(.forwardBackward, step: step % tableSteps, live: batchSize)
    try loaded.run(.update, step: step % tableSteps, live: batchSize)
  }

  /// Only reading waits for what is queued.
  private func wait() throws(DeviceError) {
    _ = try loaded.results(of: .forwardBackward, steps: 0..<1)
  }

  /// Where the time of `steps` steps goes, a step; nothing where the device keeps no profile.
  private func kernels(steps: Int) throws(DeviceError) -> [Kernel] {
    guard let loaded = loaded as? any ProfiledPlan else { return [] }
    let profile = LaunchProfile()
    loaded.profile = profile
    defer { loaded.profile = nil }
    for step in 0..<steps { try run(step) }
    return profile.totals.map {
      Kernel(
        name: $0.name, launches: $0.calls / steps, milliseconds: 1000 * $0.seconds / Double(steps))
    }
  }

  /// Windows of noise with labels in turn.
  private static func dataset(of network: Network, windows: Int) -> Dataset {
    let (time, channels) = network.input
    let stride = max(1, time * 2 / 5)
    let rows = stride * (windows - 1) + time
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let samples = (0..<rows * channels).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 23) - 1
    }
    return Dataset(
      samples: samples, channels: channels,
      windowStarts: (0..<windows).map { Int32($0 * stride) },
      labels: (0..<windows).map { Int32($0 % max(1, network.classes)) })
  }
}
