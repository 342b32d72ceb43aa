/// What one call has to do at least.
public struct KernelCost: Sendable, Hashable {
  /// Of all that it reads or writes, each once.
  public var bytes: Double
  /// Floating-point operations of matrix products, a multiply-add counted as two.
  public var productOperations: Double

  public init(bytes: Double = 0, productOperations: Double = 0) {
    self.bytes = bytes
    self.productOperations = productOperations
  }
}

/// The most that a device was seen to do, by kernels that do nothing else.
public struct DevicePeaks: Sendable, Hashable {
  /// Read and written.
  public var bytesPerSecond: Double
  /// In single precision.
  public var operationsPerSecond: Double

  public init(bytesPerSecond: Double, operationsPerSecond: Double) {
    self.bytesPerSecond = bytesPerSecond
    self.operationsPerSecond = operationsPerSecond
  }

  /// Seconds below which nothing of this cost can be done, as far as the peaks go: the roofline.
  /// What stays in a cache may be faster.
  public func leastSeconds(of cost: KernelCost) -> Double {
    max(cost.bytes / bytesPerSecond, cost.productOperations / operationsPerSecond)
  }
}

extension Operation {
  /// Floating-point operations (a multiply-add counts two) of the matrix products in a run over
  /// `live` samples, as the plan writes them; 0 for passes that have none. The short attention does
  /// about half of what its operations say.
  var productOperations: (_ live: Int) -> Double {
    let perSample: Double
    switch self {
    case .conv1DForward(let shape, _, _, _, _), .conv1DBackwardInput(let shape, _, _, _),
      .conv1DBackwardKernel(let shape, _, _, _, _):
      perSample = 2 * Double(shape.time * shape.taps * shape.inputChannels * shape.outputChannels)
    case .denseForward(let shape, _, _, _, _), .denseBackwardInput(let shape, _, _, _),
      .denseBackwardKernel(let shape, _, _, _, _):
      perSample = 2 * Double(shape.rowsPerSample * shape.inputs * shape.outputs)
    case .attentionForward(let shape, _, _, _, _):
      perSample = shape.productOperations
    case .attentionBackward(let shape, _, _, _, _, _, _):
      perSample = 2 * shape.productOperations
    default:
      perSample = 0
    }
    return { live in perSample * Double(live) }
  }
}

extension AttentionShape {
  /// Four projections and two products of T × T, forward, of a sample.
  fileprivate var productOperations: Double {
    let projections = heads * keySize * (3 * channels + outputChannels)
    let perStep = projections + 2 * time * heads * keySize
    return 2 * Double(time * perStep)
  }
}
