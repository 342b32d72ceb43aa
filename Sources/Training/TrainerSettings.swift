import Compute

/// Settings of one model's training.
public struct TrainerSettings: Sendable {
  public var recipe: TrainingRecipe
  /// One a class, or nil for equal ones.
  public var classWeights: [Float]?
  /// When to stop, be the epochs done or not.
  public var deadline: ContinuousClock.Instant?

  public init(
    recipe: TrainingRecipe = .standard, classWeights: [Float]? = nil,
    deadline: ContinuousClock.Instant? = nil
  ) {
    self.recipe = recipe
    self.classWeights = classWeights
    self.deadline = deadline
  }

  /// The loss's weight of each class; none where all are equal.
  public func lossWeights(classes: Int) throws(TrainingError) -> [Float] {
    guard let classWeights else { return [] }
    guard classWeights.count == classes else {
      throw .classWeightCount(expected: classes, found: classWeights.count)
    }
    for weight in classWeights where !(weight.isFinite && weight > 0) {
      throw .nonFiniteClassWeight(weight)
    }
    return classWeights
  }
}
