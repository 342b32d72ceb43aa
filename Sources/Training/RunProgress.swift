import Artifacts
import Compute
import Foundation
import Networks
import Synchronization

/// What the trainings of a run share, which may be on several threads: events one at a time, files
/// written one after another on a thread of their own, and the wish to stop.
///
/// `@unchecked Sendable`: the caller's closures are called under locks, all else is guarded.
final class RunProgress: @unchecked Sendable {
  private let run: TrainingRun
  private let tell: (TrainingEvent) -> Void
  private let asksToStop: () -> Bool
  private let files = BackgroundQueue(label: "artifacts")
  /// Of `tell`.
  private let telling = Mutex<[String: [EpochRecord]]>([:])
  /// Of `asksToStop`: whether it was ever true, or a training failed.
  private let isStopping = Mutex(false)

  init(
    _ run: TrainingRun, report: @escaping (TrainingEvent) -> Void,
    shouldStop: @escaping () -> Bool
  ) {
    self.run = run
    tell = report
    asksToStop = shouldStop
  }

  /// Passes an event on; after an epoch, `history.csv` is written anew: one model after another in
  /// the run's order, however they are trained.
  func report(_ event: TrainingEvent) {
    telling.withLock { histories in
      if case .epoch(let record) = event { histories[record.model, default: []].append(record) }
      tell(event)
      guard case .epoch = event else { return }
      let lines = run.settings.models.flatMap { histories[$0.name] ?? [] }.map(\.line)
      files.add { [self] in
        try run.directory().write(TrainingHistory(epochs: lines))
      }
    }
  }

  func shouldStop() -> Bool {
    isStopping.withLock { isStopping in
      if !isStopping { isStopping = files.failure != nil || asksToStop() }
      return isStopping
    }
  }

  /// Writes a model as a Keras archive, compiled state included.
  func save(_ model: TrainedModel) {
    files.add { [self] in
      let path = try run.directory().artifact(of: model.name)
      try KerasArchive.write(
        model.network, weights: model.weights, optimizer: model.optimizer,
        training: TrainingSettings(trainedBy: model), to: path)
    }
  }

  /// Waits until every file is written.
  ///
  /// - Throws: why the first that could not be written was not.
  func finish() throws { try files.finish() }

  /// Loads and trains each on a thread of its own: oneDNN's primitives must run on the thread that
  /// made them. One after another is loaded, then all train. The first that fails stops the others.
  ///
  /// - Parameters:
  ///   - load: makes a model's trainer.
  ///   - evaluate: answers the parts by a model, on the thread that trained it.
  /// - Returns: all models in the same order, or fewer where they were stopped; nil where the device
  ///   has no room for all of them.
  /// - Throws: what the first that failed threw.
  func trainAtOnce(
    _ models: [NetworkModel], load: @escaping (NetworkModel) throws -> Trainer,
    evaluate: @escaping @Sendable (TrainedModel, Trainer) -> EvaluatedModel
  ) throws -> [EvaluatedModel]? {
    let outcomes = Mutex((models: [NetworkModel: EvaluatedModel](), failure: (any Error)?.none))
    let (loading, all) = (DispatchGroup(), DispatchGroup())
    let loadFailure = Mutex<(any Error)?>(nil)
    let lock = Mutex(())
    // Called under the lock.
    nonisolated(unsafe) let load = load
    for _ in models {
      loading.enter()
      all.enter()
    }
    // Nil where another could not be loaded.
    @Sendable func loaded(_ model: NetworkModel) -> Trainer? {
      var trainer: Trainer?
      do {
        trainer = try lock.withLock { _ in
          loadFailure.withLock { $0 == nil } ? try load(model) : nil
        }
      } catch {
        loadFailure.withLock { $0 = error }
      }
      loading.leave()
      loading.wait()
      guard loadFailure.withLock({ $0 == nil }) else { return nil }
      do { _ = try run.directory() } catch {
        loadFailure.withLock { $0 = error }
        return nil
      }
      return trainer
    }
    for model in models {
      let isStarted = LargeThread.start { [self] in
        defer { all.leave() }
        do {
          guard let trainer = loaded(model) else { return }
          let trained = try trainer.train { save($0) }
          let evaluated = evaluate(trained, trainer)
          outcomes.withLock { $0.models[model] = evaluated }
        } catch {
          isStopping.withLock { $0 = true }
          outcomes.withLock { $0.failure = $0.failure ?? error }
        }
      }
      if !isStarted {
        // As where the device has no room for all: one after another.
        loadFailure.withLock {
          $0 = DeviceError.outOfMemory(
            device: "a thread", bytes: LargeThread.stackBytes, advice: "")
        }
        loading.leave()
        all.leave()
      }
    }
    all.wait()
    let unloaded = loadFailure.withLock { $0 }
    if case DeviceError.outOfMemory? = unloaded { return nil }
    let (trained, failure) = outcomes.withLock { $0 }
    if let failure = unloaded ?? failure { throw failure }
    return models.compactMap { trained[$0] }.filter { $0.model.outcome != .interrupted }
  }
}

extension TrainingSettings {
  /// What a model was trained with.
  init(trainedBy model: TrainedModel) {
    let (constants, schedule) = (model.recipe.constants, model.schedule)
    self.init(
      learningRate: .cosineDecayRestarts(
        initial: Float(schedule.initial), firstDecaySteps: schedule.firstPeriod,
        tMul: Float(schedule.periodFactor), mMul: Float(schedule.restartFactor),
        alpha: Float(schedule.floor)),
      labelSmoothing: constants.smoothing, beta1: constants.beta1, beta2: constants.beta2,
      epsilon: constants.epsilon)
  }
}
