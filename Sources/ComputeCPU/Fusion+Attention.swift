import CVectorLoops
import Compute

extension Lowering {
  func shortAttentionForward(_ short: AttentionMean) throws(DeviceError) -> LaunchBody {
    var attention = try shortAttention(short.shape, short.input, short.parameters)
    attention.output = try floats(short.mean)
    let (bound, threads, scratch) = (attention, threads, scratch)
    return { context in
      var attention = bound
      attention.random.step = context.iteration
      attention.scratch = scratch.floats
      vl_short_attention_forward(threads, &attention, context.live)
    }
  }

  func shortAttentionBackward(
    _ short: AttentionMeanGradient
  ) throws(DeviceError) -> LaunchBody {
    let gradients = short.gradients
    var attention = try shortAttention(short.shape, short.input, short.parameters)
    attention.output_gradient = UnsafePointer(try floats(short.meanGradient))
    attention.input_gradient = try floats(short.inputGradient)
    attention.query_kernel_gradient = try floats(gradients.queryKernel)
    attention.query_bias_gradient = try floats(gradients.queryBias)
    attention.key_kernel_gradient = try floats(gradients.keyKernel)
    attention.key_bias_gradient = try floats(gradients.keyBias)
    attention.value_kernel_gradient = try floats(gradients.valueKernel)
    attention.value_bias_gradient = try floats(gradients.valueBias)
    attention.output_kernel_gradient = try floats(gradients.outputKernel)
    attention.output_bias_gradient = try floats(gradients.outputBias)
    attention.sums = try pool.array(
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
    result.products = try pool.array(Float.self, count: products)
    result.transposed_products = try pool.array(Float.self, count: products)
    result.offsets = try pool.array(Float.self, count: shape.heads * width)
    try scratch.reserve(Float.self, count: Int(threads) * vl_short_attention_floats(&result))
    return result
  }
}
