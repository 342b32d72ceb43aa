import Compute
import Networks

/// All of a model's training at the end of an epoch: a trainer that is made with it goes on as if it
/// had never stopped, to the same bits.
///
/// Random draws count by the seed, the epoch and the step, so these are where the draws stand.
/// Encodes to the bit in any encoder: weights and moments as little-endian bytes, what is not a number
/// as text.
public struct TrainerState: Sendable, Codable, Equatable {
  /// The epoch whose validation was the best so far.
  public struct Best: Sendable, Codable, Equatable {
    public var weights: NetworkWeights
    public var optimizer: OptimizerState
  }

  public var model: String
  public var recipe: TrainingRecipe
  /// The loss's weight of each class; none where all are equal.
  public var classWeights: [Float]
  /// Windows of the training and of the validation part.
  public var trainingWindows, validationWindows: Int
  /// Steps that were run.
  public var steps: Int
  public var weights: NetworkWeights
  /// Adam's moments, and the updates that were made.
  public var optimizer: OptimizerState
  /// Of a training in half precision.
  public var lossScaling: LossScaling?
  /// Of a training in half precision, what decides when too many steps were left out.
  var skipped: SkippedSteps?
  /// Epochs in a row, up to the last, whose validation gave no number.
  public var epochsWithoutValidation: Int
  /// Nil before the first epoch whose validation gave numbers.
  public var best: Best?
  /// A record for each epoch that is done.
  public var history: [EpochRecord]
}

extension Trainer {
  /// Where the training stands at the end of an epoch, or before the first.
  ///
  /// - Throws: `DeviceError`.
  public func state() throws -> TrainerState {
    precondition(
      steps == history.count * stepCount, "a state is that of the end of an epoch, all steps run")
    return TrainerState(
      model: name, recipe: settings.recipe, classWeights: network.plan.options.classWeights,
      trainingWindows: tables.augmentation.windows.count,
      validationWindows: validationWindows.count, steps: steps, weights: try network.weights(),
      optimizer: try optimizer(), lossScaling: try network.loaded.lossScaling(), skipped: skipped,
      epochsWithoutValidation: epochsWithoutValidation, best: best, history: history)
  }

  /// Takes up a training where it stood.
  ///
  /// - Throws: `TrainingError.otherTraining`, `DeviceError`.
  func resume(_ state: TrainerState) throws {
    if let (found, expected) = mismatch(state) {
      throw TrainingError.otherTraining(model: name, found: found, expected: expected)
    }
    try network.write(state.weights)
    try network.write(state.optimizer)
    steps = state.steps
    skipped = state.skipped
    epochsWithoutValidation = state.epochsWithoutValidation
    best = state.best
    history = state.history
    guard let scaling = state.lossScaling else { return }
    try network.loaded.write(scaling)
    // A device that has left steps out takes the rates of the steps before.
    let earlier = steps - min(steps, scaling.skippedSteps)..<steps
    try network.begin(
      EpochTable(
        dataset: tables.dataset, samples: [], learningRates: tables.rates(of: earlier),
        firstIteration: earlier.lowerBound))
  }

  /// What a state has that this training has not; nil where it is one of this training.
  private func mismatch(_ state: TrainerState) -> Contradiction? {
    func precision(_ isHalf: Bool) -> String { isHalf ? "fp16" : "fp32" }
    let updates = state.steps - (state.skipped?.count ?? 0)
    let classWeights = network.plan.options.classWeights
    let fits = [
      Best(weights: state.weights, optimizer: state.optimizer), state.best,
    ].compactMap { $0 }.allSatisfy(fits)
    let facts: [(what: String, found: String, expected: String)] = [
      ("model", state.model, name),
      ("recipe", "\(state.recipe)", "\(settings.recipe)"),
      ("class weights", "\(state.classWeights)", "\(classWeights)"),
      ("training windows", "\(state.trainingWindows)", "\(tables.augmentation.windows.count)"),
      ("validation windows", "\(state.validationWindows)", "\(validationWindows.count)"),
      ("precision", precision(state.lossScaling != nil), precision(skipped != nil)),
      ("steps", "\(state.steps)", "\(state.history.count * stepCount)"),
      ("updates", "\(state.optimizer.iterations)", "\(updates)"),
      ("variables", fits ? "of its sizes" : "of other sizes", "of its sizes"),
    ]
    return facts.first { $0.found != $0.expected }.map { ("\($0.what) \($0.found)", $0.expected) }
  }

  private typealias Best = TrainerState.Best

  /// Whether all variables have the network's sizes.
  private func fits(_ best: Best) -> Bool {
    let variables = network.network.weights
    let all = variables.map(\.elementCount)
    let trained = variables.filter(\.isTrainable).map(\.elementCount)
    return best.weights.values.map(\.count) == all
      && best.optimizer.firstMoments.map(\.count) == trained
      && best.optimizer.secondMoments.map(\.count) == trained
  }
}
