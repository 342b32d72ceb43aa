import Compute

/// What a training run leaves: `metrics.json`, and what `train` prints as JSON. The figures of the
/// test part stand at the top, those of the validation part, which chose the best epochs, apart.
public struct RunReport: Sendable, Codable {
  public var test: PartReport
  public var validation: PartReport
  /// The models that were written, relative to the run's directory.
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
  /// Samples of a training step.
  public var batchSize: Int?
  /// `fp32` or `fp16`.
  public var precision: String?
  /// The loss's weight of each gesture.
  public var classWeights: [String: Double]?
  /// A model's weight in the ensemble, also where all are equal.
  public var ensembleWeights: [String: Double]?
  /// Of the run's other files, by their names, and of the weights in its models: by them it is seen
  /// that a file was changed, or is of another run. Nil in reports of versions that did not say.
  public var fingerprints: [String: String]?
  /// How the run came about; its keys stand beside the others.
  public var origin: RunOrigin

  enum CodingKeys: String, CodingKey {
    case validation, artifacts, outcome, seconds, device, recipe, padding, seed, epochs, precision
    case fingerprints
    case batchSize = "batch_size"
    case ensembleWeights = "ensemble_weights"
    case bestEpoch = "best_epoch"
    case classWeights = "class_weights"
    case skippedSteps = "skipped_steps"
  }

  public func encode(to encoder: any Encoder) throws {
    try test.encode(to: encoder)
    try origin.encode(to: encoder)
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
    try container.encodeIfPresent(batchSize, forKey: .batchSize)
    try container.encodeIfPresent(precision, forKey: .precision)
    try container.encodeIfPresent(ensembleWeights, forKey: .ensembleWeights)
    try container.encodeIfPresent(fingerprints, forKey: .fingerprints)
  }

  public init(from decoder: any Decoder) throws {
    test = try PartReport(from: decoder)
    origin = try RunOrigin(from: decoder)
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
    batchSize = try container.decodeIfPresent(Int.self, forKey: .batchSize)
    precision = try container.decodeIfPresent(String.self, forKey: .precision)
    ensembleWeights = try container.decodeIfPresent([String: Double].self, forKey: .ensembleWeights)
    fingerprints = try container.decodeIfPresent([String: String].self, forKey: .fingerprints)
    // Written for every run; a part names them where they are not equal.
    if Set((ensembleWeights ?? [:]).values).count <= 1 { test.ensembleWeights = nil }
  }

  init(
    test: PartReport, validation: PartReport, artifacts: [String], models: [TrainedModel],
    seconds: Double, device: any Device, settings: RunSettings,
    origin: RunOrigin = RunOrigin()
  ) {
    self.test = test
    self.validation = validation
    self.artifacts = artifacts
    self.seconds = seconds
    self.device = device.name
    if device.precision != .fp32 {
      skippedSteps = Dictionary(
        uniqueKeysWithValues: models.map { model in
          (model.name, model.history.reduce(0) { $0 + $1.skippedSteps })
        })
    }
    recipe = settings.recipe.pipeline
    padding = settings.dilatedPadding.rawValue
    seed = settings.recipe.seed
    epochs = settings.recipe.epochs
    batchSize = settings.recipe.batchSize
    precision = device.precision.rawValue
    ensembleWeights =
      settings.ensembleWeightsByModel
      ?? Dictionary(
        settings.models.map { ($0.name, 1) }, uniquingKeysWith: { first, _ in first })
    self.origin = origin
    classWeights = settings.classWeights(byGesture: test.ensemble.perClass.map(\.gesture))
    bestEpoch = Dictionary(uniqueKeysWithValues: models.map { ($0.name, $0.bestEpoch) })
    outcome = Dictionary(
      uniqueKeysWithValues: models.map {
        ($0.name, $0.outcome == .outOfTime ? "out_of_time" : $0.outcome.rawValue)
      })
  }
}
