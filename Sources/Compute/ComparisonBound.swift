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
  static let widerHalf: [String: (factor: Double, reason: String)] = [
    "conv1d_forward": (9, "native half rounds weights, whose products a bias may cancel"),
    "dense_forward": (9, "as conv1d_forward"),
  ]

  let plan: Plan
  let live: Int
  /// Whether the launch reads or writes halves.
  var isHalf = false
  /// Values that the launch read, before it ran.
  let before: [TensorID: [Double]]
  /// Values that it read or wrote, after it ran.
  let after: [TensorID: [Double]]

  func bound(of id: TensorID, writtenBy operation: Operation) -> Double {
    let relative = relative(of: operation)
    var reference = norm(id)
    if case .adam(_, _, let parameters, _, _, _) = operation, parameters.contains(id) {
      reference = change(id)  // a step is small beside the weights: its own size counts
    }
    var rounding = Self.terms * terms(of: id, writtenBy: operation)
    if isHalf, case .conv1DBackwardKernel(_, _, let gradient, _, let bias) = operation, bias == id {
      // Before a normalization it is zero by algebra, but not the sum of what was rounded to halves.
      rounding = max(rounding, norm(gradient) / 2048)
    }
    return (relative * reference * reference + rounding * rounding).squareRoot()
  }

  /// r of an operation.
  func relative(of operation: Operation) -> Double {
    guard isHalf else { return Self.relative }
    return (operation.isBackward ? Self.halfBackward : Self.halfForward)
      * (Self.widerHalf[operation.name]?.factor ?? 1)
  }

  // MARK: Figures of tensors

  /// Live values; those that the operation read if it also wrote the tensor.
  func values(_ id: TensorID) -> ArraySlice<Double> {
    (before[id] ?? after[id] ?? []).prefix(plan[id].elementCount(live: live))
  }

  /// Frobenius norm of the live values as the reference wrote or read them.
  func norm(_ id: TensorID) -> Double {
    let live = (after[id] ?? before[id] ?? []).prefix(plan[id].elementCount(live: live))
    return live.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  func count(_ id: TensorID) -> Double { Double(plan[id].elementCount(live: live)) }

  func largest(_ id: TensorID) -> Double { values(id).reduce(0) { max($0, abs($1)) } }

  private func change(_ id: TensorID) -> Double {
    guard let old = before[id], let new = after[id] else { return norm(id) }
    return zip(old, new).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  // MARK: Σ|terms|

  /// ‖Σ|terms|‖ of a tensor.
  func terms(of id: TensorID, writtenBy operation: Operation) -> Double {
    switch operation {
    case .gatherWindows(let shape, let batch, _, _):
      // The noise is a term beside the window's value.
      return norm(id) + (id == batch ? Double(shape.noiseDeviation) * count(id).squareRoot() : 0)
    case .gaussianNoise(_, let deviation, _, let input, let output):
      return norm(input) + Double(deviation) * count(output).squareRoot()

    case .conv1DForward(let shape, let input, let kernel, let bias, let output):
      let rows = count(output) / Double(shape.outputChannels)
      return Double(shape.taps).squareRoot() * norm(input) * norm(kernel)
        + rows.squareRoot() * norm(bias)
    case .conv1DBackwardInput(let shape, let dOutput, let kernel, _):
      return Double(shape.taps).squareRoot() * norm(dOutput) * norm(kernel)
    case .conv1DBackwardKernel(let shape, let input, let dOutput, let dKernel, _):
      let rows = count(dOutput) / Double(shape.outputChannels)
      return id == dKernel
        ? Double(shape.taps).squareRoot() * norm(input) * norm(dOutput)
        : rows.squareRoot() * norm(dOutput)
    case .denseForward(let shape, let input, let kernel, let bias, let output):
      let rows = count(output) / Double(shape.outputs)
      return norm(input) * norm(kernel) + rows.squareRoot() * norm(bias)
    case .denseBackwardInput(_, let dOutput, let kernel, _):
      return norm(dOutput) * norm(kernel)
    case .denseBackwardKernel(let shape, let input, let dOutput, let dKernel, _):
      let rows = count(dOutput) / Double(shape.outputs)
      return id == dKernel ? norm(input) * norm(dOutput) : rows.squareRoot() * norm(dOutput)

    case .batchNormForward, .batchNormInference, .batchNormBackward, .layerNormForward,
      .layerNormBackward:
      return normalizationTerms(of: id, writtenBy: operation)
    case .attentionForward, .attentionBackward:
      return attentionTerms(of: id, writtenBy: operation)

    case .sigmoidBackward(_, _, let dOutput, _):
      return norm(dOutput)  // y − y² near saturation
    case .add(_, let inputs, _):
      return inputs.reduce(0) { $0 + norm($1) }
    case .scaleChannelsBackward(let shape, let input, _, let dOutput, _, let dScale):
      return id == dScale ? productsOverTime(shape, input, dOutput) : norm(id)
    case .meanOverTimeForward(let shape, let input, _):
      return norm(input) / Double(shape.time).squareRoot()
    case .softmax(_, let logits, let probabilities):
      return softmaxTerms(logits: logits, probabilities: probabilities)
    case .softmaxCrossEntropy(_, let logits, let targets, let weights, let probabilities, _):
      let exponentials = softmaxTerms(logits: logits, probabilities: probabilities)
      return id == probabilities
        ? exponentials : largest(weights) / Double(live) * (exponentials + norm(targets))

    // One product or choice an element, or sums of positive terms.
    case .reluForward, .reluBackward, .sigmoidForward, .concatenateForward,
      .concatenateBackward, .scaleChannelsForward, .maxPoolForward, .maxPoolBackward,
      .meanOverTimeBackward, .dropoutForward, .dropoutBackward, .l2Penalty:
      return norm(id)
    case .adam(_, _, _, let gradients, let firstMoments, _):
      guard let index = firstMoments.firstIndex(of: id) else { return norm(id) }
      return norm(id) + norm(gradients[index])
    }
  }

  /// exp(z) is off by |z| roundings.
  private func softmaxTerms(logits: TensorID, probabilities: TensorID) -> Double {
    norm(probabilities) * (1 + 2 * largest(logits))
  }

  /// ‖Σ_t |input·gradient|‖ over [B, C].
  private func productsOverTime(
    _ shape: SequenceShape, _ input: TensorID, _ gradient: TensorID
  ) -> Double {
    let (x, g) = (Array(values(input)), Array(values(gradient)))
    var squares = 0.0
    for b in 0..<live {
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
