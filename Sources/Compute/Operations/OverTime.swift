/// `[B, T, C]` seen as time steps of channels.
public struct SequenceShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int

  public init(time: Int, channels: Int) {
    self.time = time
    self.channels = channels
  }

  public var elementCount: Int { time * channels }
}

/// Squeeze-excitation's scale: input `[B, T, C]` · scale `[B, C]`.
public struct ScaleChannelsForward: PlanOperation {
  public static let kind = Operation.Kind.scaleChannelsForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: SequenceShape
  public var input, scale, output: TensorID

  public init(_ shape: SequenceShape, input: TensorID, scale: TensorID, output: TensorID) {
    self.shape = shape
    self.input = input
    self.scale = scale
    self.output = output
  }

  public var reads: [TensorID] { [input, scale] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

/// scaleGradient `[B, C]` is the sum over time of input·outputGradient.
public struct ScaleChannelsBackward: PlanOperation {
  public static let kind = Operation.Kind.scaleChannelsBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: SequenceShape
  public var input, scale, outputGradient, inputGradient, scaleGradient: TensorID

  public init(
    _ shape: SequenceShape, input: TensorID, scale: TensorID, outputGradient: TensorID,
    inputGradient: TensorID, scaleGradient: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.scale = scale
    self.outputGradient = outputGradient
    self.inputGradient = inputGradient
    self.scaleGradient = scaleGradient
  }

  public var reads: [TensorID] { [input, scale, outputGradient] }
  public var writes: [TensorID] { [inputGradient, scaleGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    id == scaleGradient
      ? values.scale(of: id, terms: productsOverTime(values)) : values.scale(of: id)
  }

  /// ‖Σ_t |input·outputGradient|‖ over [B, C].
  private func productsOverTime(_ values: ComparedValues) -> Double {
    let (x, g) = (Array(values[input]), Array(values[outputGradient]))
    var squares = 0.0
    for b in 0..<values.live {
      for c in 0..<shape.channels {
        var sum = 0.0
        for t in 0..<shape.time {
          let i = (b * shape.time + t) * shape.channels + c
          sum += abs(x[i] * g[i])
        }
        squares += sum * sum
      }
    }
    return squares.squareRoot()
  }
}

/// `[B, T, C]` → `[B, C]`.
public struct MeanOverTimeForward: PlanOperation {
  public static let kind = Operation.Kind.meanOverTimeForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: SequenceShape
  public var input, output: TensorID

  public init(_ shape: SequenceShape, input: TensorID, output: TensorID) {
    self.shape = shape
    self.input = input
    self.output = output
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: values.norm(input) / Double(shape.time).squareRoot())
  }
}

public struct MeanOverTimeBackward: PlanOperation {
  public static let kind = Operation.Kind.meanOverTimeBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: SequenceShape
  public var outputGradient, inputGradient: TensorID

  public init(_ shape: SequenceShape, outputGradient: TensorID, inputGradient: TensorID) {
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
