import Foundation
import Training

/// What is said while models train: a line an epoch, and on a terminal one that is redrawn.
final class TrainingProgress {
  private let console: Console
  /// Of the models that are in training now, in the order in which they began.
  private var current: [StepProgress] = []
  /// Whether a model has begun to train.
  private(set) var hasBegun = false

  init(console: Console) { self.console = console }

  func report(_ event: TrainingEvent) {
    switch event {
    case .started(let model, let parameters, let steps):
      hasBegun = true
      console.note(
        "\(model): \(parameters) parameters, \(Figure.count(steps, "step")) an epoch")
    case .progress(let progress):
      let known = current.firstIndex { $0.model == progress.model }
      if let known { current[known] = progress } else { current.append(progress) }
      console.progress(Self.line(current))
    case .epoch(let record):
      console.note(Self.line(record))
    case .finished(let model, let outcome, let bestEpoch):
      current.removeAll { $0.model == model }
      let reason =
        switch outcome {
        case .completed: ""
        case .outOfTime: " (stopped: the time is up)"
        case .interrupted: " (stopped)"
        }
      if bestEpoch > 0 { console.note("\(model): best epoch \(bestEpoch)\(reason)") }
    }
  }

  /// Of a model, or of models that train at the same time: fits into eighty columns.
  static func line(_ current: [StepProgress]) -> String {
    let left = "\(Figure.time(current.map(\.secondsLeft).max() ?? 0)) left"
    guard current.count == 1, let progress = current.first else {
      return (current.map { "\(place($0))  \(Figure.fixed($0.loss, 4))" } + [left])
        .joined(separator: "  ")
    }
    return "\(place(progress))  loss \(Figure.fixed(progress.loss, 4))  "
      + "acc \(Figure.percent(progress.accuracy))  "
      + "\(Figure.fixed(progress.samplesPerSecond, 0)) samples/s  \(left)"
  }

  private static func place(_ progress: StepProgress) -> String {
    let share = Double(progress.step) / Double(max(1, progress.steps))
    return "\(progress.model) \(progress.epoch)/\(progress.epochs) "
      + "\(Figure.fixed(100 * share, 0)) %"
  }

  static func line(_ record: EpochRecord) -> String {
    "\(record.model) epoch \(record.epoch)  loss \(Figure.fixed(record.loss, 4))  "
      + "accuracy \(Figure.percent(record.accuracy))  "
      + "validation loss \(Figure.fixed(record.validationLoss, 4))  "
      + "accuracy \(Figure.percent(record.validationAccuracy))\(record.isBest ? " *" : "")  "
      + "\(Figure.fixed(record.samplesPerSecond, 0)) samples/s  \(Figure.time(record.seconds))"
      + (record.skippedSteps > 0
        ? "  \(Figure.count(record.skippedSteps, "step")) skipped" : "")
  }
}
