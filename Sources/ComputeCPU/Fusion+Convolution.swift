import CVectorLoops
import Compute

extension Lowering {
  /// oneDNN 2.6 could add the other term in the same pass (a binary post-op), but where it falls
  /// back to its plain convolution, as with a padding longer than the input, the sum comes out
  /// wrong. Adding in place is right everywhere.
  func gradientSum(_ sum: GradientSum) throws(DeviceError) -> LaunchBody {
    let count = sum.elementsPerSample
    var bodies: [LaunchBody] = []
    for (place, term) in sum.terms.enumerated() {
      let tensors = Convolution.Tensors(
        input: try address(sum.output), output: try address(term.outputGradient),
        kernelID: term.kernel, kernel: try address(term.kernel), bias: nil)
      bodies.append(
        try convolution(term.shape, .backwardInput, tensors, accumulates: place > 0))
    }
    let (y, all, threads) = (try floats(sum.output), bodies, threads)
    var rest: [Floats] = []
    for other in sum.others { rest.append(try floats(other)) }
    let added = rest
    return { (context) throws(DeviceError) in
      for body in all { try body(context) }
      for term in added { vl_add_to(threads, y, term, context.live * count) }
    }
  }

  func unbiasedKernel(_ gradient: Conv1DBackwardKernel) throws(DeviceError) -> LaunchBody {
    let shape = gradient.shape
    let tensors = Convolution.Tensors(
      input: try address(gradient.input), output: try address(gradient.outputGradient),
      kernelID: gradient.kernelGradient, kernel: try address(gradient.kernelGradient), bias: nil)
    let product = try convolution(shape, .backwardKernel, tensors)
    let bias = try floats(gradient.biasGradient)
    return { (context) throws(DeviceError) in
      try product(context)
      bias.update(repeating: 0, count: shape.outputChannels)
    }
  }
}
