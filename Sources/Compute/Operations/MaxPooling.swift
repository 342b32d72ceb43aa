/// Max pooling over time, window = stride = `size`, no padding: `[B, T, C]` → `[B, ⌊T/size⌋, C]`.
/// Samples after the last whole window are dropped. On a tie the earliest sample wins.
public struct PoolShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  public var size: Int

  public init(time: Int, channels: Int, size: Int) {
    precondition(time >= size && size >= 1 && size <= 255, "a pool must fit into its input")
    self.time = time
    self.channels = channels
    self.size = size
  }

  public var outputTime: Int { time / size }
}

/// argmax: `uint8 [B, T/size, C]`, the place of the maximum within its window.
public struct MaxPoolForward: PlanOperation {
  public static let kind = Operation.Kind.maxPoolForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: PoolShape
  public var input, output, argmax: TensorID

  public init(_ shape: PoolShape, input: TensorID, output: TensorID, argmax: TensorID) {
    self.shape = shape
    self.input = input
    self.output = output
    self.argmax = argmax
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output, argmax] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}

/// Writes the whole of inputGradient `[B, T, C]`, zeros included.
public struct MaxPoolBackward: PlanOperation {
  public static let kind = Operation.Kind.maxPoolBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: PoolShape
  public var argmax, outputGradient, inputGradient: TensorID

  public init(
    _ shape: PoolShape, argmax: TensorID, outputGradient: TensorID, inputGradient: TensorID
  ) {
    self.shape = shape
    self.argmax = argmax
    self.outputGradient = outputGradient
    self.inputGradient = inputGradient
  }

  public var reads: [TensorID] { [argmax, outputGradient] }
  public var writes: [TensorID] { [inputGradient] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id)
  }
}
