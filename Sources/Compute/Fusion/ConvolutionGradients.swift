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

/// The gradients of all convolutions' kernels, which nothing reads before the program ends.
public struct KernelGradients: Sendable {
  public struct Term: Sendable {
    public var gradient: Conv1DBackwardKernel
    /// Before a batch normalization, whose input's gradient sums to zero over each channel, the
    /// bias's gradient is zero, exactly: such a kernel is called unbiased.
    public var isUnbiased: Bool

    public init(gradient: Conv1DBackwardKernel, isUnbiased: Bool) {
      (self.gradient, self.isUnbiased) = (gradient, isUnbiased)
    }
  }

  public var terms: [Term]

  public init(terms: [Term]) { self.terms = terms }
}

extension FusionFinder {
  func gradientSums() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard let sum = operation(index, Add.self) else { return nil }
      var terms: [GradientSum.Term] = []
      var operations: [Int] = []
      var others: [TensorID] = []
      for input in sum.inputs {
        if onlyReader(of: input) == index,
          let (place, op) = writer(of: input, Conv1DBackwardInput.self)
        {
          terms.append(
            GradientSum.Term(
              shape: op.shape, outputGradient: op.outputGradient, kernel: op.kernel))
          operations.append(place)
        } else {
          others.append(input)
        }
      }
      guard !terms.isEmpty, others.count <= 1, Set(sum.inputs).count == sum.inputs.count else {
        return nil
      }
      return FusedPattern(
        kind: .gradientSum(
          GradientSum(
            elementsPerSample: sum.elementsPerSample, terms: terms, others: others,
            output: sum.output)),
        name: "conv1d_backward_input_sum", operations: (operations + [index]).sorted(),
        place: index, needs: Set(terms.flatMap { [$0.outputGradient, $0.kernel] } + others),
        produces: [sum.output])
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
    guard let op = operation(index, Conv1DBackwardKernel.self) else { return nil }
    return KernelGradients.Term(
      gradient: op, isUnbiased: writer(of: op.outputGradient, BatchNormBackward.self) != nil)
  }
}
