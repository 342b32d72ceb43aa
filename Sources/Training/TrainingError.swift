/// Why training stopped or could not start.
public enum TrainingError: Error, Equatable, CustomStringConvertible {
  /// A loss is NaN or infinite.
  case diverged(model: String, epoch: Int, step: Int, learningRate: Double, loss: Float)
  case noWindows(part: String)
  case classWeightCount(expected: Int, found: Int)
  case nonFiniteClassWeight(Float)
  case invalidEnsembleWeights(String)

  public var description: String {
    switch self {
    case .diverged(let model, let epoch, let step, let learningRate, let loss):
      "\(model): the loss became \(loss) in epoch \(epoch), step \(step), at learning rate "
        + "\(learningRate). The best artifacts so far are kept. Look for recordings with extreme "
        + "values (semg-train inspect), or train with another --seed."
    case .noWindows(let part):
      "the \(part) part has no windows: see semg-train split"
    case .classWeightCount(let expected, let found):
      "--class-weights needs a weight for each of the \(expected) gestures, found \(found)"
    case .nonFiniteClassWeight(let weight):
      "--class-weights are positive numbers, found \(weight)"
    case .invalidEnsembleWeights(let found):
      "--ensemble-weights are a non-negative number for each model, not all zero, found \(found)"
    }
  }
}
