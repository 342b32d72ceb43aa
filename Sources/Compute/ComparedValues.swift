/// What a comparison saw of the tensors that a launch read or wrote, for the bounds of its errors.
public struct ComparedValues: Sendable {
  let plan: Plan
  /// Samples that were run.
  public let live: Int
  /// Values that the launch read, before it ran.
  let before: [TensorID: [Double]]
  /// Values that it read or wrote, after it ran.
  let after: [TensorID: [Double]]

  /// Live values; those that the operation read if it also wrote the tensor.
  public subscript(id: TensorID) -> ArraySlice<Double> {
    (before[id] ?? after[id] ?? []).prefix(plan[id].elementCount(live: live))
  }

  /// Frobenius norm of the live values as the reference wrote or read them.
  public func norm(_ id: TensorID) -> Double {
    let live = (after[id] ?? before[id] ?? []).prefix(plan[id].elementCount(live: live))
    return live.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  /// Live elements.
  public func count(_ id: TensorID) -> Double { Double(plan[id].elementCount(live: live)) }

  public func largest(_ id: TensorID) -> Double { self[id].reduce(0) { max($0, abs($1)) } }

  /// Norm of what the launch changed in a tensor that it read and wrote.
  public func change(of id: TensorID) -> Double {
    guard let old = before[id], let new = after[id] else { return norm(id) }
    return zip(old, new).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  /// A tensor's own norm as what its error is measured by.
  ///
  /// - Parameter terms: ‖Σ|terms|‖; by default the norm, for one product or choice per element and
  ///   for sums of positive terms.
  public func scale(of id: TensorID, terms: Double? = nil) -> ErrorScale {
    let norm = norm(id)
    return ErrorScale(reference: norm, terms: terms ?? norm)
  }
}

/// By what the error of one tensor is measured, see `ComparisonBound`.
public struct ErrorScale: Sendable, Hashable {
  /// ‖ref‖: of what was computed.
  public var reference: Double
  /// ‖Σ|terms|‖: of the absolute values of what its elements add up.
  public var terms: Double
  /// What rounding to halves may leave besides, where the launch reads or writes such.
  public var halfRounding = 0.0
}
