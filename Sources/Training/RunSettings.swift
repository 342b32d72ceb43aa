import Compute
import Networks

/// Settings of a whole run.
public struct RunSettings: Sendable {
  /// Each under a name of its own.
  public var models: [NetworkModel]
  public var recipe: TrainingRecipe
  /// Of the dilated convolutions, or nil for the recipe's.
  public var padding: Padding?
  /// The loss's weight of each class; nil for those of ``lossWeights(gestures:)``.
  public var classWeights: [Float]?
  public var ensembleWeights: [Double]?
  /// Time for training; nil for no limit. Models that train one after another have equal shares.
  public var maximumMinutes: Double?
  /// Whether the models train at the same time; nil where device and memory are to decide.
  public var trainsAtOnce: Bool?

  public init(
    models: [NetworkModel] = NetworkModel.builtIn, recipe: TrainingRecipe = .standard,
    padding: Padding? = nil, classWeights: [Float]? = nil, ensembleWeights: [Double]? = nil,
    maximumMinutes: Double? = nil, trainsAtOnce: Bool? = nil
  ) {
    self.models = models
    self.recipe = recipe
    self.padding = padding
    self.classWeights = classWeights
    self.ensembleWeights = ensembleWeights
    self.maximumMinutes = maximumMinutes
    self.trainsAtOnce = trainsAtOnce
  }

  /// The published pipeline's weights of its five gestures, 0 to 4. They say something about these
  /// gestures and nothing about five others.
  public static let publishedWeights: [Float] = [1, 1.5, 1.5, 1, 1]

  /// Whether the published weights are applied because nobody asked for others.
  public func takesPublishedWeights(gestures: [Int]) -> Bool {
    classWeights == nil && gestures == Array(0..<5)
  }

  /// The loss's weight of each class: those that were given, the published ones for the published
  /// gestures, or nil for equal ones.
  public func lossWeights(gestures: [Int]) -> [Float]? {
    takesPublishedWeights(gestures: gestures) ? Self.publishedWeights : classWeights
  }

  /// The same by the gestures' numbers, 1 where they are equal.
  public func classWeights(byGesture gestures: [Int]) -> [String: Double] {
    let weights = lossWeights(gestures: gestures) ?? gestures.map { _ in 1 }
    return Dictionary(
      zip(gestures.map(String.init), weights.map(\.decimalValue)), uniquingKeysWith: { $1 })
  }

  /// Padding of the dilated convolutions.
  public var dilatedPadding: Padding { padding ?? recipe.pipeline.padding }

  /// A model's weight in the ensemble, by its name; nil for equal ones.
  public var ensembleWeightsByModel: [String: Double]? {
    ensembleWeights.map {
      Dictionary(zip(models.map(\.name), $0), uniquingKeysWith: { first, _ in first })
    }
  }

  /// A network of this run, for windows of a length.
  ///
  /// - Throws: `NetworkError` where a network cannot be made for such windows.
  public func network(
    _ model: NetworkModel, windowLength: Int, channels: Int, classes: Int
  ) throws(NetworkError) -> Network {
    try model.network(
      for: NetworkModel.Purpose(
        time: windowLength, channels: channels, classes: classes, padding: dilatedPadding))
  }
}
