import Foundation
import Training

/// What is said while models train: a line an epoch, and on a terminal one that is redrawn.
final class TrainingProgress {
  private let console: Console
  private let settings: RunSettings
  private let start = ContinuousClock.now
  /// Models that have begun to train.
  private var started = 0

  init(console: Console, settings: RunSettings) {
    self.console = console
    self.settings = settings
  }

  func report(_ event: TrainingEvent) {
    switch event {
    case .started(let model, let parameters, let steps):
      started += 1
      console.note(
        "\(model.rawValue): \(parameters) parameters, \(Figure.count(steps, "step")) an epoch")
    case .progress(let progress):
      console.progress(line(progress))
    case .epoch(let record):
      console.note(Self.line(record))
    case .finished(let model, let outcome, let bestEpoch):
      let reason =
        switch outcome {
        case .completed: ""
        case .outOfTime: " (stopped: the time is up)"
        case .interrupted: " (stopped)"
        }
      if bestEpoch > 0 { console.note("\(model.rawValue): best epoch \(bestEpoch)\(reason)") }
    }
  }

  /// Fits into eighty columns.
  private func line(_ progress: StepProgress) -> String {
    let share = Double(progress.step) / Double(max(1, progress.steps))
    let left = min(progress.secondsLeft, secondsToDeadline ?? .infinity)
    return "\(progress.model.rawValue) \(progress.epoch)/\(progress.epochs) "
      + "\(Figure.fixed(100 * share, 0)) %  loss \(Figure.fixed(progress.loss, 4))  "
      + "acc \(Figure.percent(progress.accuracy))  "
      + "\(Figure.fixed(progress.samplesPerSecond, 0)) samples/s  \(Figure.time(left)) left"
  }

  /// Of the model that is training now: each has an equal share of the time.
  private var secondsToDeadline: Double? {
    guard let minutes = settings.maximumMinutes else { return nil }
    let elapsed = start.duration(to: .now) / .seconds(1)
    let share = 60 * minutes / Double(max(1, settings.models.count))
    return max(0, share * Double(started) - elapsed)
  }

  static func line(_ record: EpochRecord) -> String {
    "\(record.model.rawValue) epoch \(record.epoch)  loss \(Figure.fixed(record.loss, 4))  "
      + "accuracy \(Figure.percent(record.accuracy))  "
      + "validation loss \(Figure.fixed(record.validationLoss, 4))  "
      + "accuracy \(Figure.percent(record.validationAccuracy))\(record.isBest ? " *" : "")  "
      + "\(Figure.fixed(record.samplesPerSecond, 0)) samples/s  \(Figure.time(record.seconds))"
      + (record.skippedSteps > 0
        ? "  \(Figure.count(record.skippedSteps, "step")) skipped" : "")
  }
}
