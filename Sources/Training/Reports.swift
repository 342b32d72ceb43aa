import SignalPreparation

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
