/// Along the channels: inputs `[B, T, Cᵢ]` → output `[B, T, ΣCᵢ]`.
public struct ConcatenateForward: PlanOperation {
  public static let kind = Operation.Kind.concatenateForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var time: Int
  public var channels: [Int]
  public var inputs: [TensorID]
  public var output: TensorID

  public init(time: Int, channels: [Int], inputs: [TensorID], output: TensorID) {
    self.time = time
    self.channels = channels
    self.inputs = inputs
    self.output = output
  }

  public var reads: [TensorID] { inputs }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

public struct ConcatenateBackward: PlanOperation {
  public static let kind = Operation.Kind.concatenateBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var time: Int
  public var channels: [Int]
  public var outputGradient: TensorID
  public var inputGradients: [TensorID]

  public init(time: Int, channels: [Int], outputGradient: TensorID, inputGradients: [TensorID]) {
    self.time = time
    self.channels = channels
    self.outputGradient = outputGradient
    self.inputGradients = inputGradients
  }

  public var reads: [TensorID] { [outputGradient] }
  public var writes: [TensorID] { inputGradients }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

/// Sum of two or more tensors of the same shape; also how gradients of a tensor with several
/// readers meet.
public struct Add: PlanOperation {
  public static let kind = Operation.Kind.add
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var elementsPerSample: Int
  public var inputs: [TensorID]
  public var output: TensorID

  public init(elementsPerSample: Int, inputs: [TensorID], output: TensorID) {
    self.elementsPerSample = elementsPerSample
    self.inputs = inputs
    self.output = output
  }

  public var reads: [TensorID] { inputs }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: inputs.reduce(0) { $0 + values.norm($1) })
  }
}
