import Compute
import Networks
import Recordings
import SignalProcessing
import Training

/// The first steps of a training on synthesized recordings, dropout, noise and augmentation on, the
/// last step's batch partial: the same on every device but for rounding.
public struct TrainingCurve: Sendable {
  public let network: Network
  public let batchSize: Int
  public let steps: Int
  private let seed: UInt64
  /// A tenth of a training's: at 1e-3, a maximum that falls to the other of two nearly equal values
  /// parts two orders of summation of the CPU backend itself by 3e-3 within ten steps of sEMG-Net.
  private let learningRate: Float = 1e-4
  private let dataset: Dataset
  private let table: [SampleEntry]

  /// - Throws: `SynthesisError`, `SignalProcessingError`.
  public init(network: Network, batchSize: Int, steps: Int = 10, seed: UInt64 = 42) throws {
    self.network = network
    self.batchSize = batchSize
    self.steps = steps
    self.seed = seed
    dataset = try Self.synthesizedDataset(samples: steps * batchSize, network: network, seed: seed)
    let augmentation = Augmentation(
      windows: dataset.windowStarts.indices.map(Int32.init), channels: dataset.channels,
      recipe: TrainingRecipe(seed: seed))
    table = Array(augmentation.samples(epoch: 0).prefix(steps * batchSize))
  }

  /// Samples of a step: the last one has three quarters of a batch, at least one less than whole.
  public func live(_ step: Int) -> Int {
    step == steps - 1 ? max(1, batchSize - max(1, batchSize / 4)) : batchSize
  }

  /// In words.
  public var shape: String {
    "\(steps) steps of \(batchSize) samples, the last of \(live(steps - 1))"
  }

  /// Trains on a device as a run does; the loss of each step, L2 penalty included.
  ///
  /// - Throws: `DeviceError`.
  public func losses(on device: any Device, fuses: Bool = true) throws(DeviceError) -> [Double] {
    let loaded = try load(on: device, [.forwardBackward, .update], fuses: fuses)
    try loaded.write(NetworkWeights(initializing: network, seed: seed))
    for step in 0..<steps { try loaded.step(step, live: live(step)) }
    return try loaded.results(of: 0..<steps).map { Double($0.loss) + Double($0.penalty) }
  }

  /// The samples that a device makes for each step, with their targets and weights.
  ///
  /// - Throws: `DeviceError`.
  public func samples(on device: any Device) throws(DeviceError) -> [[Float]] {
    let network = try load(on: device, [.forwardBackward], fuses: false, keepsActivations: true)
    let (loaded, built) = (network.loaded, network.plan)
    let operations = built.plan.programs[.forwardBackward]?.operations ?? []
    let launch = loaded.launches(of: .forwardBackward).firstIndex { launch in
      launch.operations.contains { operations[$0].name == "gather_windows" }
    }
    guard let launch else { return [] }
    let port = built.training
    var result: [[Float]] = []
    for step in 0..<steps {
      try loaded.run(launch: launch, of: .forwardBackward, step: step, live: live(step))
      for tensor in [port.batch, port.targets, port.sampleWeights].compactMap({ $0 }) {
        let count = built.plan[tensor].elementCount(live: live(step))
        result.append(Array(try loaded.read(tensor).prefix(count)))
      }
    }
    return result
  }

  /// With the windows and the table of all steps, without weights.
  private func load(
    on device: any Device, _ programs: [ProgramID], fuses: Bool, keepsActivations: Bool = false
  ) throws(DeviceError) -> LoadedNetwork {
    let loaded = try LoadedNetwork(
      network, on: device,
      options: LoadedNetwork.Options(
        plan: NetworkPlanOptions(
          batchCapacity: batchSize, inferenceCapacity: batchSize,
          classWeights: (0..<network.classes).map { 1 + 0.5 * Float($0 % 2) }),
        load: LoadOptions(
          programs: programs, liveBatches: [.forwardBackward: [batchSize, live(steps - 1)]],
          fuses: fuses, keepsActivations: keepsActivations, seed: seed)))
    try loaded.begin(
      EpochTable(
        dataset: loaded.upload(dataset), samples: table,
        learningRates: Array(repeating: learningRate, count: steps)))
    return loaded
  }

