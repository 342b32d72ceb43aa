import CVectorLoops
import Compute

/// Batch normalization, ReLU, and dropout and max pooling where they follow: the tensors that one
/// pass reads and writes.
struct NormBlock {
  var shape: NormalizationShape
  var input, gamma, beta: TensorID
  var mean, variance: TensorID
  /// Training: also the moving statistics; inference: nil.
  var moving: (mean: TensorID, variance: TensorID)?
  var dropout: DropoutShape?
  var pool: PoolShape?
  var argmax: TensorID?
  /// Of the last operation.
  var output: TensorID
  var operations: [Int]
}

/// The same backward.
struct NormBlockGradient {
  var block: NormBlock
  var outputGradient, inputGradient, gammaGradient, betaGradient: TensorID
  var operations: [Int]
}

extension FusionFinder {
  func normBlockGroups() -> [FusedGroup] {
    let forward = program.operations.indices.compactMap { normBlock(at: $0) }
    var result: [FusedGroup] = []
    for block in forward {
      result.append(group(of: block))
      if let gradient = gradient(of: block) { result.append(group(of: gradient)) }
    }
    return result
  }

  func normBlock(at index: Int) -> NormBlock? {
    var block: NormBlock
    switch self[index] {
    case .batchNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance,
      let movingMean, let movingVariance):
      block = NormBlock(
        shape: shape, input: input, gamma: gamma, beta: beta, mean: mean, variance: variance,
        moving: (movingMean, movingVariance), output: output, operations: [index])
    case .batchNormInference(
      let shape, let input, let gamma, let beta, let mean, let variance, let output):
      block = NormBlock(
        shape: shape, input: input, gamma: gamma, beta: beta, mean: mean, variance: variance,
        output: output, operations: [index])
    default: return nil
    }
    guard let relu = forwardReader(of: block.output),
      case .reluForward(_, _, let positive) = self[relu]
    else { return nil }
    block.operations.append(relu)
    block.output = positive
    if let next = forwardReader(of: block.output),
      case .dropoutForward(let shape, _, let kept) = self[next]
    {
      block.operations.append(next)
      (block.dropout, block.output) = (shape, kept)
    }
    if let next = forwardReader(of: block.output),
      case .maxPoolForward(let shape, _, let output, let argmax) = self[next]
    {
      block.operations.append(next)
      (block.pool, block.output, block.argmax) = (shape, output, argmax)
    }
    return block
  }

  /// The backward operations that mirror a block, last to first.
  private func gradient(of block: NormBlock) -> NormBlockGradient? {
    guard
      let norm = readers[block.mean]?.first(where: {
        if case .batchNormBackward = self[$0] { true } else { false }
      }),
      case .batchNormBackward(
        _, _, var gradient, _, _, _, let inputGradient, let gammaGradient, let betaGradient) =
        self[norm]
    else { return nil }
    var operations = [norm]
    guard let relu = writer[gradient], case .reluBackward(_, _, let before, _) = self[relu] else {
      return nil
    }
    operations.append(relu)
    gradient = before
    if block.dropout != nil {
      guard let index = writer[gradient], case .dropoutBackward(_, let before, _) = self[index]
      else { return nil }
      operations.append(index)
      gradient = before
    }
    if block.pool != nil {
      guard let index = writer[gradient], case .maxPoolBackward(_, _, let before, _) = self[index]
      else { return nil }
      operations.append(index)
      gradient = before
    }
    return NormBlockGradient(
      block: block, outputGradient: gradient, inputGradient: inputGradient,
      gammaGradient: gammaGradient, betaGradient: betaGradient,
      operations: operations.sorted())
  }

  private func name(_ block: NormBlock) -> String {
    "batch_norm_relu" + (block.dropout == nil ? "" : "_dropout")
      + (block.pool == nil ? "" : "_max_pool")
  }

  private func group(of block: NormBlock) -> FusedGroup {
    var needs: Set = [block.input, block.gamma, block.beta]
    var produces: Set = [block.output]
    if let moving = block.moving {
      needs.formUnion([moving.mean, moving.variance])
      produces.formUnion([block.mean, block.variance, moving.mean, moving.variance])
    } else {
      needs.formUnion([block.mean, block.variance])
    }
    if let argmax = block.argmax { produces.insert(argmax) }
    return FusedGroup(
      name: name(block) + (block.moving == nil ? "_inference" : "_forward"),
      operations: block.operations, place: block.operations[block.operations.count - 1],
      needs: needs, produces: produces
    ) { (lowering) throws(DeviceError) in try lowering.normBlockForward(block) }
  }

  private func group(of gradient: NormBlockGradient) -> FusedGroup {
    let block = gradient.block
    var needs: Set = [
      block.input, block.gamma, block.mean, block.variance, block.output,
      gradient.outputGradient,
    ]
    if let argmax = block.argmax { needs.insert(argmax) }
    return FusedGroup(
      name: name(block) + "_backward", operations: gradient.operations,
      place: gradient.operations[gradient.operations.count - 1], needs: needs,
      produces: [gradient.inputGradient, gradient.gammaGradient, gradient.betaGradient]
    ) { (lowering) throws(DeviceError) in try lowering.normBlockBackward(gradient) }
  }
}

extension Lowering {
  func normBlockForward(_ block: NormBlock) throws(DeviceError) -> LaunchBody {
    var pass = try normBlock(block)
    let (channels, epsilon) = (block.shape.channels, block.shape.epsilon)
    let factor = pool.array(Float.self, count: channels)
    pass.factor = UnsafePointer(factor)
    pass.lanes = pool.array(UInt16.self, count: Int(threads) * vl_norm_block_lanes(&pass))
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
    scratch.reserve(Double.self, count: Int(threads) * 2 * channels)
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
    pass.factors = pool.array(Float.self, count: 3 * pass.channels)
    scratch.reserve(Double.self, count: Int(threads) * 2 * pass.channels)
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
