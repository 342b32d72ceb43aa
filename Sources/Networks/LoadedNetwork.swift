import Compute

/// A network on a device: its plan, its weights, and the windows that batches are cut from.
///
/// Not `Sendable`, as the loaded plan is not: one owner, and the thread that loaded it.
public final class LoadedNetwork {
  /// What a network is loaded for.
  public struct Options: Sendable {
    public var plan: NetworkPlanOptions
    public var load: LoadOptions

    public init(plan: NetworkPlanOptions, load: LoadOptions) {
      self.plan = plan
      self.load = load
    }

    /// Steps of training, and `validate` and `probabilities(of:)` between them.
    ///
    /// - Parameters:
    ///   - samples: of an epoch.
    ///   - inference: how many windows are validated or answered at a time, a number for each part;
    ///     none where there is nothing but steps.
    ///   - batchSize: of both; memory is taken for no more samples than there are.
    ///   - seed: of all random draws on the device.
    public static func training(
      samples: Int, inference: [Int] = [], batchSize: Int, classWeights: [Float] = [],
      constants: StepConstants = StepConstants(), seed: UInt64
    ) -> Options {
      Options(
        plan: NetworkPlanOptions(
          batchCapacity: max(1, min(batchSize, samples)),
          inferenceCapacity: max(1, min(batchSize, inference.max() ?? 0)),
          constants: constants, classWeights: classWeights),
        load: LoadOptions(
          programs: [.forwardBackward, .update] + (inference.isEmpty ? [] : [.validate]),
          liveBatches: [
            .forwardBackward: liveBatches(samples, batchSize),
            .validate: Set(inference.flatMap { liveBatches($0, batchSize) }).sorted(by: >),
          ], seed: seed))
    }

    /// `validate` and `probabilities(of:)` alone, for so many windows.
    public static func evaluation(windows: Int, batchSize: Int) -> Options {
      inference(.validate, windows: windows, batchSize: batchSize)
    }

    /// `predict` alone, for so many windows.
    public static func prediction(windows: Int, batchSize: Int) -> Options {
      inference(.predict, windows: windows, batchSize: batchSize)
    }

    private static func inference(_ program: ProgramID, windows: Int, batchSize: Int) -> Options {
      Options(
        plan: NetworkPlanOptions(
          batchCapacity: 1, inferenceCapacity: max(1, min(batchSize, windows))),
        load: LoadOptions(
          programs: [program], liveBatches: [program: liveBatches(windows, batchSize)]))
    }

    /// Live sizes that occur where `count` samples are taken by `capacity`.
    private static func liveBatches(_ count: Int, _ capacity: Int) -> [Int] {
      let rest = count % capacity
      return (count >= capacity ? [capacity] : []) + (rest > 0 ? [rest] : [])
    }
  }

  public let plan: NetworkPlan
  /// For what is not asked of a network but of a device: launches, profiles, single tensors.
  public let loaded: any LoadedPlan
  /// The windows on the device; nil before `upload`.
  public private(set) var dataset: DatasetID?
  private let device: String
  /// What `validate` and `probabilities` take their batches from, in its order.
  private var windows: [Int32] = []
  /// Whether a batch that was written has come back as it was.
  private var hasKeptBatch = false

  public var network: Network { plan.network }
  /// Bytes that it holds on the device, the dataset left out.
  public var byteCount: Int { loaded.byteCount }

  /// Loads the network's plan; its weights are still to be written.
  ///
  /// - Throws: `DeviceError`.
  public init(
    _ network: Network, on device: any Device, options: Options
  ) throws(DeviceError) {
    plan = NetworkPlan(network, options: options.plan)
    loaded = try device.load(plan.plan, options: options.load)
    self.device = device.name
  }

  /// What memory loading would take.
  ///
  /// - Throws: `DeviceError`.
  public static func layout(
    of network: Network, on device: any Device, options: Options
  ) throws(DeviceError) -> ArenaLayout {
    try device.layout(
      of: NetworkPlan(network, options: options.plan).plan, options: options.load)
  }

  // MARK: Weights

  /// Writes all variables, parallel to `Network.weights`.
  public func write(_ weights: NetworkWeights) throws(DeviceError) {
    try write(weights.values, to: plan.weights)
  }

  /// Writes Adam's moments; the iterations are the tables' matter.
  public func write(_ optimizer: OptimizerState) throws(DeviceError) {
    try write(optimizer.firstMoments, to: plan.firstMoments)
    try write(optimizer.secondMoments, to: plan.secondMoments)
  }

  private func write(_ values: [[Float]], to tensors: [TensorID]) throws(DeviceError) {
    precondition(values.count == tensors.count, "values for each variable")
    for (tensor, values) in zip(tensors, values) {
      precondition(
        values.count == plan.plan[tensor].elementCount, "a value for each element of a variable")
      try loaded.write(values, to: tensor)
    }
  }

  /// The variables as they are now; waits for what is queued.
  public func weights() throws(DeviceError) -> NetworkWeights {
    NetworkWeights(values: try read(plan.weights))
  }

  /// Adam's state as it is now; waits for what is queued.
  ///
  /// - Parameter iterations: updates that were made, which nobody counts here.
  public func optimizer(iterations: Int) throws(DeviceError) -> OptimizerState {
    OptimizerState(
      iterations: iterations, firstMoments: try read(plan.firstMoments),
      secondMoments: try read(plan.secondMoments))
  }

  private func read(_ tensors: [TensorID]) throws(DeviceError) -> [[Float]] {
    var values: [[Float]] = []
    for tensor in tensors { values.append(try loaded.read(tensor)) }
    return values
  }

  // MARK: Data

