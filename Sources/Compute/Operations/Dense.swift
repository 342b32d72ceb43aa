/// `output[r, o] = bias[o] + Σ_i input[r, i]·kernel[i, o]`; kernel `[I, O]`, rows = live · rowsPerSample.
public struct DenseShape: Hashable, Sendable {
  public var rowsPerSample: Int
  public var inputs: Int
  public var outputs: Int

  public init(rowsPerSample: Int = 1, inputs: Int, outputs: Int) {
    self.rowsPerSample = rowsPerSample
    self.inputs = inputs
    self.outputs = outputs
  }

  /// Of each direction, in one sample.
  fileprivate var productOperations: Double { 2 * Double(rowsPerSample * inputs * outputs) }
}

/// input `[B, rows, I]`, kernel `[I, O]`, bias `[O]` → output `[B, rows, O]`.
public struct DenseForward: PlanOperation {
  public static let kind = Operation.Kind.denseForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: DenseShape
  public var input, kernel, bias, output: TensorID

  public init(
    _ shape: DenseShape, input: TensorID, kernel: TensorID, bias: TensorID, output: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.kernel = kernel
    self.bias = bias
    self.output = output
  }

  public var reads: [TensorID] { [input, kernel, bias] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { shape.productOperations }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let rows = values.count(output) / Double(shape.outputs)
    return values.scale(
      of: id,
      terms: values.norm(input) * values.norm(kernel) + rows.squareRoot() * values.norm(bias))
  }
}

public struct DenseBackwardInput: PlanOperation {
  public static let kind = Operation.Kind.denseBackwardInput
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: DenseShape
  public var outputGradient, kernel, inputGradient: TensorID

  public init(
    _ shape: DenseShape, outputGradient: TensorID, kernel: TensorID, inputGradient: TensorID
  ) {
    self.shape = shape
    self.outputGradient = outputGradient
    self.kernel = kernel
    self.inputGradient = inputGradient
  }

  public var reads: [TensorID] { [outputGradient, kernel] }
  public var writes: [TensorID] { [inputGradient] }
  public var productOperations: Double { shape.productOperations }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: values.norm(outputGradient) * values.norm(kernel))
  }
}

public struct DenseBackwardKernel: PlanOperation {
  public static let kind = Operation.Kind.denseBackwardKernel
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: DenseShape
  public var input, outputGradient, kernelGradient, biasGradient: TensorID

  public init(
    _ shape: DenseShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.outputGradient = outputGradient
    self.kernelGradient = kernelGradient
    self.biasGradient = biasGradient
  }

  public var reads: [TensorID] { [input, outputGradient] }
  public var writes: [TensorID] { [kernelGradient, biasGradient] }
  public var productOperations: Double { shape.productOperations }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let rows = values.count(outputGradient) / Double(shape.outputs)
    return values.scale(
      of: id,
      terms: id == kernelGradient
        ? values.norm(input) * values.norm(outputGradient)
        : rows.squareRoot() * values.norm(outputGradient))
  }
}
