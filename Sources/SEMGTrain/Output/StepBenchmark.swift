import Compute
import ComputeOpenCL
import Networks
import Training

/// Times training steps as a run does them, gathering and augmentation included, or batches of
/// inference as `evaluate` does them, from gathering the windows to reading the probabilities, on
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
    /// By the median of the blocks.
    let samplesPerSecond: Double
    let millisecondsPerStep: Double
    /// Of a step, one a block.
    let milliseconds: [Double]
    /// Of all blocks.
    let steps: Int
    let batchSize: Int
    let work: Work
    /// The slowest first; none unless they were asked for.
    let kernels: [Kernel]
    let measuredPeaks: Peaks?

    enum CodingKeys: String, CodingKey {
      case steps, work, kernels, milliseconds
      case measuredPeaks = "measured_peaks"
      case samplesPerSecond = "samples_per_second"
      case millisecondsPerStep = "milliseconds_per_step"
      case batchSize = "batch_size"
    }
  }

  private let network: LoadedNetwork
  private let device: any Device
  private let work: Work
  private let batchSize: Int
  /// Steps of the table on the device; more steps than that begin it anew.
  private let tableSteps: Int
  private let clock = ContinuousClock()

  /// - Throws: `DeviceError` where the network cannot be loaded.
  init(network: Network, device: any Device, batchSize: Int, work: Work = .training) throws {
    self.batchSize = batchSize
    self.device = device
    self.work = work
    let windows = max(64, 4 * batchSize)
    let recipe = TrainingRecipe.standard
    let augmentation = Augmentation(
      windows: (0..<windows).map(Int32.init), channels: network.input.channels, recipe: recipe)
    // Whole batches alone are timed.
    tableSteps = (work == .training ? augmentation.sampleCount : windows) / batchSize
    let count = tableSteps * batchSize
    self.network = try LoadedNetwork(
      network, on: device,
      options: work == .training
        ? .training(
          samples: count, batchSize: batchSize, constants: recipe.constants, seed: recipe.seed)
        : .evaluation(windows: count, batchSize: batchSize))
    try self.network.write(NetworkWeights(initializing: network, seed: recipe.seed))
    let dataset = try self.network.upload(Self.dataset(of: network, windows: windows))
    if work == .inference {
      try self.network.choose(Array(augmentation.windows.prefix(count)))
    } else {
      try self.network.begin(
        EpochTable(
          dataset: dataset, samples: Array(augmentation.samples(epoch: 0).prefix(count)),
          learningRates: Array(repeating: Float(recipe.initialRate), count: tableSteps)))
    }
  }

  /// How long is measured.
  enum Extent {
    /// So many steps in one block, after a tenth as many.
    case steps(Int)
    /// About so long in each of two parts: to warm up, and in blocks of equally many steps.
    case seconds(Double)
  }

  /// Of a measurement by seconds.
  static let blocks = 5

  /// Times steps, then, where they are asked for, the kernels of a fifth as many more, on a
  /// profiling queue.
  ///
  /// - Throws: `DeviceError`.
  func run(_ extent: Extent, profiles: Bool) throws -> Result {
    let (steps, times) = try blockTimes(extent)
    let milliseconds = times.map { 1000 * $0 / Double(steps) }
    let median = milliseconds.sorted()[milliseconds.count / 2]
    let peaks = profiles ? try (device as? OpenCLDevice)?.measuredPeaks() : nil
    let profiled = max(1, min(100, steps * times.count / 5))
    return Result(
      samplesPerSecond: 1000 * Double(batchSize) / median, millisecondsPerStep: median,
      milliseconds: milliseconds, steps: steps * times.count, batchSize: batchSize, work: work,
      kernels: profiles ? try kernels(steps: profiled, peaks: peaks) : [],
      measuredPeaks: peaks.map(Peaks.init))
  }

  /// - Throws: `DeviceError`.
  func run(steps: Int, profiles: Bool) throws -> Result {
    try run(.steps(steps), profiles: profiles)
  }

  /// Steps a block, and the seconds of each block.
  private func blockTimes(_ extent: Extent) throws(DeviceError) -> (steps: Int, times: [Double]) {
    switch extent {
    case .steps(let steps):
      _ = try seconds(of: max(2, steps / 10))
      return (steps, [try seconds(of: steps)])
    case .seconds(let wanted):
      // The first steps, which may still compile, say nothing of those that follow.
      var (count, last, total) = (1, try seconds(of: 2), 0.0)
      while total < wanted {
        last = try seconds(of: count) / Double(count)
        total += last * Double(count)
        count = min(2 * count, max(1, Int(wanted / 4 / max(last, 1e-9))))
      }
      let steps = max(1, Int((wanted / Double(Self.blocks) / max(last, 1e-9)).rounded(.up)))
      var times: [Double] = []
      for _ in 0..<Self.blocks { times.append(try seconds(of: steps)) }
      return (steps, times)
    }
  }

  /// Until the device is done with `steps` steps.
  private func seconds(of steps: Int) throws(DeviceError) -> Double {
    let start = clock.now
    for step in 0..<steps { try run(step) }
    try wait()
    return start.duration(to: clock.now) / .seconds(1)
  }

  private func run(_ step: Int) throws(DeviceError) {
    switch work {
    case .training: try network.step(step % tableSteps, live: batchSize)
    case .inference: _ = try predictions(ofStep: step)
    }
  }

  /// Probabilities `[windows, classes]` of a step of inference; the host reads them in every one.
  func predictions(ofStep step: Int) throws(DeviceError) -> ArraySlice<Float> {
    try network.probabilities(ofBatch: step % tableSteps)
  }

  /// Only reading waits for what is queued, which each step of inference does.
  private func wait() throws(DeviceError) {
    if work == .training { _ = try network.results(of: 0..<1) }
  }

  /// Where the time of `steps` steps goes, a step; nothing where the device keeps no profile.
  private func kernels(steps: Int, peaks: DevicePeaks?) throws(DeviceError) -> [Kernel] {
    guard let loaded = network.loaded as? any ProfiledPlan else { return [] }
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