  /// Windows enough for so many samples in three views, filtered and standardized as recordings are.
  private static func synthesizedDataset(
    samples: Int, network: Network, seed: UInt64
  ) throws -> Dataset {
    let geometry = try WindowGeometry(sampleRate: 512)
    let (time, channels) = network.input
    precondition(
      time == geometry.length && channels == 8, "a network for the windows of eight electrodes")
    let length = 2560
    let windows = geometry.count(in: length) * network.classes
    let synthesizer = Synthesizer(
      subjects: 1, sessions: 1, gestures: network.classes,
      trials: max(1, (samples + 3 * windows - 1) / (3 * windows)), samples: length, seed: seed)
    let filter = try RecordingFilter(sampleRate: synthesizer.sampleRate)
    var statistics = ChannelStatistics(channels: channels)
    var values: [Float] = []
    var starts: [Int32] = []
    var labels: [Int32] = []
    for trial in 1...synthesizer.trials {
      for gesture in 0..<synthesizer.gestures {
        var signal = SignalBlocks(
          try synthesizer.recording(subject: 1, session: 1, gesture: gesture, trial: trial),
          channels: channels)
        try filter.apply(to: &signal)
        statistics.merge(ChannelStatistics(signal))
        let first = Int32(values.count / channels)
        for start in geometry.starts(in: length) {
          starts.append(first + Int32(start))
          labels.append(Int32(gesture))
        }
        values += signal.interleaved.map(Float.init)
      }
    }
    values.withUnsafeMutableBufferPointer { Standardization(statistics).apply(to: $0) }
    return Dataset(samples: values, channels: channels, windowStarts: starts, labels: labels)
  }
}

extension TrainingCurve {
  /// Losses of two devices may differ so much, relative to the loss.
  public static let lossBound = 1e-4
  /// Where activations are stored as halves.
  public static let halfLossBound = 2e-2
  /// Samples may differ so much, relative to their norm: the normals of the augmentation's noise
  /// agree to 1e-6, and are a fiftieth of the signal.
  public static let sampleBound = 1e-6
  /// As halves they are rounded to eleven bits.
  public static let halfSampleBound = 1e-3

  /// Both curves side by side.
  func result(named name: String, on device: any Device, reference: any Device) -> ParityResult {
    let bound = device.precision == .fp16 ? Self.halfLossBound : Self.lossBound
    do {
      let found = try losses(on: device)
      let expected = try losses(on: reference)
      let errors = zip(found, expected).map { abs($0 - $1) / abs($1) }
      let worst = errors.indices.max { errors[$0].orInfinity < errors[$1].orInfinity } ?? 0
      return ParityResult(
        name: name, shape: shape, error: errors[worst], bound: bound,
        worst: "loss of step \(worst + 1)",
        misses: errors.indices.filter { !(errors[$0] <= bound) }.prefix(1).map {
          "from step \($0 + 1) on: loss \(found[$0]), expected \(expected[$0])"
        })
    } catch {
      return ParityResult(name: name, shape: shape, misses: ["\(error)"])
    }
  }

  /// The samples of both side by side.
  func sampleResult(
    named name: String, on device: any Device, reference: any Device
  ) -> ParityResult {
    let bound = device.precision == .fp16 ? Self.halfSampleBound : Self.sampleBound
    do {
      let found = try samples(on: device)
      let expected = try samples(on: reference)
      guard !expected.isEmpty, found.map(\.count) == expected.map(\.count) else {
        throw DeviceError.computesWrongly(
          device: device.name, what: "a batch gathered by itself has another size")
      }
      let errors = zip(found, expected).map(Self.relativeError)
      let worst = errors.indices.max { errors[$0].orInfinity < errors[$1].orInfinity } ?? 0
      let names = ["batch", "targets", "weights"]
      func place(_ index: Int) -> String { "\(names[index % 3]) of step \(index / 3 + 1)" }
      return ParityResult(
        name: name, shape: shape, error: errors[worst], bound: bound,
        worst: place(worst),
        misses: errors.indices.filter { !(errors[$0] <= bound) }.prefix(1).map {
          "\(place($0)): relative error \(errors[$0])"
        })
    } catch {
      return ParityResult(name: name, shape: shape, misses: ["\(error)"])
    }
  }

  private static func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
    var (error, norm) = (0.0, 0.0)
    for (a, b) in zip(found, expected) {
      error += (Double(a) - Double(b)) * (Double(a) - Double(b))
      norm += Double(b) * Double(b)
    }
    return norm == 0 ? error.squareRoot() : (error / norm).squareRoot()
  }
}

extension Double {
  /// Orders what is not a number above all that is one.
  fileprivate var orInfinity: Double { isNaN ? .infinity : self }
}
