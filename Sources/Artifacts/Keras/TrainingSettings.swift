/// How a model was compiled: what `config.json` keeps, so that Keras goes on with `fit` where we
/// stopped. The loss is categorical cross-entropy, the optimizer Adam.
public struct TrainingSettings: Sendable, Hashable {
  /// The learning rate as a function of the steps taken.
  public enum LearningRate: Sendable, Hashable {
    case constant(Float)
    /// Keras's `CosineDecayRestarts`; `alpha` is a fraction of `initial`.
    case cosineDecayRestarts(
      initial: Float, firstDecaySteps: Int, tMul: Float, mMul: Float, alpha: Float)
  }

  public var learningRate: LearningRate
  /// In [0, 1): targets are y·(1 − smoothing) + smoothing / classes.
  public var labelSmoothing: Float
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float

  public init(
    learningRate: LearningRate, labelSmoothing: Float, beta1: Float, beta2: Float, epsilon: Float
  ) {
    self.learningRate = learningRate
    self.labelSmoothing = labelSmoothing
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }
}
