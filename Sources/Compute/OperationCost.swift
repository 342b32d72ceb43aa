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
