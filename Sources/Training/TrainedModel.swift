import Networks

/// A model as its training left it: the weights of its best epoch.
public struct TrainedModel: Sendable {
  public enum Outcome: String, Sendable {
    case completed, outOfTime, interrupted
  }

  /// In files, reports and the ensemble.
  public var name: String
  public var network: Network
  public var weights: NetworkWeights
  public var optimizer: OptimizerState
  /// From 1; 0 where no epoch was finished.
  public var bestEpoch: Int
  public var history: [EpochRecord]
  public var outcome: Outcome
  /// What it was trained by.
  public var recipe: TrainingRecipe
  public var schedule: LearningRateSchedule
}
