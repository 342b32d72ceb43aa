import CVectorLoops
import Compute

/// A convolution's share of a gradient with several.
struct GradientTerm {
  var shape: Conv1DShape
  var outputGradient, kernel: TensorID
}

extension FusionFinder {
  /// Gradients that meet in a sum: each convolution adds its own to what is there.
  func gradientSumGroups() -> [FusedGroup] {
    program.operations.indices.compactMap { index in
      guard case .add(let count, let inputs, let output) = self[index] else { return nil }
      var terms: [GradientTerm] = []
      var operations: [Int] = []
      var others: [TensorID] = []
      for input in inputs {
        if let place = writer[input], onlyReader(of: input) == index,
          case .conv1DBackwardInput(let shape, let outputGradient, let kernel, _) = self[place]
        {
          terms.append(
            GradientTerm(shape: shape, outputGradient: outputGradient, kernel: kernel))
          operations.append(place)
        } else {
          others.append(input)
        }
      }
      guard !terms.isEmpty, others.count <= 1, Set(inputs).count == inputs.count else { return nil }
      return FusedGroup(
        name: "conv1d_backward_input_sum", operations: (operations + [index]).sorted(),
        place: index, needs: Set(terms.flatMap { [$0.outputGradient, $0.kernel] } + others),
        produces: [output]
      ) { (lowering) throws(DeviceError) in
        try lowering.gradientSum(count, terms, others, output)
      }
    }
  }

  /// The kernel's gradient of a convolution before a batch normalization, whose input's gradient
  /// sums to zero over each channel: so does the bias's gradient, exactly.
  func unbiasedKernelGroups() -> [FusedGroup] {
    program.operations.indices.compactMap { index in
      guard
        case .conv1DBackwardKernel(
          let shape, let input, let outputGradient, let kernelGradient, let biasGradient) =
          self[index], let before = writer[outputGradient],
        case .batchNormBackward = self[before]
      else { return nil }
      return FusedGroup(
        name: "conv1d_backward_kernel_unbiased", operations: [index], place: index,
        needs: [input, outputGradient], produces: [kernelGradient, biasGradient]
      ) { (lowering) throws(DeviceError) in
        let tensors = Convolution.Tensors(
          input: try lowering.address(input), output: try lowering.address(outputGradient),
          kernelID: kernelGradient, kernel: try lowering.address(kernelGradient), bias: nil)
        let product = try lowering.convolution(shape, .backwardKernel, tensors)
        let bias = try lowering.floats(biasGradient)
        return { (context) throws(DeviceError) in
          try product(context)
          bias.update(repeating: 0, count: shape.outputChannels)
        }
      }
    }
  }
}

extension Lowering {
  /// oneDNN 2.6 could add the other term in the same pass (a binary post-op), but where it falls
  /// back to its plain convolution, as with a padding longer than the input, the sum comes out
  /// wrong. Adding in place is right everywhere.
  func gradientSum(
    _ count: Int, _ terms: [GradientTerm], _ others: [TensorID], _ output: TensorID
  ) throws(DeviceError) -> LaunchBody {
    var bodies: [LaunchBody] = []
    for (place, term) in terms.enumerated() {
      let tensors = Convolution.Tensors(
        input: try address(output), output: try address(term.outputGradient),
        kernelID: term.kernel, kernel: try address(term.kernel), bias: nil)
      bodies.append(
        try convolution(term.shape, .backwardInput, tensors, accumulates: place > 0))
    }
    let (y, all, threads) = (try floats(output), bodies, threads)
    var rest: [Floats] = []
    for other in others { rest.append(try floats(other)) }
    let added = rest
    return { (context) throws(DeviceError) in
      for body in all { try body(context) }
      for term in added { vl_add(threads, y, y, term, context.live * count) }
    }
  }
}
