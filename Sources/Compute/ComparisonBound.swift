/// The largest error of a tensor that passes: ‖e‖² ≤ r·‖ref‖² + (10⁻⁶·‖Σ|terms|‖)² with r = 10⁻¹⁰.
///
/// Σ|terms| is the sum of the absolute values of what an element adds up: where terms cancel, as in
/// gradients that are zero by algebra, rounding is in proportion to it and not to the result. It is
/// not computed by running the operation on absolute values, but bounded or estimated from norms of
/// what the operation read, so that any device can be the reference. For a product of matrices,
/// ‖|A|·|B|‖ ≤ ‖A‖·‖B‖ in the Frobenius norm (Cauchy–Schwarz); a convolution of K taps is such a
/// product with every input in at most K rows. Other cases say beside them what they take.
///
/// Where a launch reads or writes tensors that are stored in half precision, whose values carry
/// eleven bits, r is 4·10⁻⁶ for what is computed forward and 10⁻⁴ for gradients: 2·10⁻³ and 10⁻² in
/// the norm.
struct ComparisonBound {
  /// r: 10⁻⁵ in the norm.
  static let relative = 1e-10
  static let terms = 1e-6

  static let halfForward = 4e-6
  static let halfBackward = 1e-4
  /// Operations with a wider r in half precision: by what it is multiplied, never above 9, and why.
  static let widerHalf: [Operation.Kind: (factor: Double, reason: String)] = [
    .conv1DForward: (9, "native half rounds weights, whose products a bias may cancel"),
    .denseForward: (9, "as conv1d_forward"),
  ]

  let values: ComparedValues
  /// Whether the launch reads or writes halves.
  var isHalf = false

  func bound(of id: TensorID, writtenBy operation: Operation) -> Double {
    let scale = operation.content.errorScale(of: id, in: values)
    let rounding = max(Self.terms * scale.terms, isHalf ? scale.halfRounding : 0)
    return (relative(of: operation) * scale.reference * scale.reference + rounding * rounding)
      .squareRoot()
  }

  /// r of an operation.
  func relative(of operation: Operation) -> Double {
    guard isHalf else { return Self.relative }
    let base =
      switch operation.phase {
      case .forward, .update: Self.halfForward
      case .backward: Self.halfBackward
      }
    return base * (Self.widerHalf[operation.kind]?.factor ?? 1)
  }
}
