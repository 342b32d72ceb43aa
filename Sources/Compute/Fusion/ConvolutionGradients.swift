/// Gradients of one tensor from several convolutions that read it, and their sum.
public struct GradientSum: Sendable {
  /// A convolution's share.
  public struct Term: Sendable {
    public var shape: Conv1DShape
    public var outputGradient, kernel: TensorID
  }

  public var elementsPerSample: Int
  public var terms: [Term]
  /// Gradients from elsewhere, at most one.
  public var others: [TensorID]
  public var output: TensorID
}

/// Gradients of a convolution's kernel and bias. Before a batch normalization, whose input's gradient
/// sums to zero over each channel, the bias's is zero, exactly: such a kernel is called unbiased.
public struct KernelGradient: Sendable {
  public var shape: Conv1DShape
  public var input, outputGradient, kernelGradient, biasGradient: TensorID

  public init(
    shape: Conv1DShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID
  ) {
    (self.shape, self.input, self.outputGradient) = (shape, input, outputGradient)
    (self.kernelGradient, self.biasGradient) = (kernelGradient, biasGradient)
  }
}

/// The gradients of all convolutions' kernels, which nothing reads before the program ends.
public struct KernelGradients: Sendable {
  public struct Term: Sendable {
    public var gradient: KernelGradient
    /// Whether the bias's gradient is zero, as before a batch normalization.
    public var isUnbiased: Bool

    public init(gradient: KernelGradient, isUnbiased: Bool) {
      (self.gradient, self.isUnbiased) = (gradient, isUnbiased)
    }
  }

  public var terms: [Term]

  public init(terms: [Term]) { self.terms = terms }
}

extension FusionFinder {
  func gradientSums() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard case .add(let count, let inputs, let output) = self[index] else { return nil }
      var terms: [GradientSum.Term] = []
      var operations: [Int] = []
      var others: [TensorID] = []
      for input in inputs {
        if let place = writer[input], onlyReader(of: input) == index,
          case .conv1DBackwardInput(let shape, let outputGradient, let kernel, _) = self[place]
        {
          terms.append(
            GradientSum.Term(shape: shape, outputGradient: outputGradient, kernel: kernel))
          operations.append(place)
        } else {
          others.append(input)
        }
      }
      guard !terms.isEmpty, others.count <= 1, Set(inputs).count == inputs.count else { return nil }
      return FusedPattern(
        kind: .gradientSum(
          GradientSum(elementsPerSample: count, terms: terms, others: others, output: output)),
        name: "conv1d_backward_input_sum", operations: (operations + [index]).sorted(),
        place: index, needs: Set(terms.flatMap { [$0.outputGradient, $0.kernel] } + others),
        produces: [output])
    }
  }

  func unbiasedKernels() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard let term = kernelGradient(at: index), term.isUnbiased else { return nil }
      let gradient = term.gradient
      return FusedPattern(
        kind: .unbiasedKernel(gradient), name: "conv1d_backward_kernel_unbiased",
        operations: [index], place: index, needs: [gradient.input, gradient.outputGradient],
        produces: [gradient.kernelGradient, gradient.biasGradient])
    }
  }

  /// All of them at the place of the last, where there is more than one.
  func kernelGradients() -> [FusedPattern] {
    let found = program.operations.indices.compactMap { index in
      kernelGradient(at: index).map { (index, $0) }
    }
    guard found.count > 1, let last = found.last else { return [] }
    let terms = found.map(\.1)
    return [
      FusedPattern(
        kind: .kernelGradients(KernelGradients(terms: terms)), name: "conv1d_backward_kernels",
        operations: found.map(\.0), place: last.0,
        needs: Set(terms.flatMap { [$0.gradient.input, $0.gradient.outputGradient] }),
        produces: Set(terms.flatMap { [$0.gradient.kernelGradient, $0.gradient.biasGradient] }))
    ]
  }

  private func kernelGradient(at index: Int) -> KernelGradients.Term? {
    guard
      case .conv1DBackwardKernel(
        let shape, let input, let outputGradient, let kernelGradient, let biasGradient) =
        self[index]
    else { return nil }
    var isUnbiased = false
    if let before = writer[outputGradient], case .batchNormBackward = self[before] {
      isUnbiased = true
    }
    return KernelGradients.Term(
      gradient: KernelGradient(
        shape: shape, input: input, outputGradient: outputGradient,
        kernelGradient: kernelGradient, biasGradient: biasGradient),
      isUnbiased: isUnbiased)
  }
}
