import CVectorLoops
import Compute

extension Lowering {
  /// What the batch statistics of a branch take, before its block.
  private struct Statistics {
    var shape: NormalizationShape
    var x, mean, variance, gamma, factor: Floats
    var moving: (mean: Floats, variance: Floats)?
  }

  private func statistics(_ branch: NormBlock) throws(DeviceError) -> Statistics {
    var result = Statistics(
      shape: branch.shape, x: try floats(branch.input), mean: try floats(branch.mean),
      variance: try floats(branch.variance), gamma: try floats(branch.gamma),
      factor: try pool.array(Float.self, count: branch.shape.channels))
    if let moving = branch.moving {
      result.moving = (try floats(moving.mean), try floats(moving.variance))
    }
    return result
  }

  func squeezeBlockForward(_ block: SqueezeBlock) throws(DeviceError) -> LaunchBody {
    var pass = try squeezeBlock(block)
    var all: [Statistics] = []
    for branch in block.branches { all.append(try statistics(branch)) }
    var branches: [vl_squeeze_branch] = []
    for (branch, statistics) in zip(block.branches, all) {
      var bound = try squeezeBranch(branch)
      bound.factor = UnsafePointer(statistics.factor)
      branches.append(bound)
    }
    pass.setBranches(branches)
    pass.shortcut = UnsafePointer(try floats(block.shortcut))
    pass.output = try floats(block.output)
    pass.squeeze_bias = UnsafePointer(try floats(block.squeeze.bias))
    pass.excite_bias = UnsafePointer(try floats(block.excite.bias))
    pass.lanes = try pool.array(UInt16.self, count: Int(threads) * vl_squeeze_block_lanes(&pass))
    try scratch.reserve(Double.self, count: Int(threads) * 2 * pass.channels)
    try scratch.reserve(Float.self, count: Int(threads) * vl_squeeze_block_floats(&pass))
    let (bound, branchStatistics, threads, scratch) = (pass, all, threads, scratch)
    return { context in
      for s in branchStatistics {
        let channels = s.shape.channels
        if let moving = s.moving {
          vl_batch_statistics(
            threads, s.mean, s.variance, s.x, context.live * s.shape.time, channels,
            scratch.doubles)
          vl_move_statistics(
            moving.mean, moving.variance, s.mean, s.variance, s.shape.momentum.decimalValue,
            channels)
        }
        vl_batch_factors(s.factor, s.gamma, s.variance, s.shape.epsilon, channels)
      }
      var pass = bound
      pass.random.step = context.iteration
      pass.scratch = scratch.floats
      vl_squeeze_block_forward(threads, &pass, context.live)
    }
  }

  func squeezeBlockBackward(_ gradient: SqueezeBlockGradient) throws(DeviceError) -> LaunchBody {
    let block = gradient.block
    var pass = try squeezeBlock(block)
    var branches: [vl_squeeze_branch] = []
    for (branch, gradients) in zip(block.branches, gradient.branches) {
      var bound = try squeezeBranch(branch)
      bound.gamma = UnsafePointer(try floats(branch.gamma))
      bound.variance = UnsafePointer(try floats(branch.variance))
      bound.epsilon = branch.shape.epsilon
      bound.input_gradient = try floats(gradients.inputGradient)
      bound.gamma_gradient = try floats(gradients.gammaGradient)
      bound.beta_gradient = try floats(gradients.betaGradient)
      bound.factors = try pool.array(Float.self, count: 3 * branch.shape.channels)
      branches.append(bound)
    }
    pass.setBranches(branches)
    pass.output_gradient = UnsafePointer(try floats(gradient.outputGradient))
    pass.squeeze_kernel_gradient = try floats(gradient.squeeze.kernel)
    pass.squeeze_bias_gradient = try floats(gradient.squeeze.bias)
    pass.excite_kernel_gradient = try floats(gradient.excite.kernel)
    pass.excite_bias_gradient = try floats(gradient.excite.bias)
    pass.partial = try pool.array(Double.self, count: Int(threads) * 2 * pass.channels)
    pass.branch_totals = try pool.array(Double.self, count: 2 * pass.channels)
    try scratch.reserve(Float.self, count: Int(threads) * vl_squeeze_block_floats(&pass))
    let (bound, threads, scratch) = (pass, threads, scratch)
    return { context in
      var pass = bound
      pass.scratch = scratch.floats
      vl_squeeze_block_backward(threads, &pass, context.live)
    }
  }

  private func squeezeBranch(_ branch: NormBlock) throws(DeviceError) -> vl_squeeze_branch {
    var result = vl_squeeze_branch()
    result.channels = branch.shape.channels
    result.input = UnsafePointer(try floats(branch.input))
    result.mean = UnsafePointer(try floats(branch.mean))
    result.beta = UnsafePointer(try floats(branch.beta))
    return result
  }

  private func squeezeBlock(_ block: SqueezeBlock) throws(DeviceError) -> vl_squeeze_block {
    var pass = vl_squeeze_block()
    pass.time = block.sequence.time
    pass.channels = block.sequence.channels
    pass.units = block.units
    let rate = block.dropout?.rate ?? 0
    pass.threshold = Philox.dropoutThreshold(rate: rate)
    pass.keep_scale = 1 / (1 - rate)
    pass.random = random(stream: block.dropout?.stream ?? 0)
    pass.squeeze_kernel = UnsafePointer(try floats(block.squeeze.kernel))
    pass.excite_kernel = UnsafePointer(try floats(block.excite.kernel))
    pass.kept = try floats(block.kept)
    pass.mean = try floats(block.mean)
    pass.hidden = try floats(block.hidden)
    pass.scale = try floats(block.scale)
    return pass
  }
}

extension vl_squeeze_block {
  mutating func setBranches(_ list: [vl_squeeze_branch]) {
    branch_count = list.count
    withUnsafeMutableBytes(of: &branches) { bytes in
      let places = bytes.bindMemory(to: vl_squeeze_branch.self)
      for (index, branch) in list.enumerated() { places[index] = branch }
    }
  }
}
