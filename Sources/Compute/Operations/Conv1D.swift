/// How a convolution treats the time before the first and after the last sample: with zeros.
public enum Padding: String, Sendable, CaseIterable {
  /// Centred, as Keras `padding="same"` at stride 1: ⌊(taps − 1)·dilation / 2⌋ zeros before, the
  /// rest after.
  case same
  /// Only backward, as Keras `padding="causal"`: (taps − 1)·dilation zeros before, none after.
  case causal
}

/// `output[b, t, o] = bias[o] + Σ_{k, c} kernel[k, c, o] · input[b, t + k·dilation − leftPadding, c]`,
/// input `[B, T, C]`, kernel `[K, C, O]` (Keras's layout, cross-correlation), output `[B, T, O]`.
public struct Conv1DShape: Hashable, Sendable {
  public var time: Int
  public var inputChannels: Int
  public var outputChannels: Int
  public var taps: Int
  public var dilation: Int
  public var padding: Padding

  public init(
    time: Int, inputChannels: Int, outputChannels: Int, taps: Int, dilation: Int = 1,
    padding: Padding = .same
  ) {
    precondition(
      time > 0 && inputChannels > 0 && outputChannels > 0 && taps > 0 && dilation > 0,
      "a convolution needs positive sizes")
    self.time = time
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.taps = taps
    self.dilation = dilation
    self.padding = padding
  }

  /// Zeros before the first sample.
  public var leftPadding: Int {
    let total = (taps - 1) * dilation
    return padding == .causal ? total : total / 2
  }
  /// Zeros after the last sample.
  public var rightPadding: Int { (taps - 1) * dilation - leftPadding }

  /// Of each direction, in one sample.
  public var productOperations: Double {
    2 * Double(time * taps * inputChannels * outputChannels)
  }

  /// Every input is in at most so many rows of the product that a convolution is: √K.
  fileprivate var tapsRoot: Double { Double(taps).squareRoot() }
}

/// input `[B, T, C]`, kernel `[K, C, O]`, bias `[O]` → output `[B, T, O]`.
public struct Conv1DForward: PlanOperation {
  public static let kind = Operation.Kind.conv1DForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: Conv1DShape
  public var input, kernel, bias, output: TensorID

  public init(
    _ shape: Conv1DShape, input: TensorID, kernel: TensorID, bias: TensorID, output: TensorID
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
    let rows = values.count(output) / Double(shape.outputChannels)
    return values.scale(
      of: id,
      terms: shape.tapsRoot * values.norm(input) * values.norm(kernel)
        + rows.squareRoot() * values.norm(bias))
  }
}

public struct Conv1DBackwardInput: PlanOperation {
  public static let kind = Operation.Kind.conv1DBackwardInput
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: Conv1DShape
  public var outputGradient, kernel, inputGradient: TensorID

  public init(
    _ shape: Conv1DShape, outputGradient: TensorID, kernel: TensorID, inputGradient: TensorID
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
    values.scale(
      of: id, terms: shape.tapsRoot * values.norm(outputGradient) * values.norm(kernel))
  }
}

public struct Conv1DBackwardKernel: PlanOperation {
  public static let kind = Operation.Kind.conv1DBackwardKernel
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: Conv1DShape
  public var input, outputGradient, kernelGradient, biasGradient: TensorID

  public init(
    _ shape: Conv1DShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
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
    if id == kernelGradient {
      return values.scale(
        of: id, terms: shape.tapsRoot * values.norm(input) * values.norm(outputGradient))
    }
    let rows = values.count(outputGradient) / Double(shape.outputChannels)
    var scale = values.scale(of: id, terms: rows.squareRoot() * values.norm(outputGradient))
    // Before a normalization it is zero by algebra, but not the sum of what was rounded to halves.
    scale.halfRounding = values.norm(outputGradient) / 2048
    return scale
  }
}
