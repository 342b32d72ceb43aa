/// The mean of each window over time, window = stride = `size`, as Keras's `AveragePooling1D`:
/// `[B, T, C]` → `[B, ⌊T/size⌋, C]`. Samples after the last whole window are dropped.
public struct AveragePoolForward: PlanOperation {
  public static let kind = Operation.Kind.averagePoolForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: PoolShape
  public var input, output: TensorID

  public init(_ shape: PoolShape, input: TensorID, output: TensorID) {
    self.shape = shape
    self.input = input
    self.output = output
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: values.norm(input) / Double(shape.size).squareRoot())
  }
}

/// Writes the whole of inputGradient `[B, T, C]`: a share of its window's gradient, or zero after the
/// last whole window.
public struct AveragePoolBackward: PlanOperation {
  public static let kind = Operation.Kind.averagePoolBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: PoolShape
  public var outputGradient, inputGradient: TensorID

  public init(_ shape: PoolShape, outputGradient: TensorID, inputGradient: TensorID) {
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
