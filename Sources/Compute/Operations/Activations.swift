/// `output = max(input, 0)`, `[B, …]`.
public struct ReluForward: PlanOperation {
  public static let kind = Operation.Kind.reluForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var elementsPerSample: Int
  public var input, output: TensorID

  public init(elementsPerSample: Int, input: TensorID, output: TensorID) {
    self.elementsPerSample = elementsPerSample
    self.input = input
    self.output = output
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

/// The gradient passes where the forward output is above zero.
public struct ReluBackward: PlanOperation {
  public static let kind = Operation.Kind.reluBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var elementsPerSample: Int
  public var output, outputGradient, inputGradient: TensorID

  public init(
    elementsPerSample: Int, output: TensorID, outputGradient: TensorID, inputGradient: TensorID
  ) {
    self.elementsPerSample = elementsPerSample
    self.output = output
    self.outputGradient = outputGradient
    self.inputGradient = inputGradient
  }

  public var reads: [TensorID] { [output, outputGradient] }
  public var writes: [TensorID] { [inputGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

/// `output = 1 / (1 + exp(−input))`, `[B, …]`.
public struct SigmoidForward: PlanOperation {
  public static let kind = Operation.Kind.sigmoidForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var elementsPerSample: Int
  public var input, output: TensorID

  public init(elementsPerSample: Int, input: TensorID, output: TensorID) {
    self.elementsPerSample = elementsPerSample
    self.input = input
    self.output = output
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

public struct SigmoidBackward: PlanOperation {
  public static let kind = Operation.Kind.sigmoidBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var elementsPerSample: Int
  public var output, outputGradient, inputGradient: TensorID

  public init(
    elementsPerSample: Int, output: TensorID, outputGradient: TensorID, inputGradient: TensorID
  ) {
    self.elementsPerSample = elementsPerSample
    self.output = output
    self.outputGradient = outputGradient
    self.inputGradient = inputGradient
  }

  public var reads: [TensorID] { [output, outputGradient] }
  public var writes: [TensorID] { [inputGradient] }
  public var productOperations: Double { 0 }

  /// y − y² cancels near saturation.
  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: values.norm(outputGradient))
  }
}
