import Compute

/// Figures of one part of the recordings: what `evaluate` prints as JSON.
public struct PartReport: Sendable, Codable, Equatable {
  /// `test`, `validation`, `train` or `all`.
  public var part: String
  public var recordings: Int
  public var windows: Int
  /// What was wrong with recordings that were left out, a sentence each.
  public var skipped: [String]
  /// What may be wrong with the recordings that were used, a sentence each; nil in reports of
  /// versions that did not say.
  public var warnings: [String]?
  public var models: [String: Metrics]
  /// Of the weighted mean of the models' probabilities; equal to the one model's where there is one.
  public var ensemble: Metrics
  /// A model's weight in the ensemble; nil where all are equal.
  public var ensembleWeights: [String: Double]?
  /// How many of the recordings the models had seen; nil where that is not known.
  public var seen: SeenCounts?

  enum CodingKeys: String, CodingKey {
    case part, recordings, windows, skipped, warnings, models, ensemble, seen
    case ensembleWeights = "ensemble_weights"
  }

  /// Measures models and their ensemble over windows.
  ///
  /// - Parameters:
  ///   - members: each model's name and its probabilities `[windows, classes]`.
  ///   - weights: of the members in the ensemble, or nil for equal ones.
  /// - Throws: `TrainingError.invalidEnsembleWeights`.
  public init(
    part: String, of data: PreparedRecordings, windows: [Int32],
    members: [(name: String, probabilities: [Float])], weights: [Double]? = nil
  ) throws(TrainingError) {
    self.part = part
    recordings = Set(windows.map { data.windowRecordings[Int($0)] }).count
    self.windows = windows.count
    skipped = data.skipped.map(\.description)
    warnings = data.warnings
    var models: [String: Metrics] = [:]
    for member in members {
      models[member.name] = data.metrics(of: windows, probabilities: member.probabilities)
    }
    self.models = models
    if let weights, members.count > 1 {
      ensembleWeights = Dictionary(
        zip(members.map(\.name), weights), uniquingKeysWith: { first, _ in first })
    }
    ensemble = data.metrics(
      of: windows, probabilities: try Ensemble.mean(members.map(\.probabilities), weights: weights))
  }
}

/// How many recordings of a part the models had seen when they were trained.
public struct SeenCounts: Sendable, Codable, Equatable {
  public var recordings: Int
  /// The weights came from these.
  public var trainedOn: Int
  /// These chose the best epoch.
  public var choseEpoch: Int

  public init(recordings: Int, trainedOn: Int, choseEpoch: Int) {
    (self.recordings, self.trainedOn, self.choseEpoch) = (recordings, trainedOn, choseEpoch)
  }

  enum CodingKeys: String, CodingKey {
    case recordings
    case trainedOn = "trained_on"
    case choseEpoch = "chose_epoch"
  }
}

/// What a training run leaves: `metrics.json`, and what `train` prints as JSON. The figures of the
/// test part stand at the top, those of the validation part, which chose the best epochs, apart.
public struct RunReport: Sendable, Codable {
  public var test: PartReport
  public var validation: PartReport
  /// Paths of the artifacts that were written.
  public var artifacts: [String]
  public var bestEpoch: [String: Int]
  /// `completed` or `out_of_time`, a model.
  public var outcome: [String: String]
  /// A model's updates that were left out because a gradient overflowed, in half precision.
  public var skippedSteps: [String: Int]?
  public var seconds: Double
  public var device: String
  public var recipe: Recipe
  public var padding: String
  public var seed: UInt64
  public var epochs: Int
  /// The loss's weight of each gesture.
  public var classWeights: [String: Double]?

  enum CodingKeys: String, CodingKey {
    case validation, artifacts, outcome, seconds, device, recipe, padding, seed, epochs
    case bestEpoch = "best_epoch"
    case classWeights = "class_weights"
    case skippedSteps = "skipped_steps"
  }

  public func encode(to encoder: any Encoder) throws {
    try test.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(validation, forKey: .validation)
    try container.encode(artifacts, forKey: .artifacts)
    try container.encode(outcome, forKey: .outcome)
    try container.encode(seconds, forKey: .seconds)
    try container.encode(device, forKey: .device)
    try container.encode(recipe, forKey: .recipe)
    try container.encode(padding, forKey: .padding)
    try container.encode(seed, forKey: .seed)
    try container.encode(epochs, forKey: .epochs)
    try container.encode(bestEpoch, forKey: .bestEpoch)
    try container.encodeIfPresent(skippedSteps, forKey: .skippedSteps)
    try container.encodeIfPresent(classWeights, forKey: .classWeights)
  }

  public init(from decoder: any Decoder) throws {
    test = try PartReport(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    validation = try container.decode(PartReport.self, forKey: .validation)
    artifacts = try container.decode([String].self, forKey: .artifacts)
    outcome = try container.decode([String: String].self, forKey: .outcome)
    seconds = try container.decode(Double.self, forKey: .seconds)
    device = try container.decode(String.self, forKey: .device)
    recipe = try container.decode(Recipe.self, forKey: .recipe)
    padding = try container.decode(String.self, forKey: .padding)
    seed = try container.decode(UInt64.self, forKey: .seed)
    epochs = try container.decode(Int.self, forKey: .epochs)
    bestEpoch = try container.decode([String: Int].self, forKey: .bestEpoch)
    skippedSteps = try container.decodeIfPresent([String: Int].self, forKey: .skippedSteps)
    classWeights = try container.decodeIfPresent([String: Double].self, forKey: .classWeights)
  }

  init(
    test: PartReport, validation: PartReport, artifacts: [String], models: [TrainedModel],
    seconds: Double, device: any Device, settings: RunSettings
  ) {
    self.test = test
    self.validation = validation
    self.artifacts = artifacts
    self.seconds = seconds
    self.device = device.name
    if device.storesHalves {
      skippedSteps = Dictionary(
        uniqueKeysWithValues: models.map { model in
          (model.kind.rawValue, model.history.reduce(0) { $0 + $1.skippedSteps })
        })
    }
    recipe = settings.recipe
    padding = (settings.padding ?? settings.recipe.padding).rawValue
    seed = settings.seed
    epochs = settings.epochs
    classWeights = settings.classWeights(byGesture: test.ensemble.perClass.map(\.gesture))
    bestEpoch = Dictionary(uniqueKeysWithValues: models.map { ($0.kind.rawValue, $0.bestEpoch) })
    outcome = Dictionary(
      uniqueKeysWithValues: models.map {
        ($0.kind.rawValue, $0.outcome == .outOfTime ? "out_of_time" : $0.outcome.rawValue)
      })
  }
}
