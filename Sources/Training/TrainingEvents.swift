/// One line of a model's history.
public struct EpochRecord: Sendable, Codable, Equatable {
  public var model: String
  /// From 1.
  public var epoch: Int
  /// Mean of the batches' losses weighted by their size, L2 included; in half precision without the
  /// steps whose loss is NaN or infinite, and NaN where that is all of them, as the accuracy is.
  @ExactNumber public var loss: Double
  /// By argmax of the targets, unweighted.
  @ExactNumber public var accuracy: Double
  /// With smoothing and L2, without class weights; NaN, as the accuracy is, where activations went
  /// beyond the range of half precision.
  @ExactNumber public var validationLoss: Double
  @ExactNumber public var validationAccuracy: Double
  /// Of the epoch's last update.
  @ExactNumber public var learningRate: Double
  /// Training and validation together.
  @ExactNumber public var seconds: Double
  /// While training.
  @ExactNumber public var samplesPerSecond: Double
  /// Whether no earlier epoch had as high a validation accuracy.
  public var isBest: Bool
  /// Updates that were left out because a gradient overflowed, in half precision.
  public var skippedSteps = 0
}

/// Where a training stands, for a progress line.
public struct StepProgress: Sendable {
  public var model: String
  /// From 1.
  public var epoch: Int
  public var epochs: Int
  /// Steps of this epoch that are done.
  public var step: Int
  public var steps: Int
  /// Means over the epoch so far.
  public var loss: Double
  public var accuracy: Double
  public var samplesPerSecond: Double
  /// Of this model, at the present speed, validation left out; at most until its deadline.
  public var secondsLeft: Double

  public init(
    model: String, epoch: Int, epochs: Int, step: Int, steps: Int, loss: Double,
    accuracy: Double, samplesPerSecond: Double, secondsLeft: Double
  ) {
    self.model = model
    self.epoch = epoch
    self.epochs = epochs
    self.step = step
    self.steps = steps
    self.loss = loss
    self.accuracy = accuracy
    self.samplesPerSecond = samplesPerSecond
    self.secondsLeft = secondsLeft
  }
}

public enum TrainingEvent: Sendable {
  case started(String, parameters: Int, stepsPerEpoch: Int)
  case progress(StepProgress)
  case epoch(EpochRecord)
  case finished(String, TrainedModel.Outcome, bestEpoch: Int)
}
