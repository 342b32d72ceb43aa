import Compute
import Networks
import Recordings

/// Settings of one model's training.
public struct TrainerSettings: Sendable {
  public var epochs: Int
  public var batchSize: Int
  public var seed: UInt64
  public var recipe: Recipe
  /// One a class, or nil for the published ones where there are five classes.
  public var classWeights: [Float]?
  /// When to stop, be the epochs done or not.
  public var deadline: ContinuousClock.Instant?

  public init(
    epochs: Int = 60, batchSize: Int = 128, seed: UInt64 = 42, recipe: Recipe = .standard,
    classWeights: [Float]? = nil, deadline: ContinuousClock.Instant? = nil
  ) {
    self.epochs = epochs
    self.batchSize = batchSize
    self.seed = seed
    self.recipe = recipe
    self.classWeights = classWeights
    self.deadline = deadline
  }

  /// The loss's weight of each class; none where all are equal.
  public func lossWeights(classes: Int) throws(TrainingError) -> [Float] {
    guard let classWeights else { return [] }
    guard classWeights.count == classes else {
      throw .classWeightCount(expected: classes, found: classWeights.count)
    }
    for weight in classWeights where !(weight.isFinite && weight > 0) {
      throw .nonFiniteClassWeight(weight)
    }
    return classWeights
  }
}

/// A model as its training left it: the weights of its best epoch.
public struct TrainedModel: Sendable {
  public enum Outcome: String, Sendable {
    case completed, outOfTime, interrupted
  }

  public var kind: ModelKind
  public var network: Network
  public var weights: NetworkWeights
  public var optimizer: OptimizerState
  /// From 1; 0 where no epoch was finished.
  public var bestEpoch: Int
  public var history: [EpochRecord]
  public var outcome: Outcome
  public var schedule: LearningRateSchedule
}

/// Trains one network on a device: an epoch of steps, then validation, and the best epoch's weights
/// kept (highest validation accuracy, the first one on a tie).
public final class Trainer {
  let kind: ModelKind
  let settings: TrainerSettings
  private let built: NetworkPlan
  let loaded: any LoadedPlan
  let tables: EpochTables
  let validationWindows: [Int32]
  public var schedule: LearningRateSchedule { tables.schedule }
  let report: (TrainingEvent) -> Void
  let shouldStop: () -> Bool
  let clock = ContinuousClock()
  /// Steps that were run, which random draws count by.
  var steps = 0
  /// Those of them whose updates were left out, in half precision.
  var skipped: SkippedSteps?
  /// The table of the epoch that comes next, made while the device is at work.
  var nextTable: Background<EpochTable>?
  /// As the last results that were read say; nil before any were.
  var secondsPerStep: Double?
  private var history: [EpochRecord] = []
  /// Epochs in a row with updates, in half precision, whose validation gave no number.
  var epochsWithoutValidation = 0

