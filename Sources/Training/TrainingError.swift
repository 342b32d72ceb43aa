/// Why training stopped or could not start.
public enum TrainingError: Error, Equatable, CustomStringConvertible {
  /// A loss is NaN or infinite.
  case diverged(model: String, epoch: Int, step: Int, learningRate: Double, loss: Float)
  /// In half precision: so many steps in a row were left out, the last of them in this epoch.
  case overflowed(model: String, epoch: Int, step: Int, skipped: Int)
  /// In half precision: the validation of so many epochs in a row gave no number.
  case validationOverflowed(model: String, epochs: Int)
  case noWindows(part: String)
  case classWeightCount(expected: Int, found: Int)
  case nonFiniteClassWeight(Float)
  case invalidEnsembleWeights(String)
  /// A state to go on from is not one of this training.
  case otherTraining(model: String, found: String, expected: String)

  public var description: String {
    switch self {
    case .diverged(let model, let epoch, let step, let learningRate, let loss):
      "\(model): the loss became \(loss) in epoch \(epoch), step \(step), at learning rate "
        + "\(learningRate). The best artifacts so far are kept. Look for recordings with extreme "
        + "values (semg-train inspect), or train with another --seed."
    case .overflowed(let model, let epoch, let step, let skipped):
      "\(model): \(skipped) steps in a row were left out, up to step \(step) of epoch \(epoch), "
        + "because numbers went beyond the range of half precision. The best artifacts so far are "
        + "kept. Train with --precision fp32, or look for recordings with extreme values "
        + "(semg-train inspect)."
    case .validationOverflowed(let model, let epochs):
      "\(model): validation gave no number after \(epochs) epochs in a row, because activations went "
        + "beyond the range of half precision. The best artifacts so far are kept. Train with "
        + "--precision fp32, or look for recordings with extreme values (semg-train inspect)."
    case .noWindows(let part):
      "the \(part) part has no windows: see semg-train split"
    case .classWeightCount(let expected, let found):
      "--class-weights needs a weight for each of the \(expected) gestures, found \(found)"
    case .nonFiniteClassWeight(let weight):
      "--class-weights are positive numbers, found \(weight)"
    case .otherTraining(let model, let found, let expected):
      "\(model): cannot go on from the state of another training: found \(found), expected "
        + "\(expected). Train with what it was trained with, or begin anew."
    case .invalidEnsembleWeights(let found):
      "--ensemble-weights are a non-negative number for each model, not all zero, found \(found)"
    }
  }
}
