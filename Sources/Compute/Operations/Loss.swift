/// `[B, classes]` → `[B, classes]`.
public struct Softmax: PlanOperation {
  public static let kind = Operation.Kind.softmax
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var classes: Int
  public var logits, probabilities: TensorID

  public init(classes: Int, logits: TensorID, probabilities: TensorID) {
    self.classes = classes
    self.logits = logits
    self.probabilities = probabilities
  }

  public var reads: [TensorID] { [logits] }
  public var writes: [TensorID] { [probabilities] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(
      of: id, terms: values.softmaxTerms(logits: logits, probabilities: probabilities))
  }
}

/// Categorical cross-entropy from logits with label smoothing and sample weights.
public struct LossShape: Hashable, Sendable {
  public var classes: Int
  /// Targets become `y·(1 − smoothing) + smoothing/classes`.
  public var smoothing: Float

  public init(classes: Int, smoothing: Float) {
    self.classes = classes
    self.smoothing = smoothing
  }
}

/// Writes probabilities, this step's result (loss = Σ weight·cross-entropy / live, hits; penalty
/// 0), and, where a gradient is asked for, d loss / d logits.
public struct SoftmaxCrossEntropy: PlanOperation {
  public static let kind = Operation.Kind.softmaxCrossEntropy
  public static let phase = Operation.Phase.forward
  public static let reports = true
  public var shape: LossShape
  public var logits, targets, sampleWeights, probabilities: TensorID
  public var logitsGradient: TensorID?

  public init(
    _ shape: LossShape, logits: TensorID, targets: TensorID, sampleWeights: TensorID,
    probabilities: TensorID, logitsGradient: TensorID?
  ) {
    self.shape = shape
    self.logits = logits
    self.targets = targets
    self.sampleWeights = sampleWeights
    self.probabilities = probabilities
    self.logitsGradient = logitsGradient
  }

  public var reads: [TensorID] { [logits, targets, sampleWeights] }
  public var writes: [TensorID] { [probabilities] + (logitsGradient.map { [$0] } ?? []) }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let exponentials = values.softmaxTerms(logits: logits, probabilities: probabilities)
    return values.scale(
      of: id,
      terms: id == probabilities
        ? exponentials
        : values.largest(sampleWeights) / Double(values.live)
          * (exponentials + values.norm(targets)))
  }
}

/// Adds `coefficient·Σw²` over the kernels to the penalty of this step's result. After the
/// cross-entropy of the same step.
public struct L2Penalty: PlanOperation {
  public static let kind = Operation.Kind.l2Penalty
  public static let phase = Operation.Phase.forward
  public static let reports = true
  public var coefficient: Float
  public var kernels: [TensorID]

  public init(coefficient: Float, kernels: [TensorID]) {
    self.coefficient = coefficient
    self.kernels = kernels
  }

  public var reads: [TensorID] { kernels }
  public var writes: [TensorID] { [] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

extension ComparedValues {
  /// exp(z) is off by |z| roundings.
  fileprivate func softmaxTerms(logits: TensorID, probabilities: TensorID) -> Double {
    norm(probabilities) * (1 + 2 * largest(logits))
  }
}
