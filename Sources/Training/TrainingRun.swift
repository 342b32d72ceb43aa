import Artifacts
import Compute
import Networks
import Recordings

/// Trains the models of an ensemble, at the same time where the device gains by it, else one after
/// another, and writes their artifacts into a directory.
/// Whatever ends a run, the files there are whole.
public struct TrainingRun {
  public let data: PreparedRecordings
  public let device: any Device
  public let settings: RunSettings
  public let directory: RunDirectory
  public let origin: RunOrigin

  public init(
    data: PreparedRecordings, device: any Device, settings: RunSettings, directory: RunDirectory,
    origin: RunOrigin = RunOrigin()
  ) {
    self.origin = origin
    self.data = data
    self.device = device
    self.settings = settings
    self.directory = directory
  }

  /// - Parameters:
  ///   - report: told of every event, of one at a time, on a thread that trains.
  ///   - shouldStop: asked before every step, likewise; true ends the run, best artifacts kept.
  /// - Returns: the report, which also lies in `metrics.json`; nil where the run was stopped.
  /// - Throws: `TrainingError`, `DeviceError`, `NetworkError`, `ArchiveError`, `FileWriteError`.
  public func train(
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws -> RunReport? {
    let clock = ContinuousClock()
    let start = clock.now
    let progress = RunProgress(self, report: report, shouldStop: shouldStop)
    let models: [TrainedModel]
    do {
      models = try trainModels(progress, from: start)
    } catch {
      try? progress.finish()
      throw error
    }
    try progress.finish()
    guard models.count == settings.models.count else { return nil }
    var members: [Part: [(name: String, probabilities: [Float])]] = [:]
    let evaluator = Evaluator(device: device, batchSize: settings.batchSize)
    for model in models {
      for part in [Part.validation, .test] {
        if progress.shouldStop() { return nil }
        let probabilities = try evaluator.probabilities(
          network: model.network, weights: model.weights, dataset: data.dataset,
          windows: data.windows(of: part))
        members[part, default: []].append((model.kind.rawValue, probabilities))
      }
    }
    func partReport(_ part: Part) throws -> PartReport {
      try PartReport(
        part: part.rawValue, of: data, windows: data.windows(of: part),
        members: members[part] ?? [], weights: settings.ensembleWeights)
    }
    let result = RunReport(
      test: try partReport(.test), validation: try partReport(.validation),
      artifacts: settings.models.map { RunDirectory.artifactName(of: $0.rawValue) }, models: models,
      seconds: start.duration(to: clock.now).seconds, device: device, settings: settings,
      origin: origin)
    try directory.write(metrics: result)
    return result
  }

  func path(of kind: ModelKind) -> String { directory.artifact(of: kind.rawValue) }

  /// - Returns: all models, or fewer where the run was stopped.
  private func trainModels(
    _ progress: RunProgress, from start: ContinuousClock.Instant
  ) throws -> [TrainedModel] {
    if TrainingMemory(of: data, settings: settings, on: device).trainsAtOnce,
      let models = try progress.trainAtOnce(
        settings.models,
        load: { try trainer(of: $0, progress, deadline: deadline(1, from: start)) })
    {
      return models
    }
    var models: [TrainedModel] = []
    for (index, kind) in settings.models.enumerated() {
      let share = Double(index + 1) / Double(settings.models.count)
      let trainer = try trainer(of: kind, progress, deadline: deadline(share, from: start))
      let model = try trainer.train { progress.save($0) }
      guard model.outcome != .interrupted else { break }
      models.append(model)
    }
    return models
  }

  /// When a share of the time is over.
  private func deadline(
    _ share: Double, from start: ContinuousClock.Instant
  ) -> ContinuousClock.Instant? {
    settings.maximumMinutes.map { start + .seconds(min($0, 1e7) * 60 * share) }
  }

  private func trainer(
    of kind: ModelKind, _ progress: RunProgress, deadline: ContinuousClock.Instant?
  ) throws -> Trainer {
    try Trainer(
      kind: kind,
      network: try settings.network(
        kind, windowLength: data.windowLength, channels: data.channels,
        classes: data.classes.count),
      device: device, data: data,
      settings: TrainerSettings(
        epochs: settings.epochs, batchSize: settings.batchSize, seed: settings.seed,
        recipe: settings.recipe, classWeights: settings.lossWeights(gestures: data.classes),
        deadline: deadline),
      report: progress.report, shouldStop: progress.shouldStop)
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