  /// Loads the network's plan on the device and uploads the windows.
  ///
  /// - Parameters:
  ///   - initial: weights to start from, or nil for Keras's initializers.
  ///   - report: told of every event, on the thread that trains.
  ///   - shouldStop: asked before every step; true ends the training at once.
  /// - Throws: `TrainingError`, `DeviceError`.
  public init(
    kind: ModelKind, network: Network, device: any Device, data: PreparedRecordings,
    settings: TrainerSettings, initial: NetworkWeights? = nil,
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws {
    let training = data.windows(of: .train)
    validationWindows = data.windows(of: .validation)
    guard !training.isEmpty else { throw TrainingError.noWindows(part: "training") }
    guard !validationWindows.isEmpty else { throw TrainingError.noWindows(part: "validation") }
    self.kind = kind
    self.settings = settings
    self.report = report
    self.shouldStop = shouldStop
    let augmentation = Augmentation(
      windows: training, channels: data.channels, recipe: settings.recipe,
      seed: settings.seed)
    let schedule = LearningRateSchedule(
      firstPeriod: settings.recipe.firstPeriod(
        samples: augmentation.sampleCount, batchSize: settings.batchSize,
        epochs: settings.epochs))
    built = try Self.plan(of: network, data: data, settings: settings)
    loaded = try device.load(
      built.plan, options: Self.loadOptions(for: data, settings: settings))
    skipped = try loaded.lossScaling().map { _ in SkippedSteps() }
    tables = EpochTables(
      dataset: try loaded.upload(data.dataset), augmentation: augmentation, schedule: schedule,
      batchSize: settings.batchSize)
    let weights = initial ?? NetworkWeights(initializing: network, seed: settings.seed)
    for (tensor, values) in zip(built.weights, weights.values) {
      try loaded.write(values, to: tensor)
    }
  }

  private static func plan(
    of network: Network, data: PreparedRecordings, settings: TrainerSettings
  ) throws(TrainingError) -> NetworkPlan {
    let capacities = capacities(for: data, batchSize: settings.batchSize)
    return NetworkPlan(
      network,
      options: NetworkPlanOptions(
        batchCapacity: capacities.training, inferenceCapacity: capacities.inference,
        classWeights: try settings.lossWeights(classes: network.classes),
        mixesLabels: settings.recipe.mixesLabels))
  }

  private static func loadOptions(
    for data: PreparedRecordings, settings: TrainerSettings
  ) -> LoadOptions {
    let samples = Augmentation.sampleCount(windows: data.windows(of: .train).count)
    return LoadOptions(
      programs: [.forwardBackward, .update, .validate],
      liveBatches: [
        .forwardBackward: liveBatches(samples, settings.batchSize),
        .validate: liveBatches(data.windows(of: .validation).count, settings.batchSize),
      ], seed: settings.seed)
  }

  /// Finds what keeps a device from training a network, by loading it as a training would.
  ///
  /// - Throws: `TrainingError`, `DeviceError`.
  static func checkLoading(
    _ network: Network, device: any Device, data: PreparedRecordings, settings: TrainerSettings
  ) throws {
    let plan = try plan(of: network, data: data, settings: settings).plan
    _ = try device.load(plan, options: loadOptions(for: data, settings: settings))
  }

  /// Bytes that training holds on the device.
  public var byteCount: Int { loaded.byteCount }

  /// Trains until the epochs are done, the deadline passes or the caller wants to stop.
  ///
  /// - Parameter improved: called after every epoch better than all before it, with the weights of
  ///   that epoch: where an artifact is written.
  /// - Throws: `TrainingError.diverged`, `TrainingError.overflowed`, `DeviceError`, and what
  ///   `improved` throws.
  public func train(improved: (TrainedModel) throws -> Void = { _ in }) throws -> TrainedModel {
    report(
      .started(kind, parameters: built.network.parameterCount, stepsPerEpoch: stepCount))
    try loaded.upload(
      EpochTable(
        dataset: tables.dataset, samples: validationWindows.map { SampleEntry(window: $0) }),
      for: .validate)
    var best: TrainedModel?
    var outcome = TrainedModel.Outcome.completed
    for epoch in 0..<settings.epochs {
      let start = clock.now
      let first = steps
      let skippedBefore = skippedNow
      let trained = try trainEpoch(epoch)
      if trained.ended == .interrupted {
        outcome = .interrupted
        break
      }
      let seconds = start.duration(to: clock.now).seconds
      let validation = try validate()
      try check(validation, epoch: epoch, first: first, skipped: skippedNow - skippedBefore)
      let isBest = validation.accuracy > (best?.history.last?.validationAccuracy ?? -1)
      let record = EpochRecord(
        model: kind, epoch: epoch + 1, loss: trained.loss, accuracy: trained.accuracy,
        validationLoss: validation.loss, validationAccuracy: validation.accuracy,
        learningRate: lastLearningRate,
        seconds: start.duration(to: clock.now).seconds,
        samplesPerSecond: Double(trained.samples) / max(seconds, 1e-9), isBest: isBest,
        skippedSteps: skippedNow - skippedBefore)
      history.append(record)
      if isBest {
        let model = try snapshot(outcome: .completed)
        best = model
        try improved(model)
      }
      report(.epoch(record))
      let isLate = settings.deadline.map { clock.now >= $0 } ?? false
      if trained.ended == .outOfTime || isLate && epoch + 1 < settings.epochs {
        outcome = .outOfTime
        break
      }
    }
    if best == nil, outcome != .interrupted, !history.isEmpty {
      throw TrainingError.validationOverflowed(model: kind.rawValue, epochs: history.count)
    }
    var model = try best ?? snapshot(outcome: outcome)
    model.history = history
    model.outcome = outcome
    report(.finished(kind, outcome, bestEpoch: model.bestEpoch))
    return model
  }

  /// Steps of an epoch.
  public var stepCount: Int { tables.stepCount }

  /// Updates that were made. A step that is left out does not count, to Adam's bias correction, to
  /// the schedule, or in an archive: as with Keras's `LossScaleOptimizer`.
  var iterations: Int { steps - skippedNow }

  /// Steps left out so far.
  private var skippedNow: Int { skipped?.count ?? 0 }

  /// Of the last update.
  var lastLearningRate: Double { schedule[max(0, iterations - 1)] }

  /// Samples that memory is needed for: of a batch, or of the whole part where that has fewer.
  public static func capacities(
    for data: PreparedRecordings, batchSize: Int
  ) -> (training: Int, inference: Int) {
    let samples = Augmentation.sampleCount(windows: data.windows(of: .train).count)
    let validation = data.windows(of: .validation).count
    return (max(1, min(batchSize, samples)), max(1, min(batchSize, validation)))
  }

  /// Live sizes that occur when `count` samples are taken by `capacity`.
  static func liveBatches(_ count: Int, _ capacity: Int) -> [Int] {
    let rest = count % capacity
    return (count >= capacity ? [capacity] : []) + (rest > 0 ? [rest] : [])
  }

  /// The weights as they are now, with the history up to here.
  private func snapshot(outcome: TrainedModel.Outcome) throws -> TrainedModel {
    let weights = try built.weights.map { try loaded.read($0) }
    let first = try built.firstMoments.map { try loaded.read($0) }
    let second = try built.secondMoments.map { try loaded.read($0) }
    return TrainedModel(
      kind: kind, network: built.network, weights: NetworkWeights(values: weights),
      optimizer: OptimizerState(
        iterations: iterations, firstMoments: first, secondMoments: second),
      bestEpoch: history.last?.epoch ?? 0, history: history, outcome: outcome,
      schedule: schedule)
  }
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
