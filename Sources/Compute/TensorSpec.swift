/// How one element of a tensor is stored.
public enum ElementType: String, Sendable, CaseIterable {
  case float32, float16, bfloat16, uint8

  public var byteCount: Int {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .uint8: 1
    }
  }
}

/// Names one tensor of a plan. Holds no memory.
public struct TensorID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let index: Int

  public init(index: Int) { self.index = index }

  public static func < (a: TensorID, b: TensorID) -> Bool { a.index < b.index }
  public var description: String { "#\(index)" }
}

/// What a tensor is; where it lives and how long it lasts follows from its role and element type.
public struct TensorSpec: Sendable, Hashable {
  /// One arena a role. `activation` is scratch of one program; all others last as long as the plan.
  public enum Role: String, Sendable, CaseIterable {
    /// Trainable weights, in one flat arena in the order of the plan, decayed kernels first.
    case parameter
    /// Gradients of the parameters: same order, same shapes, same offsets.
    case gradient
    /// Adam's first moments: same order, same shapes, same offsets.
    case firstMoment
    /// Adam's second moments: same order, same shapes, same offsets.
    case secondMoment
    /// Moving means and variances of batch normalization.
    case statistic
    /// Everything else that a program computes; it may share memory within its program.
    case activation
  }

  /// Unique in the plan; for weights the Keras path of the variable, `conv1d_1/kernel`.
  public let name: String
  /// Row-major, e.g. `[batch, time, channels]`; where there is a batch axis its extent here is the
  /// program's capacity, and only the first `live` of a run are read or written.
  public let shape: [Int]
  public let hasBatchAxis: Bool
  public let role: Role
  public let elementType: ElementType

  public init(
    name: String, shape: [Int], hasBatchAxis: Bool, role: Role,
    elementType: ElementType = .float32
  ) {
    precondition(shape.allSatisfy { $0 > 0 }, "tensor \(name) has an empty axis: \(shape)")
    self.name = name
    self.shape = shape
    self.hasBatchAxis = hasBatchAxis
    self.role = role
    self.elementType = elementType
  }

  public var elementCount: Int { shape.reduce(1, *) }
  public var byteCount: Int { elementCount * elementType.byteCount }

  /// Elements that a run with `live` samples reads or writes: a prefix of the tensor.
  public func elementCount(live: Int) -> Int {
    hasBatchAxis ? elementCount / shape[0] * live : elementCount
  }
}
