/// Inverted dropout: an element is kept when its 16-bit Philox lane ≥ round(rate·65,536) and is then
/// scaled by 1/(1 − rate). The element's index in the whole batch tensor is what is counted.
public struct DropoutShape: Hashable, Sendable {
  public var elementsPerSample: Int
  public var rate: Float
  /// Philox stream of this layer.
  public var stream: UInt32

  public init(elementsPerSample: Int, rate: Float, stream: UInt32) {
    precondition(rate >= 0 && rate < 1, "a dropout rate lies in [0, 1)")
    self.elementsPerSample = elementsPerSample
    self.rate = rate
    self.stream = stream
  }
}

/// `[B, …]` → `[B, …]`.
public struct DropoutForward: PlanOperation {
  public static let kind = Operation.Kind.dropoutForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: DropoutShape
  public var input, output: TensorID

  public init(_ shape: DropoutShape, input: TensorID, output: TensorID) {
    self.shape = shape
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

/// Makes the same mask again.
public struct DropoutBackward: PlanOperation {
  public static let kind = Operation.Kind.dropoutBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: DropoutShape
  public var outputGradient, inputGradient: TensorID

  public init(_ shape: DropoutShape, outputGradient: TensorID, inputGradient: TensorID) {
    self.shape = shape
    self.outputGradient = outputGradient
    self.inputGradient = inputGradient
  }

  public var reads: [TensorID] { [outputGradient] }
  public var writes: [TensorID] { [inputGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}
