import Compute
import Networks
import Recordings
import SignalPreparation

/// Trains one network on a device: an epoch of steps, then validation, and the best epoch's weights
/// kept (highest validation accuracy, the first one on a tie).
public final class Trainer {
  /// Of the model, in files and reports.
  let name: String
  let settings: TrainerSettings
  let network: LoadedNetwork
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
  var history: [EpochRecord] = []
  var best: TrainerState.Best?
  /// Epochs in a row with updates, in half precision, whose validation gave no number.
  var epochsWithoutValidation = 0

  /// Loads the network on the device, uploads the windows and writes the weights.
  ///
  /// - Parameters:
  ///   - state: where an earlier training stood at the end of an epoch, to go on from; nil to begin,
  ///     with the weights of Keras's initializers.
  ///   - initialWeights: what a training that begins takes in place of the initializers' values.
  ///   - report: told of every event, on the thread that trains.
  ///   - shouldStop: asked before every step; true ends the training at once.
  /// - Throws: `TrainingError`, `DeviceError`.
  public init(
    name: String, network: Network, device: any Device, data: PreparedRecordings,
    settings: TrainerSettings, state: TrainerState? = nil,
    initialWeights: NetworkWeights? = nil,
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws {
    let training = data.windows(of: .train)
    validationWindows = data.windows(of: .validation)
    guard !training.isEmpty else { throw TrainingError.noWindows(part: "training") }
    guard !validationWindows.isEmpty else { throw TrainingError.noWindows(part: "validation") }
    self.name = name
    self.settings = settings
    self.report = report
    self.shouldStop = shouldStop
    let recipe = settings.recipe
    let classWeights = try settings.lossWeights(classes: network.classes)
    self.network = try LoadedNetwork(
      network, on: device,
      options: Self.options(for: data, recipe: recipe, classWeights: classWeights))
    skipped = try self.network.loaded.lossScaling().map { _ in SkippedSteps() }
    let augmentation = Augmentation(
      windows: training, channels: data.channels, recipe: recipe)
    tables = EpochTables(
      dataset: try self.network.upload(data.dataset), augmentation: augmentation,
      schedule: recipe.schedule(samples: augmentation.sampleCount), batchSize: recipe.batchSize)
    if let state {
      try resume(state)
    } else {
      try self.network.write(
        initialWeights ?? NetworkWeights(initializing: network, seed: recipe.seed))
    }
  }

  /// What training loads a network for. The parts that are answered when it is trained are answered
  /// by the same one.
  static func options(
    for data: PreparedRecordings, recipe: TrainingRecipe, classWeights: [Float]
  ) -> LoadedNetwork.Options {
    .training(
      samples: Augmentation.sampleCount(windows: data.windows(of: .train).count),
      inference: [Part.validation, .test].map { data.windows(of: $0).count },
      batchSize: recipe.batchSize, classWeights: classWeights, constants: recipe.constants,
      seed: recipe.seed)
  }

  /// Finds what keeps a device from training a network, by loading it as a training would.
  ///
  /// - Throws: `TrainingError`, `DeviceError`.
  static func checkLoading(
    _ network: Network, device: any Device, data: PreparedRecordings, settings: TrainerSettings
  ) throws {
    let classWeights = try settings.lossWeights(classes: network.classes)
    _ = try LoadedNetwork(
      network, on: device,
      options: options(for: data, recipe: settings.recipe, classWeights: classWeights))
  }

  /// Bytes that training holds on the device.
  public var byteCount: Int { network.byteCount }

  /// Trains until the epochs are done, the deadline passes or the caller wants to stop.
  ///
  /// - Parameters:
  ///   - improved: called after every epoch better than all before it, with the weights of that
  ///     epoch: where an artifact is written.
  ///   - ended: called at the end of every epoch of which no step was left unrun, before its event:
  ///     that is when `state()` can be asked for.
  /// - Throws: `TrainingError.diverged`, `TrainingError.overflowed`, `DeviceError`, and what
  ///   `improved` and `ended` throw.
  public func train(
    improved: (TrainedModel) throws -> Void = { _ in }, ended: (Trainer) throws -> Void = { _ in }
  ) throws -> TrainedModel {
    report(
      .started(name, parameters: network.network.parameterCount, stepsPerEpoch: stepCount))
    var outcome = TrainedModel.Outcome.completed
    for epoch in history.count..<settings.recipe.epochs {
      let (record, ending) = try trainEpoch(epoch)
      guard let record else {
        outcome = .interrupted
        break
      }
      history.append(record)
      if record.isBest {
        best = TrainerState.Best(weights: try network.weights(), optimizer: try optimizer())
        try improved(try model(.completed))
      }
      if ending != .outOfTime { try ended(self) }
      report(.epoch(record))
      let isLate = settings.deadline.map { clock.now >= $0 } ?? false
      if ending == .outOfTime || isLate && epoch + 1 < settings.recipe.epochs {
        outcome = .outOfTime
        break
      }
    }
    if best == nil, outcome != .interrupted, !history.isEmpty {
      throw TrainingError.validationOverflowed(model: name, epochs: history.count)
    }
    let model = try model(outcome)
    report(.finished(name, outcome, bestEpoch: model.bestEpoch))
    return model
  }

  /// Probabilities `[windows, classes]` of windows of the recordings by the weights of a model that
  /// was trained here, which take the place of those that were there.
  ///
  /// - Throws: `DeviceError`, `PredictionError`.
  func probabilities(of windows: [Int32], by model: TrainedModel) throws -> [Float] {
    try network.write(model.weights)
    return try network.probabilities(of: windows)
  }

  /// Steps of an epoch.
  public var stepCount: Int { tables.stepCount }

  /// Updates that were made. A step that is left out does not count, to Adam's bias correction, to
  /// the schedule, or in an archive: as with Keras's `LossScaleOptimizer`.
  var iterations: Int { steps - skippedNow }

  /// Steps left out so far.
  var skippedNow: Int { skipped?.count ?? 0 }

  /// Of the last update.
  var lastLearningRate: Double { schedule[max(0, iterations - 1)] }

  /// Adam's state as it is now.
  func optimizer() throws(DeviceError) -> OptimizerState {
    try network.optimizer(iterations: iterations)
  }

  /// The best epoch's weights, or those that are there where none is the best, with the history up to
  /// here.
  private func model(_ outcome: TrainedModel.Outcome) throws -> TrainedModel {
    let best = try best ?? TrainerState.Best(weights: network.weights(), optimizer: optimizer())
    return TrainedModel(
      name: name, network: network.network, weights: best.weights, optimizer: best.optimizer,
      bestEpoch: history.last { $0.isBest }?.epoch ?? history.last?.epoch ?? 0, history: history,
      outcome: outcome, recipe: settings.recipe, schedule: schedule)
  }
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
