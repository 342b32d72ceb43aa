import CVectorLoops
import Compute

extension Lowering {
  func normBlockForward(_ block: NormBlock) throws(DeviceError) -> LaunchBody {
    var pass = try normBlock(block)
    let (channels, epsilon) = (block.shape.channels, block.shape.epsilon)
    let factor = try pool.array(Float.self, count: channels)
    pass.factor = UnsafePointer(factor)
    pass.lanes = try pool.array(UInt16.self, count: Int(threads) * vl_norm_block_lanes(&pass))
    let (x, gamma) = (try floats(block.input), try floats(block.gamma))
    let (mean, variance) = (try floats(block.mean), try floats(block.variance))
    let (bound, threads, scratch) = (pass, threads, scratch)
    let time = block.shape.time
    guard let moving = block.moving else {
      return { context in
        vl_batch_factors(factor, gamma, variance, epsilon, channels)
        var pass = bound
        pass.random.step = context.iteration
        vl_norm_block_forward(threads, &pass, context.live)
      }
    }
    let (movingMean, movingVariance) = (try floats(moving.mean), try floats(moving.variance))
    let momentum = block.shape.momentum.decimalValue
    try scratch.reserve(Double.self, count: Int(threads) * 2 * channels)
    return { context in
      vl_batch_statistics(
        threads, mean, variance, x, context.live * time, channels, scratch.doubles)
      vl_move_statistics(movingMean, movingVariance, mean, variance, momentum, channels)
      vl_batch_factors(factor, gamma, variance, epsilon, channels)
      var pass = bound
      pass.random.step = context.iteration
      vl_norm_block_forward(threads, &pass, context.live)
    }
  }

  func normBlockBackward(_ gradient: NormBlockGradient) throws(DeviceError) -> LaunchBody {
    var pass = try normBlock(gradient.block)
    pass.output_gradient = UnsafePointer(try floats(gradient.outputGradient))
    pass.gamma = UnsafePointer(try floats(gradient.block.gamma))
    pass.variance = UnsafePointer(try floats(gradient.block.variance))
    pass.epsilon = gradient.block.shape.epsilon
    pass.input_gradient = try floats(gradient.inputGradient)
    pass.gamma_gradient = try floats(gradient.gammaGradient)
    pass.beta_gradient = try floats(gradient.betaGradient)
    pass.factors = try pool.array(Float.self, count: 3 * pass.channels)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * pass.channels)
    let (bound, threads, scratch) = (pass, threads, scratch)
    return { context in
      var pass = bound
      pass.partial = scratch.doubles
      vl_norm_block_backward(threads, &pass, context.live)
    }
  }

  private func normBlock(_ block: NormBlock) throws(DeviceError) -> vl_norm_block {
    var pass = vl_norm_block()
    pass.time = block.shape.time
    pass.channels = block.shape.channels
    pass.size = block.pool?.size ?? 1
    let rate = block.dropout?.rate ?? 0
    pass.threshold = Philox.dropoutThreshold(rate: rate)
    pass.keep_scale = 1 / (1 - rate)
    pass.random = random(stream: block.dropout?.stream ?? 0)
    pass.input = UnsafePointer(try floats(block.input))
    pass.mean = UnsafePointer(try floats(block.mean))
    pass.beta = UnsafePointer(try floats(block.beta))
    pass.output = try floats(block.output)
    if let argmax = block.argmax { pass.argmax = try bytes(argmax) }
    return pass
  }
}
