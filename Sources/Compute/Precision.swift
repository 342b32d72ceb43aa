/// In what numbers a device keeps the bulk of a step's tensors.
public enum Precision: String, Sendable, CaseIterable, Codable {
  case fp32
  /// Activations and their gradients are stored as halves, the loss is scaled so that they stay
  /// within their range, and everything is computed and summed in single precision.
  case fp16

  /// How activations with a time axis, and their gradients, are stored.
  public var activations: ElementType {
    switch self {
    case .fp32: .float32
    case .fp16: .float16
    }
  }
}

/// How the tensors of a plan are stored on a device. What is stored narrower than the plan says is
/// what makes up nearly all of a step's traffic: activations with a time axis, `[B, T, C]`, and their
/// gradients. Statistics, what has no time axis, softmax and loss, weights, their gradients and their
/// moments stay as they are.
public struct StorageRule: Sendable, Hashable {
  public var precision: Precision

  public init(precision: Precision) { self.precision = precision }

  public func type(of spec: TensorSpec) -> ElementType {
    let isNarrow =
      spec.elementType == .float32 && spec.role == .activation && spec.hasBatchAxis
      && spec.shape.count == 3
    return isNarrow ? precision.activations : spec.elementType
  }
}

/// Dynamic loss scaling (Micikevicius et al., ICLR 2018): gradients of a loss that is multiplied by
/// a power of two stay within the range of half precision.
public struct LossScaling: Sendable, Hashable, Codable {
  /// Good steps after which the scale is doubled (Micikevicius et al., and Keras).
  public static let growthSteps = 2000
  /// The largest scale to grow to: the smallest half times it is one.
  public static let largest: Float = 16_777_216

  public var scale: Float
  /// Updates since the scale last changed, or since the last that was left out.
  public var goodSteps: Int
  /// Updates of the training that were left out, because a gradient was NaN or infinite.
  public var skippedSteps: Int

  public init(scale: Float, goodSteps: Int = 0, skippedSteps: Int) {
    self.scale = scale
    self.goodSteps = goodSteps
    self.skippedSteps = skippedSteps
  }
}