  /// Puts windows on the device, in place of those that were there.
  ///
  /// - Returns: what tables name them by.
  @discardableResult
  public func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    let id = try loaded.upload(dataset)
    if let earlier = self.dataset { loaded.discard(earlier) }
    self.dataset = id
    windows = []
    return id
  }

  // MARK: Training

  /// Gives the steps that come next their samples and learning rates.
  ///
  /// - Parameter table: of `dataset`.
  public func begin(_ table: EpochTable) throws(DeviceError) {
    try loaded.upload(table, for: .forwardBackward)
  }

  /// Enqueues a training step of the table: gradients, then the update.
  public func step(_ step: Int, live: Int) throws(DeviceError) {
    try loaded.run(.forwardBackward, step: step, live: live)
    try loaded.run(.update, step: step, live: live)
  }

  /// Results of the table's steps; waits for what is queued.
  public func results(of steps: Range<Int>) throws(DeviceError) -> [StepResult] {
    try loaded.results(of: .forwardBackward, steps: steps)
  }

  // MARK: Inference

  /// Cuts windows of the dataset into batches for inference, in the given order.
  public func choose(_ windows: [Int32]) throws(DeviceError) {
    guard windows != self.windows else { return }
    guard let dataset else { preconditionFailure("windows of a dataset that was not uploaded") }
    try loaded.upload(
      EpochTable(dataset: dataset, samples: windows.map { SampleEntry(window: $0) }),
      for: .validate)
    self.windows = windows
  }

  /// Batches of the windows that were chosen; all but the last have `inferenceCapacity` windows.
  public var batchCount: Int {
    (windows.count + plan.options.inferenceCapacity - 1) / plan.options.inferenceCapacity
  }

  /// Enqueues a batch of the windows that were chosen; returns how many they are.
  private func validate(batch: Int) throws(DeviceError) -> Int {
    let capacity = plan.options.inferenceCapacity
    let live = min(capacity, windows.count - batch * capacity)
    try loaded.run(.validate, step: batch, live: live)
    return live
  }

  /// Windows of the dataset in inference mode, against their labels.
  ///
  /// - Returns: a result for each batch; all but the last have `inferenceCapacity` windows.
  public func validate(_ windows: [Int32]) throws(DeviceError) -> [StepResult] {
    try choose(windows)
    for batch in 0..<batchCount { _ = try validate(batch: batch) }
    return try loaded.results(of: .validate, steps: 0..<batchCount)
  }

  /// Probabilities `[windows, classes]` of a batch of the windows that were chosen.
  public func probabilities(ofBatch batch: Int) throws(DeviceError) -> ArraySlice<Float> {
    let live = try validate(batch: batch)
    return try loaded.read(plan.validation.probabilities).prefix(live * network.classes)
  }

  /// Probabilities `[windows, classes]` of windows of the dataset, in the given order.
  ///
  /// - Throws: `DeviceError`, and `PredictionError` where the network answers with something else.
  public func probabilities(of windows: [Int32]) throws -> [Float] {
    try choose(windows)
    var result: [Float] = []
    result.reserveCapacity(windows.count * network.classes)
    for batch in 0..<batchCount { result += try probabilities(ofBatch: batch) }
    try PredictionError.check(result, of: network)
    return result
  }

  /// Probabilities `[B, classes]` of a batch of windows `[B, T, C]` that need no labels.
  ///
  /// - Throws: `DeviceError`, and `PredictionError` where the network answers with something else.
  public func predict(_ batch: [Float]) throws -> [Float] {
    let (time, channels) = network.input
    let live = batch.count / (time * channels)
    precondition(live * time * channels == batch.count, "whole windows")
    try loaded.write(batch, to: plan.prediction.batch)
    try checkKept(batch)
    try loaded.run(.predict, step: 0, live: live)
    let result = Array(
      try loaded.read(plan.prediction.probabilities).prefix(live * network.classes))
    try PredictionError.check(result, of: network)
    return result
  }

  /// Looks at the first batch once it is on the device. Where that stores halves, they are rounded.
  private func checkKept(_ batch: [Float]) throws(DeviceError) {
    guard !hasKeptBatch else { return }
    let found = try loaded.read(plan.prediction.batch)
    let isHalf = loaded.storage(of: plan.prediction.batch) == .float16
    for (index, value) in batch.enumerated() {
      let expected = isHalf ? Float(Float16(value)) : value
      guard found[index].bitPattern == expected.bitPattern || expected.isNaN else {
        throw .computesWrongly(
          device: device,
          what: "of the windows that were uploaded, sample \(index) of \(batch.count) reads back "
            + "as \(found[index]), expected \(expected)")
      }
    }
    hasKeptBatch = true
  }
}

/// What a network must not answer.
public enum PredictionError: Error, Equatable, CustomStringConvertible {
  /// Its outputs for some windows are NaN or infinite, or do not sum to 1.
  case noProbabilities(network: String, windows: Int, of: Int)

  public var description: String {
    switch self {
    case .noProbabilities(let network, let windows, let all):
      "\(network): its answers to \(windows) of \(all) windows are no probabilities but NaN or "
        + "infinity, so nothing is said about them. Its weights or the recordings are at fault: "
        + "look at both with semg-train inspect."
    }
  }

  /// Finds rows `[windows, classes]` that are no probabilities: NaN, infinity, or a sum that is not 1.
  static func check(_ values: [Float], of network: Network) throws(PredictionError) {
    let wrong = stride(from: 0, to: values.count, by: network.classes).count { start in
      let row = values[start..<start + network.classes]
      return !(row.allSatisfy { (0...1.001).contains($0) } && abs(row.reduce(0, +) - 1) < 0.01)
    }
    guard wrong == 0 else {
      throw .noProbabilities(
        network: network.name, windows: wrong, of: values.count / network.classes)
    }
  }
}
