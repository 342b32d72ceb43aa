import Networks

/// All that the training of a model is told besides its network, its recordings and the weights of
/// its classes. What trains, what is archived, what the help says and what is reported read it here.
public struct TrainingRecipe: Sendable, Hashable, Codable {
  /// How long the learning rate's first period is.
  public enum FirstPeriod: String, Sendable, Codable {
    /// A third of all steps, rounded up: with periods that double, the second ends where training
    /// ends.
    case third
    /// Three tenths of the steps of whole batches, as published.
    case threeTenths
  }

  /// The pipeline that it is a recipe of.
  public var pipeline: Recipe
  public var epochs: Int
  /// Samples of a step.
  public var batchSize: Int
  /// Of all random draws.
  public var seed: UInt64
  /// Noise, smoothing, what MixUp does to labels, and Adam's constants.
  public var constants: StepConstants
  /// Share of the windows, rounded down, that lose a channel in their masked view.
  public var maskedShare: Double
  /// MixUp's λ is drawn from Beta(α, α).
  public var mixUpAlpha: Double
  /// Augmented views are drawn anew for each epoch.
  public var redrawsViews: Bool
  /// Learning rate of the first step.
  public var initialRate: Double
  public var firstPeriod: FirstPeriod
  /// Each period of the learning rate is so many times as long as the one before.
  public var periodFactor: Int
  /// Each period starts at so much of the rate that the one before started at.
  public var restartFactor: Double
  /// The lowest learning rate as a fraction of `initialRate`.
  public var rateFloor: Double

  /// A pipeline's recipe, of the usual length unless it is told another.
  public init(
    _ pipeline: Recipe = .standard, epochs: Int = 60,
    batchSize: Int = NetworkPlanOptions.usualBatchSize, seed: UInt64 = 42
  ) {
    self.pipeline = pipeline
    self.epochs = epochs
    self.batchSize = batchSize
    self.seed = seed
    constants = StepConstants(mixesLabels: pipeline == .standard)
    maskedShare = 0.5
    mixUpAlpha = 0.2
    redrawsViews = pipeline == .standard
    initialRate = 1e-3
    firstPeriod = pipeline == .standard ? .third : .threeTenths
    periodFactor = 2
    restartFactor = 0.9
    rateFloor = 1e-5
  }

  public static let standard = TrainingRecipe(.standard)
  public static let published = TrainingRecipe(.published)

  /// The learning rate of each step.
  ///
  /// - Parameter samples: of an epoch, augmented views included.
  public func schedule(samples: Int) -> LearningRateSchedule {
    schedule(firstPeriod: firstPeriodSteps(samples: samples))
  }

  /// The learning rate of each step, with a first period of so many steps.
  public func schedule(firstPeriod: Int) -> LearningRateSchedule {
    LearningRateSchedule(
      initial: initialRate, firstPeriod: firstPeriod, periodFactor: periodFactor,
      restartFactor: restartFactor, floor: rateFloor)
  }

  /// Steps of the learning rate's first period; at least 1.
  func firstPeriodSteps(samples: Int) -> Int {
    switch firstPeriod {
    case .third:
      let steps = (samples + batchSize - 1) / batchSize * epochs
      return max(1, (steps + 2) / 3)
    case .threeTenths:
      let steps = samples / batchSize * epochs
      return max(1, Int(Double(steps) * 0.3))
    }
  }
}
