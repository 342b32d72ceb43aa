import Artifacts
import Compute
import Networks
import Recordings
import SignalPreparation
import Synchronization

/// Trains the models of an ensemble, at the same time where the device gains by it, else one after
/// another, and writes their artifacts into a directory.
/// Whatever ends a run, the files there are whole.
public struct TrainingRun {
  public let data: PreparedRecordings
  public let device: any Device
  public let settings: RunSettings
  public let origin: RunOrigin
  private let place: RunPlace

  /// - Parameters:
  ///   - start: when the time of `settings.maximumMinutes` began; nil for the start of `train`.
  ///   - directory: opens the directory. Called once, when all that can keep the training from
  ///     starting is behind: until then nothing of an earlier run is touched.
  public init(
    data: PreparedRecordings, device: any Device, settings: RunSettings,
    start: ContinuousClock.Instant? = nil, origin: RunOrigin = RunOrigin(),
    directory: @escaping () throws -> RunDirectory
  ) {
    self.origin = origin
    self.data = data
    self.device = device
    self.settings = settings
    self.start = start
    place = RunPlace(directory)
  }

  /// A run into a directory that is open already.
  public init(
    data: PreparedRecordings, device: any Device, settings: RunSettings, directory: RunDirectory
  ) {
    self.init(data: data, device: device, settings: settings) { directory }
  }

  private let start: ContinuousClock.Instant?

  /// - Parameters:
  ///   - report: told of every event, of one at a time, on a thread that trains.
  ///   - shouldStop: asked before every step, likewise; true ends the run, best artifacts kept.
  /// - Returns: the report, which also lies in `metrics.json`; nil where the run was stopped.
  /// - Throws: `TrainingError`, `DeviceError`, `NetworkError`, `ArchiveError`, `FileWriteError`, and
  ///   what opening the directory throws.
  public func train(
    report: @escaping (TrainingEvent) -> Void = { _ in },
    shouldStop: @escaping () -> Bool = { false }
  ) throws -> RunReport? {
    let clock = ContinuousClock()
    let start = clock.now
    let progress = RunProgress(self, report: report, shouldStop: shouldStop)
    let models: [EvaluatedModel]
    do {
      models = try trainModels(progress, from: self.start ?? start)
    } catch {
      try? progress.finish()
      throw error
    }
    try progress.finish()
    guard models.count == settings.models.count else { return nil }
    var members: [Part: [(name: String, probabilities: [Float])]] = [:]
    for model in models {
      for (part, probabilities) in try model.answers.get() {
        members[part, default: []].append((model.model.name, probabilities))
      }
    }
    guard EvaluatedModel.parts.allSatisfy({ members[$0]?.count == models.count }) else {
      return nil
    }
    func partReport(_ part: Part) throws -> PartReport {
      try PartReport(
        part: part.rawValue, of: data, windows: data.windows(of: part),
        members: members[part] ?? [], weights: settings.ensembleWeights)
    }
    var result = RunReport(
      test: try partReport(.test), validation: try partReport(.validation),
      artifacts: settings.models.map { RunDirectory.artifactName(of: $0.name) },
      models: models.map(\.model), seconds: start.duration(to: clock.now).seconds, device: device,
      settings: settings, origin: origin)
    result.fingerprints = try directory().fingerprints(of: models.map(\.model))
    try directory().write(metrics: result)
    return result
  }

  /// The directory, which is opened where it is not open yet.
  func directory() throws -> RunDirectory { try place.directory() }

  /// - Returns: all models, or fewer where the run was stopped.
  private func trainModels(
    _ progress: RunProgress, from start: ContinuousClock.Instant
  ) throws -> [EvaluatedModel] {
    if TrainingMemory(of: data, settings: settings, on: device).trainsAtOnce,
      let models = try progress.trainAtOnce(
        settings.models,
        load: { try trainer(of: $0, progress, deadline: deadline(1, from: start)) },
        evaluate: { [data] in
          EvaluatedModel($0, by: $1, on: data, shouldStop: progress.shouldStop)
        })
    {
      return models
    }
    var models: [EvaluatedModel] = []
    // Those that come later are loaded once before the first is trained: what a device cannot run,
    // it says now.
    for model in settings.models.dropFirst() {
      if progress.shouldStop() { return [] }
      try Trainer.checkLoading(
        network(model), device: device, data: data, settings: trainerSettings(deadline: nil))
    }
    for (index, model) in settings.models.enumerated() {
      let share = Double(index + 1) / Double(settings.models.count)
      let trainer = try trainer(of: model, progress, deadline: deadline(share, from: start))
      _ = try directory()
      let trained = try trainer.train { progress.save($0) }
      guard trained.outcome != .interrupted else { break }
      models.append(
        EvaluatedModel(trained, by: trainer, on: data, shouldStop: progress.shouldStop))
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
    of model: NetworkModel, _ progress: RunProgress, deadline: ContinuousClock.Instant?
  ) throws -> Trainer {
    try Trainer(
      name: model.name, network: try network(model), device: device, data: data,
      settings: trainerSettings(deadline: deadline), initialWeights: model.initialWeights,
      report: progress.report,
      shouldStop: progress.shouldStop)
  }

  private func network(_ model: NetworkModel) throws(NetworkError) -> Network {
    try settings.network(
      model, windowLength: data.windowLength, channels: data.channels, classes: data.classes.count)
  }

  private func trainerSettings(deadline: ContinuousClock.Instant?) -> TrainerSettings {
    TrainerSettings(
      recipe: settings.recipe, classWeights: settings.lossWeights(gestures: data.classes),
      deadline: deadline)
  }
}

/// A trained model, and what it answers to the windows of the parts that are reported: asked for as
/// soon as it is trained, of the network that was loaded for that.
struct EvaluatedModel: Sendable {
  static let parts: [Part] = [.validation, .test]

  let model: TrainedModel
  /// Probabilities `[windows, classes]` of each part, fewer parts where the run was stopped. What
  /// went wrong is told when all models are trained.
  let answers: Result<[Part: [Float]], any Error>

  init(
    _ model: TrainedModel, by trainer: Trainer, on data: PreparedRecordings,
    shouldStop: () -> Bool
  ) {
    self.model = model
    answers = Result {
      var answers: [Part: [Float]] = [:]
      for part in Self.parts where !shouldStop() {
        answers[part] = try trainer.probabilities(of: data.windows(of: part), by: model)
      }
      return answers
    }
  }
}

/// The directory of a run, opened when it is first asked for.
///
/// `@unchecked Sendable`: the closure is called under the lock.
private final class RunPlace: @unchecked Sendable {
  private let open: () throws -> RunDirectory
  private let opened = Mutex<RunDirectory?>(nil)

  init(_ open: @escaping () throws -> RunDirectory) { self.open = open }

  func directory() throws -> RunDirectory {
    try opened.withLock { opened in
      let directory = try opened ?? open()
      opened = directory
      return directory
    }
  }
}

extension EpochRecord {
  /// Its line of `history.csv`.
  var line: TrainingHistory.Epoch {
    TrainingHistory.Epoch(
      model: model, epoch: epoch, loss: loss, accuracy: accuracy,
      validationLoss: validationLoss, validationAccuracy: validationAccuracy,
      learningRate: learningRate, seconds: seconds)
  }
}
