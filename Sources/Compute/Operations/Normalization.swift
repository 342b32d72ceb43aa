/// Batch or layer normalization over `[B, T, C]`: batch statistics are over the live batch and time
/// per channel, layer statistics over the channels of each time step.
public struct NormalizationShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  /// Added to the variance before the square root.
  public var epsilon: Float
  /// Batch normalization only: `moving = moving·momentum + batch·(1 − momentum)`, with the
  /// population variance (Keras).
  public var momentum: Float

  public init(time: Int, channels: Int, epsilon: Float, momentum: Float = 0.99) {
    self.time = time
    self.channels = channels
    self.epsilon = epsilon
    self.momentum = momentum
  }
}

/// Normalizes by the live batch's mean and population variance per channel; writes both
/// (`[C]` each) and moves the moving ones towards them (`+=` in that sense).
public struct BatchNormForward: PlanOperation {
  public static let kind = Operation.Kind.batchNormForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: NormalizationShape
  public var input, gamma, beta, output, mean, variance, movingMean, movingVariance: TensorID

  public init(
    _ shape: NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID, output: TensorID,
    mean: TensorID, variance: TensorID, movingMean: TensorID, movingVariance: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.gamma = gamma
    self.beta = beta
    self.output = output
    self.mean = mean
    self.variance = variance
    self.movingMean = movingMean
    self.movingVariance = movingVariance
  }

  public var reads: [TensorID] { [input, gamma, beta, movingMean, movingVariance] }
  public var writes: [TensorID] { [output, mean, variance, movingMean, movingVariance] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let terms = NormalizationTerms(values, shape, acrossBatch: true)
    switch id {
    case output:
      return values.scale(of: id, terms: terms.affine(input, gamma, beta, mean, variance))
    case mean:
      return values.scale(of: id, terms: terms.mean(input))
    case variance:
      return values.scale(of: id, terms: terms.meanSquares(input))
    case movingMean:
      return values.scale(of: id, terms: values.norm(id) + terms.mean(input))
    default:
      return values.scale(of: id, terms: values.norm(id) + terms.meanSquares(input))
    }
  }
}

/// Normalizes by the moving statistics.
public struct BatchNormInference: PlanOperation {
  public static let kind = Operation.Kind.batchNormInference
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: NormalizationShape
  public var input, gamma, beta, movingMean, movingVariance, output: TensorID

  public init(
    _ shape: NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID,
    movingMean: TensorID, movingVariance: TensorID, output: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.gamma = gamma
    self.beta = beta
    self.movingMean = movingMean
    self.movingVariance = movingVariance
    self.output = output
  }

  public var reads: [TensorID] { [input, gamma, beta, movingMean, movingVariance] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let terms = NormalizationTerms(values, shape, acrossBatch: true)
    return values.scale(
      of: id, terms: terms.affine(input, gamma, beta, movingMean, movingVariance))
  }
}

/// Through the batch statistics as well.
public struct BatchNormBackward: PlanOperation {
  public static let kind = Operation.Kind.batchNormBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: NormalizationShape
  public var input, outputGradient, gamma, mean, variance: TensorID
  public var inputGradient, gammaGradient, betaGradient: TensorID

  public init(
    _ shape: NormalizationShape, input: TensorID, outputGradient: TensorID, gamma: TensorID,
    mean: TensorID, variance: TensorID, inputGradient: TensorID, gammaGradient: TensorID,
    betaGradient: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.outputGradient = outputGradient
    self.gamma = gamma
    self.mean = mean
    self.variance = variance
    self.inputGradient = inputGradient
    self.gammaGradient = gammaGradient
    self.betaGradient = betaGradient
  }

  public var reads: [TensorID] { [input, outputGradient, gamma, mean, variance] }
  public var writes: [TensorID] { [inputGradient, gammaGradient, betaGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let terms = NormalizationTerms(values, shape, acrossBatch: true)
      .backward(input, outputGradient, gamma, mean, variance)
    return values.scale(
      of: id,
      terms: id == inputGradient ? terms.input : id == gammaGradient ? terms.gamma : terms.beta)
  }
}

/// Over the channels of each time step; writes mean and population variance `[B, T]`.
public struct LayerNormForward: PlanOperation {
  public static let kind = Operation.Kind.layerNormForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: NormalizationShape
  public var input, gamma, beta, output, mean, variance: TensorID

  public init(
    _ shape: NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID, output: TensorID,
    mean: TensorID, variance: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.gamma = gamma
    self.beta = beta
    self.output = output
    self.mean = mean
    self.variance = variance
  }

  public var reads: [TensorID] { [input, gamma, beta] }
  public var writes: [TensorID] { [output, mean, variance] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let terms = NormalizationTerms(values, shape, acrossBatch: false)
    switch id {
    case output:
      return values.scale(of: id, terms: terms.affine(input, gamma, beta, mean, variance))
    case mean:
      return values.scale(of: id, terms: terms.mean(input))
    default:
      return values.scale(of: id, terms: values.norm(variance) + terms.meanSquares(input))
    }
  }
}

public struct LayerNormBackward: PlanOperation {
  public static let kind = Operation.Kind.layerNormBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: NormalizationShape
  public var input, outputGradient, gamma, mean, variance: TensorID
  public var inputGradient, gammaGradient, betaGradient: TensorID

  public init(
    _ shape: NormalizationShape, input: TensorID, outputGradient: TensorID, gamma: TensorID,
    mean: TensorID, variance: TensorID, inputGradient: TensorID, gammaGradient: TensorID,
    betaGradient: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.outputGradient = outputGradient
    self.gamma = gamma
    self.mean = mean
    self.variance = variance
    self.inputGradient = inputGradient
    self.gammaGradient = gammaGradient
    self.betaGradient = betaGradient
  }

  public var reads: [TensorID] { [input, outputGradient, gamma, mean, variance] }
  public var writes: [TensorID] { [inputGradient, gammaGradient, betaGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let terms = NormalizationTerms(values, shape, acrossBatch: false)
      .backward(input, outputGradient, gamma, mean, variance)
    return values.scale(
      of: id,
      terms: id == inputGradient ? terms.input : id == gammaGradient ? terms.gamma : terms.beta)
  }
}
