import Foundation
import Training

/// What is said while models train: a line an epoch, and on a terminal one that is redrawn.
struct TrainingProgress {
  let console: Console

  func report(_ event: TrainingEvent) {
    switch event {
    case .started(let model, let parameters, let steps):
      console.note(
        "\(model.rawValue): \(parameters) parameters, \(Figure.count(steps, "step")) an epoch")
    case .progress(let progress):
      console.progress(Self.line(progress))
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

  static func line(_ progress: StepProgress) -> String {
    "\(progress.model.rawValue) epoch \(progress.epoch)/\(progress.epochs) "
      + "step \(progress.step)/\(progress.steps)  loss \(Figure.fixed(progress.loss, 4))  "
      + "accuracy \(Figure.percent(progress.accuracy))  "
      + "\(Figure.fixed(progress.samplesPerSecond, 0)) samples/s  "
      + "\(Figure.time(progress.secondsLeft)) left"
  }

  static func line(_ record: EpochRecord) -> String {
    "\(record.model.rawValue) epoch \(record.epoch)  loss \(Figure.fixed(record.loss, 4))  "
      + "accuracy \(Figure.percent(record.accuracy))  "
      + "validation loss \(Figure.fixed(record.validationLoss, 4))  "
      + "accuracy \(Figure.percent(record.validationAccuracy))\(record.isBest ? " *" : "")  "
      + "\(Figure.fixed(record.samplesPerSecond, 0)) samples/s  \(Figure.time(record.seconds))"
  }
}
