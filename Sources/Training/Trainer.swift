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

  /// The loss's weight of each class: {1, 1.5, 1.5, 1, 1} where there are five gestures and the
  /// user gave no others.
  public func lossWeights(classes: Int) throws(TrainingError) -> [Float] {
    guard let classWeights else { return classes == 5 ? [1, 1.5, 1.5, 1, 1] : [] }
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
  private let kind: ModelKind
  private let settings: TrainerSettings
  private let built: NetworkPlan
  private let loaded: any LoadedPlan
  private let dataset: DatasetID
  private let augmentation: Augmentation
  private let validationWindows: [Int32]
  public let schedule: LearningRateSchedule
  private let report: (TrainingEvent) -> Void
  private let shouldStop: () -> Bool
  private let clock = ContinuousClock()
  private var iterations = 0
  private var history: [EpochRecord] = []
  /// Updates that were left out in the epochs of `history`.
  private var skippedSteps = 0

  /// Loads the network's plan on the device and uploads the windows.
  ///
  /// - Parameters:
  ///   - initial: weights to start from, or nil for Keras's initializers.
  ///   - report: told of every event, on the caller's thread.
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
    augmentation = Augmentation(
      windows: training, channels: data.channels, recipe: settings.recipe,
      seed: settings.seed)
    schedule = LearningRateSchedule(
      firstPeriod: settings.recipe.firstPeriod(
        samples: augmentation.sampleCount, batchSize: settings.batchSize,
        epochs: settings.epochs))
    let capacities = Self.capacities(for: data, batchSize: settings.batchSize)
    built = NetworkPlan(
      network,
      options: NetworkPlanOptions(
        batchCapacity: capacities.training, inferenceCapacity: capacities.inference,
        classWeights: try settings.lossWeights(classes: network.classes),
        mixesLabels: settings.recipe.mixesLabels))
    loaded = try device.load(
      built.plan,
      options: LoadOptions(
        programs: [.forwardBackward, .update, .validate],
        liveBatches: [
          .forwardBackward: Self.liveBatches(augmentation.sampleCount, settings.batchSize),
          .validate: Self.liveBatches(validationWindows.count, settings.batchSize),
        ], seed: settings.seed))
    dataset = try loaded.upload(data.dataset)
    let weights = initial ?? NetworkWeights(initializing: network, seed: settings.seed)
    for (tensor, values) in zip(built.weights, weights.values) {
      try loaded.write(values, to: tensor)
    }
  }

  /// Bytes that training holds on the device.
  public var byteCount: Int { loaded.byteCount }

  /// Trains until the epochs are done, the deadline passes or the caller wants to stop.
  ///
  /// - Parameter improved: called after every epoch better than all before it, with the weights of
  ///   that epoch: where an artifact is written.
  /// - Throws: `TrainingError.diverged`, `DeviceError`, and what `improved` throws.
  public func train(improved: (TrainedModel) throws -> Void = { _ in }) throws -> TrainedModel {
    let steps = stepCount
    report(
      .started(kind, parameters: built.network.parameterCount, stepsPerEpoch: steps))
    try loaded.upload(
      EpochTable(dataset: dataset, samples: validationWindows.map { SampleEntry(window: $0) }),
      for: .validate)
    var best: TrainedModel?
    var outcome = TrainedModel.Outcome.completed
    for epoch in 0..<settings.epochs {
      let start = clock.now
      let first = iterations
      let trained = try trainEpoch(epoch)
      if trained.ended == .interrupted {
        outcome = .interrupted
        break
      }
      let seconds = start.duration(to: clock.now).seconds
      let validation = try validate()
      // The last update of an epoch shows here first.
      guard validation.loss.isFinite else {
        throw TrainingError.diverged(
          model: kind.rawValue, epoch: epoch + 1, step: iterations - first,
          learningRate: schedule[max(0, iterations - 1)], loss: Float(validation.loss))
      }
      let skipped = try loaded.lossScaling()?.skippedSteps ?? 0
      let isBest = validation.accuracy > (best?.history.last?.validationAccuracy ?? -1)
      let record = EpochRecord(
        model: kind, epoch: epoch + 1, loss: trained.loss, accuracy: trained.accuracy,
        validationLoss: validation.loss, validationAccuracy: validation.accuracy,
        learningRate: schedule[max(0, iterations - 1)],
        seconds: start.duration(to: clock.now).seconds,
        samplesPerSecond: Double(trained.samples) / max(seconds, 1e-9), isBest: isBest,
        skippedSteps: skipped - skippedSteps)
      skippedSteps = skipped
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
    var model = try best ?? snapshot(outcome: outcome)
    model.history = history
    model.outcome = outcome
    report(.finished(kind, outcome, bestEpoch: model.bestEpoch))
    return model
  }

  /// Steps of an epoch.
  public var stepCount: Int {
    (augmentation.sampleCount + settings.batchSize - 1) / settings.batchSize
  }

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

  private typealias EpochResult = (
    loss: Double, accuracy: Double, samples: Int, ended: TrainedModel.Outcome
  )

  private func trainEpoch(_ epoch: Int) throws -> EpochResult {
    let steps = stepCount
    let first = iterations
    let entries = augmentation.samples(epoch: epoch)
    try loaded.upload(
      EpochTable(
        dataset: dataset, samples: entries,
        learningRates: (0..<steps).map { Float(schedule[first + $0]) }, firstIteration: first,
        augmentationEpoch: augmentation.viewEpoch(epoch)), for: .forwardBackward)
    var tally = Tally(
      sampleCount: entries.count, capacity: settings.batchSize, start: clock.now)
    var ended = TrainedModel.Outcome.completed
    for step in 0..<steps {
      if shouldStop() {
        ended = .interrupted
        break
      }
      if let deadline = settings.deadline, clock.now >= deadline, step > 0 {
        ended = .outOfTime
        break
      }
      let live = tally.live(step)
      try loaded.run(.forwardBackward, step: step, live: live)
      try loaded.run(.update, step: step, live: live)
      iterations += 1
      if tally.isDue(clock.now) {
        try collect(&tally, upTo: step + 1, epoch: epoch, firstIteration: first)
      }
    }
    if ended == .interrupted {
      return (0, 0, 0, ended)
    }
    try collect(&tally, upTo: iterations - first, epoch: epoch, firstIteration: first)
    return (tally.meanLoss, tally.accuracy, tally.samples, ended)
  }

  /// Reads the results of finished steps, looks for a loss that is no number, reports progress.
  private func collect(
    _ tally: inout Tally, upTo end: Int, epoch: Int, firstIteration: Int
  ) throws {
    guard end > tally.steps else { return }
    let first = tally.steps
    let results = try loaded.results(of: .forwardBackward, steps: first..<end)
    for (offset, result) in results.enumerated() {
      let loss = result.loss + result.penalty
      guard loss.isFinite else {
        throw TrainingError.diverged(
          model: kind.rawValue, epoch: epoch + 1, step: first + offset + 1,
          learningRate: schedule[firstIteration + first + offset], loss: loss)
      }
      tally.add(result)
    }
    tally.lastRead = clock.now
    let speed = Double(tally.samples) / max(tally.start.duration(to: clock.now).seconds, 1e-9)
    let left =
      (settings.epochs - epoch) * tally.sampleCount - tally.samples
    report(
      .progress(
        StepProgress(
          model: kind, epoch: epoch + 1, epochs: settings.epochs, step: end, steps: stepCount,
          loss: tally.meanLoss, accuracy: tally.accuracy, samplesPerSecond: speed,
          secondsLeft: Double(left) / max(speed, 1e-9))))
  }

  private func validate() throws -> (loss: Double, accuracy: Double) {
    var tally = Tally(
      sampleCount: validationWindows.count, capacity: settings.batchSize, start: clock.now)
    let steps = (validationWindows.count + settings.batchSize - 1) / settings.batchSize
    for step in 0..<steps {
      try loaded.run(.validate, step: step, live: tally.live(step))
    }
    for result in try loaded.results(of: .validate, steps: 0..<steps) { tally.add(result) }
    return (tally.meanLoss, tally.accuracy)
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

/// Sums over the steps of a pass.
private struct Tally {
  let sampleCount: Int
  let capacity: Int
  let start: ContinuousClock.Instant
  var lastRead: ContinuousClock.Instant
  var steps = 0
  var samples = 0
  var hits = 0
  var loss = 0.0

  init(sampleCount: Int, capacity: Int, start: ContinuousClock.Instant) {
    self.sampleCount = sampleCount
    self.capacity = capacity
    self.start = start
    lastRead = start
  }

  func live(_ step: Int) -> Int { min(capacity, sampleCount - step * capacity) }

  /// Results are read ten times a second, so that no queue runs dry waiting for the host.
  func isDue(_ now: ContinuousClock.Instant) -> Bool {
    lastRead.duration(to: now) >= .milliseconds(100)
  }

  mutating func add(_ result: StepResult) {
    let live = live(steps)
    steps += 1
    samples += live
    hits += result.hits
    loss += Double(result.loss + result.penalty) * Double(live)
  }

  var meanLoss: Double { loss / Double(max(1, samples)) }
  var accuracy: Double { Double(hits) / Double(max(1, samples)) }
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
