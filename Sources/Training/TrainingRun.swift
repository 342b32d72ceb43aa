import Artifacts
import Compute
import Networks
import Recordings

/// Trains the models of an ensemble one after another and writes their artifacts into a directory.
/// Whatever ends a run, the files there are whole.
public struct TrainingRun {
  public let data: PreparedRecordings
  public let device: any Device
  public let settings: RunSettings
  public let directory: RunDirectory

  public init(
    data: PreparedRecordings, device: any Device, settings: RunSettings, directory: RunDirectory
  ) {
    self.data = data
    self.device = device
    self.settings = settings
    self.directory = directory
  }

  /// - Parameters:
  ///   - report: told of every event, on the caller's thread.
  ///   - shouldStop: asked before every step; true ends the run, best artifacts kept.
  /// - Returns: the report, which also lies in `metrics.json`; nil where the run was stopped.
  /// - Throws: `TrainingError`, `DeviceError`, `NetworkError`, `ArchiveError`, `FileWriteError`.
  public func train(
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws -> RunReport? {
    let clock = ContinuousClock()
    let start = clock.now
    var models: [TrainedModel] = []
    var history: [EpochRecord] = []
    var members: [Part: [(name: String, probabilities: [Float])]] = [:]
    for (index, kind) in settings.models.enumerated() {
      let share = Double(index + 1) / Double(settings.models.count)
      let model = try train(
        kind, deadline: settings.maximumMinutes.map { start + .seconds(min($0, 1e7) * 60 * share) },
        report: { event in
          if case .epoch(let record) = event { history.append(record) }
          report(event)
        }, shouldStop: shouldStop, history: { history })
      guard model.outcome != .interrupted else { return nil }
      models.append(model)
      let evaluator = Evaluator(device: device, batchSize: settings.batchSize)
      for part in [Part.validation, .test] {
        if shouldStop() { return nil }
        let probabilities = try evaluator.probabilities(
          network: model.network, weights: model.weights, dataset: data.dataset,
          windows: data.windows(of: part))
        members[part, default: []].append((kind.rawValue, probabilities))
      }
    }
    func partReport(_ part: Part) throws -> PartReport {
      try PartReport(
        part: part.rawValue, of: data, windows: data.windows(of: part),
        members: members[part] ?? [], weights: settings.ensembleWeights)
    }
    let result = RunReport(
      test: try partReport(.test), validation: try partReport(.validation),
      artifacts: settings.models.map(path), models: models,
      seconds: start.duration(to: clock.now).seconds, device: device, settings: settings)
    try directory.write(metrics: result)
    return result
  }

  private func path(of kind: ModelKind) -> String { directory.artifact(of: kind.rawValue) }

  private func train(
    _ kind: ModelKind, deadline: ContinuousClock.Instant?,
    report: @escaping (TrainingEvent) -> Void, shouldStop: @escaping () -> Bool,
    history: @escaping () -> [EpochRecord]
  ) throws -> TrainedModel {
    var writeFailure: (any Error)?
    let trainer = try Trainer(
      kind: kind,
      network: try settings.network(
        kind, windowLength: data.windowLength, channels: data.channels,
        classes: data.classes.count),
      device: device, data: data,
      settings: TrainerSettings(
        epochs: settings.epochs, batchSize: settings.batchSize, seed: settings.seed,
        recipe: settings.recipe, classWeights: settings.classWeights, deadline: deadline),
      report: { event in
        report(event)
        guard case .epoch = event else { return }
        do {
          try directory.write(TrainingHistory(epochs: history().map(\.line)))
        } catch {
          writeFailure = writeFailure ?? error
        }
      }, shouldStop: { writeFailure != nil || shouldStop() })
    let model = try trainer.train { try save($0) }
    if let writeFailure { throw writeFailure }
    return model
  }

  /// Writes a model as a Keras archive, compiled state included.
  private func save(_ model: TrainedModel) throws(ArchiveError) {
    let schedule = model.schedule
    try KerasArchive.write(
      model.network, weights: model.weights, optimizer: model.optimizer,
      training: TrainingSettings(
        learningRate: .cosineDecayRestarts(
          initial: Float(schedule.initial), firstDecaySteps: schedule.firstPeriod,
          tMul: Float(schedule.periodFactor), mMul: Float(schedule.restartFactor),
          alpha: Float(schedule.floor))),
      to: path(of: model.kind))
  }
}

extension EpochRecord {
  /// Its line of `history.csv`.
  var line: TrainingHistory.Epoch {
    TrainingHistory.Epoch(
      model: model.rawValue, epoch: epoch, loss: loss, accuracy: accuracy,
      validationLoss: validationLoss, validationAccuracy: validationAccuracy,
      learningRate: learningRate, seconds: seconds)
  }
}
