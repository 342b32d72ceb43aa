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

/// The kernel's gradient of a convolution before a batch normalization, whose input's gradient sums
/// to zero over each channel: so does the bias's gradient, exactly.
public struct UnbiasedKernel: Sendable {
  public var shape: Conv1DShape
  public var input, outputGradient, kernelGradient, biasGradient: TensorID
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
      guard
        case .conv1DBackwardKernel(
          let shape, let input, let outputGradient, let kernelGradient, let biasGradient) =
          self[index], let before = writer[outputGradient],
        case .batchNormBackward = self[before]
      else { return nil }
      return FusedPattern(
        kind: .unbiasedKernel(
          UnbiasedKernel(
            shape: shape, input: input, outputGradient: outputGradient,
            kernelGradient: kernelGradient, biasGradient: biasGradient)),
        name: "conv1d_backward_kernel_unbiased", operations: [index], place: index,
        needs: [input, outputGradient], produces: [kernelGradient, biasGradient])
    }
  }
}
