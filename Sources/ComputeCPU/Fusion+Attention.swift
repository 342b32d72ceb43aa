import CVectorLoops
import Compute

extension FusionFinder {
  /// Attention of which only the mean over time is used, forward and backward.
  func attentionGroups() -> [FusedGroup] {
    program.operations.indices.compactMap { index in
      switch self[index] {
      case .attentionForward(let shape, let input, let parameters, _, let output):
        return attentionForward(index, shape, input, parameters, output)
      case .attentionBackward(
        let shape, let input, let outputGradient, let parameters, _, let inputGradient,
        let gradients):
        return attentionBackward(
          index, shape, input, outputGradient, parameters, inputGradient, gradients)
      default: return nil
      }
    }
  }

  private func attentionForward(
    _ index: Int, _ shape: AttentionShape, _ input: TensorID, _ parameters: AttentionParameters,
    _ output: TensorID
  ) -> FusedGroup? {
    guard let next = onlyReader(of: output),
      case .meanOverTimeForward(_, _, let mean) = self[next]
    else { return nil }
    return FusedGroup(
      name: "attention_mean_forward", operations: [index, next], place: index,
      needs: Set([input] + parameters.all), produces: [mean]
    ) { (lowering) throws(DeviceError) in
      try lowering.shortAttentionForward(shape, input, parameters, mean)
    }
  }

  private func attentionBackward(
    _ index: Int, _ shape: AttentionShape, _ input: TensorID, _ outputGradient: TensorID,
    _ parameters: AttentionParameters, _ inputGradient: TensorID,
    _ gradients: AttentionParameters
  ) -> FusedGroup? {
    guard let before = writer[outputGradient], onlyReader(of: outputGradient) == index,
      case .meanOverTimeBackward(_, let meanGradient, _) = self[before]
    else { return nil }
    return FusedGroup(
      name: "attention_mean_backward", operations: [before, index], place: index,
      needs: Set([input, meanGradient] + parameters.all),
      produces: Set([inputGradient] + gradients.all)
    ) { (lowering) throws(DeviceError) in
      try lowering.shortAttentionBackward(
        shape, input, meanGradient, parameters, inputGradient, gradients)
    }
  }
}

extension Lowering {
  func shortAttentionForward(
    _ shape: AttentionShape, _ input: TensorID, _ parameters: AttentionParameters,
    _ mean: TensorID
  ) throws(DeviceError) -> LaunchBody {
    var attention = try shortAttention(shape, input, parameters)
    attention.output = try floats(mean)
    let (bound, threads, scratch) = (attention, threads, scratch)
    return { context in
      var attention = bound
      attention.random.step = context.iteration
      attention.scratch = scratch.floats
      vl_short_attention_forward(threads, &attention, context.live)
    }
  }

  func shortAttentionBackward(
    _ shape: AttentionShape, _ input: TensorID, _ meanGradient: TensorID,
    _ parameters: AttentionParameters, _ inputGradient: TensorID,
    _ gradients: AttentionParameters
  ) throws(DeviceError) -> LaunchBody {
    var attention = try shortAttention(shape, input, parameters)
    attention.output_gradient = UnsafePointer(try floats(meanGradient))
    attention.input_gradient = try floats(inputGradient)
    attention.query_kernel_gradient = try floats(gradients.queryKernel)
    attention.query_bias_gradient = try floats(gradients.queryBias)
    attention.key_kernel_gradient = try floats(gradients.keyKernel)
    attention.key_bias_gradient = try floats(gradients.keyBias)
    attention.value_kernel_gradient = try floats(gradients.valueKernel)
    attention.value_bias_gradient = try floats(gradients.valueBias)
    attention.output_kernel_gradient = try floats(gradients.outputKernel)
    attention.output_bias_gradient = try floats(gradients.outputBias)
    attention.sums = pool.array(
      Float.self, count: Int(threads) * vl_short_attention_sums(&attention))
    let (bound, threads, scratch) = (attention, threads, scratch)
    return { context in
      var attention = bound
      attention.random.step = context.iteration
      attention.scratch = scratch.floats
      vl_short_attention_backward(threads, &attention, context.live)
    }
  }

  private func shortAttention(
    _ shape: AttentionShape, _ input: TensorID, _ parameters: AttentionParameters
  ) throws(DeviceError) -> vl_short_attention {
    var result = vl_short_attention()
    result.time = shape.time
    result.channels = shape.channels
    result.heads = shape.heads
    result.key_size = shape.keySize
    result.output_channels = shape.outputChannels
    result.threshold = Philox.dropoutThreshold(rate: shape.dropoutRate)
    result.keep_scale = 1 / (1 - shape.dropoutRate)
    result.random = random(stream: shape.stream)
    result.input = UnsafePointer(try floats(input))
    result.query_kernel = UnsafePointer(try floats(parameters.queryKernel))
    result.query_bias = UnsafePointer(try floats(parameters.queryBias))
    result.key_kernel = UnsafePointer(try floats(parameters.keyKernel))
    result.value_kernel = UnsafePointer(try floats(parameters.valueKernel))
    result.value_bias = UnsafePointer(try floats(parameters.valueBias))
    result.output_kernel = UnsafePointer(try floats(parameters.outputKernel))
    result.output_bias = UnsafePointer(try floats(parameters.outputBias))
    let width = (shape.channels + 15) / 16 * 16
    let products = shape.heads * shape.channels * width
    result.products = pool.array(Float.self, count: products)
    result.transposed_products = pool.array(Float.self, count: products)
    result.offsets = pool.array(Float.self, count: shape.heads * width)
    scratch.reserve(Float.self, count: Int(threads) * vl_short_attention_floats(&result))
    return result
  }
}
