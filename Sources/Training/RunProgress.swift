import Artifacts
import Foundation
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
  private let telling = Mutex<[ModelKind: [EpochRecord]]>([:])
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
      let lines = run.settings.models.flatMap { histories[$0] ?? [] }.map(\.line)
      files.add { [directory = run.directory] in
        try directory.write(TrainingHistory(epochs: lines))
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
    let schedule = model.schedule
    files.add { [path = run.path(of: model.kind)] in
      try KerasArchive.write(
        model.network, weights: model.weights, optimizer: model.optimizer,
        training: TrainingSettings(
          learningRate: .cosineDecayRestarts(
            initial: Float(schedule.initial), firstDecaySteps: schedule.firstPeriod,
            tMul: Float(schedule.periodFactor), mMul: Float(schedule.restartFactor),
            alpha: Float(schedule.floor))),
        to: path)
    }
  }

  /// Waits until every file is written.
  ///
  /// - Throws: why the first that could not be written was not.
  func finish() throws { try files.finish() }

  /// Trains each on a thread of its own. The first that fails stops the others.
  ///
  /// - Returns: all models in the same order, or fewer where they were stopped.
  /// - Throws: what the first that failed threw.
  func trainAtOnce(_ trainers: [Trainer]) throws -> [TrainedModel] {
    let outcomes = Mutex((models: [Int: TrainedModel](), failure: (any Error)?.none))
    let group = DispatchGroup()
    for (index, trainer) in trainers.enumerated() {
      // One thread's from here on.
      nonisolated(unsafe) let trainer = trainer
      group.enter()
      let thread = Thread { [self] in
        defer { group.leave() }
        do {
          let model = try trainer.train { save($0) }
          outcomes.withLock { $0.models[index] = model }
        } catch {
          outcomes.withLock { $0.failure = $0.failure ?? error }
          isStopping.withLock { $0 = true }
        }
      }
      // Drivers compile on the caller's stack.
      thread.stackSize = 8 << 20
      thread.start()
    }
    group.wait()
    let (models, failure) = outcomes.withLock { $0 }
    if let failure { throw failure }
    return trainers.indices.compactMap { models[$0] }.filter { $0.outcome != .interrupted }
  }
}
