import ArgumentParser
import Compute
import Training

/// Where a run's files go.
struct ArtifactOptions: ParsableArguments {
  static let defaultDirectory = "artifacts_final"

  @Option(
    help: .init(
      "The directory of the artifacts; an old one is renamed DIR.1, DIR.2, …", valueName: "dir"),
    completion: .directory)
  var output = ArtifactOptions.defaultDirectory
}

/// How the models are trained.
struct TrainingOptions: ParsableArguments {
  @Option(
    help: .init(
      "standard, or published: as published, with its quirks. (default: standard)",
      valueName: "recipe"),
    completion: .list(Recipe.names), transform: OptionValue.choice)
  var recipe: Recipe?
  @Option(
    help: .init(
      "inception-se, semg-net, .keras files of networks of your own. (default: inception-se,semg-net)",
      valueName: "models"),
    completion: .list(ModelChoice.completions), transform: ModelChoice.parse)
  var models: [ModelChoice]?
  @Flag(
    help: .init(
      "Train .keras files of --models from new weights, by the seed, in place of those they hold."))
  var reinitialize = false
  @Option(
    help: .init(
      "causal or same: padding of the dilated convolutions. (default: by recipe)",
      valueName: "padding"),
    completion: .list(Padding.names), transform: OptionValue.choice)
  var padding: Padding?
  @Option(
    help: .init(
      "Epochs a model. (default: \(TrainingRecipe.standard.epochs))", valueName: "number"),
    transform: OptionValue.number(1...1_000_000))
  var epochs: Int?
  @Option(
    help: .init("Stop training so many minutes after the program's start.", valueName: "minutes"),
    transform: OptionValue.positive)
  var maxMinutes: Double?
  @Option(
    help: .init(
      "Samples a batch. (default: \(TrainingRecipe.standard.batchSize))", valueName: "number"),
    transform: OptionValue.number(1...65536))
  var batchSize: Int?
  @Option(
    parsing: .unconditional,
    help: .init(
      "Weight of each gesture in the loss. (default: 1,1.5,1.5,1,1 for gestures 0 to 4, else equal)",
      valueName: "weights"),
    transform: OptionValue.classWeights)
  var classWeights: [Double]?
  @Option(
    parsing: .unconditional,
    help: .init("Weight of each model in the ensemble. (default: equal)", valueName: "weights"),
    transform: OptionValue.ensembleWeights)
  var ensembleWeights: [Double]?
}
