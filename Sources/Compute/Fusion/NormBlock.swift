/// Batch normalization, ReLU, and dropout and max pooling where they follow: the tensors that one
/// pass reads and writes.
public struct NormBlock: Sendable {
  public var shape: NormalizationShape
  public var input, gamma, beta: TensorID
  public var mean, variance: TensorID
  /// Training: also the moving statistics; inference: nil.
  public var moving: (mean: TensorID, variance: TensorID)?
  public var dropout: DropoutShape?
  public var pool: PoolShape?
  public var argmax: TensorID?
  /// Of the last operation.
  public var output: TensorID
  public var operations: [Int]
}

/// The same backward.
public struct NormBlockGradient: Sendable {
  public var block: NormBlock
  public var outputGradient, inputGradient, gammaGradient, betaGradient: TensorID
  /// The output's mean over time is what is used: `outputGradient` is that of the mean, `[B, C]`.
  public var isOfMean = false
  public var operations: [Int]
}

extension FusionFinder {
  func normBlocks() -> [FusedPattern] {
    let forward = program.operations.indices.compactMap { normBlock(at: $0) }
    var result: [FusedPattern] = []
    for block in forward {
      result.append(pattern(of: block))
      guard let gradient = gradient(of: block) else { continue }
      if let ofMean = ofMean(gradient) { result.append(pattern(of: ofMean)) }
      result.append(pattern(of: gradient))
    }
    return result
  }

  func normBlock(at index: Int) -> NormBlock? {
    guard var block = normalization(at: index),
      let (next, relu) = forwardReader(of: block.output, ReluForward.self)
    else { return nil }
    block.operations.append(next)
    block.output = relu.output
    if let (next, dropout) = forwardReader(of: block.output, DropoutForward.self) {
      block.operations.append(next)
      (block.dropout, block.output) = (dropout.shape, dropout.output)
    }
    if let (next, pool) = forwardReader(of: block.output, MaxPoolForward.self) {
      block.operations.append(next)
      (block.pool, block.output, block.argmax) = (pool.shape, pool.output, pool.argmax)
    }
    return block
  }

  /// The block's first operation alone.
  private func normalization(at index: Int) -> NormBlock? {
    if let op = operation(index, BatchNormForward.self) {
      return NormBlock(
        shape: op.shape, input: op.input, gamma: op.gamma, beta: op.beta, mean: op.mean,
        variance: op.variance, moving: (op.movingMean, op.movingVariance), output: op.output,
        operations: [index])
    }
    guard let op = operation(index, BatchNormInference.self) else { return nil }
    return NormBlock(
      shape: op.shape, input: op.input, gamma: op.gamma, beta: op.beta, mean: op.movingMean,
      variance: op.movingVariance, output: op.output, operations: [index])
  }

  /// The backward operations that mirror a block, last to first.
  private func gradient(of block: NormBlock) -> NormBlockGradient? {
    guard let (place, norm) = reader(of: block.mean, BatchNormBackward.self),
      let (next, relu) = writer(of: norm.outputGradient, ReluBackward.self)
    else { return nil }
    var operations = [place, next]
    var gradient = relu.outputGradient
    if block.dropout != nil {
      guard let (place, dropout) = writer(of: gradient, DropoutBackward.self) else { return nil }
      operations.append(place)
      gradient = dropout.outputGradient
    }
    if block.pool != nil {
      guard let (place, pool) = writer(of: gradient, MaxPoolBackward.self) else { return nil }
      operations.append(place)
      gradient = pool.outputGradient
    }
    return NormBlockGradient(
      block: block, outputGradient: gradient, inputGradient: norm.inputGradient,
      gammaGradient: norm.gammaGradient, betaGradient: norm.betaGradient,
      operations: operations.sorted())
  }

  /// The same with the mean over time that follows the block, if one does.
  private func ofMean(_ gradient: NormBlockGradient) -> NormBlockGradient? {
    guard
      let (place, average) = writer(of: gradient.outputGradient, MeanOverTimeBackward.self),
      onlyReader(of: gradient.outputGradient) == gradient.operations[0]
    else { return nil }
    var result = gradient
    result.operations.insert(place, at: 0)
    (result.outputGradient, result.isOfMean) = (average.outputGradient, true)
    return result
  }

  private func name(_ block: NormBlock) -> String {
    "batch_norm_relu" + (block.dropout == nil ? "" : "_dropout")
      + (block.pool == nil ? "" : "_max_pool")
  }

  private func pattern(of block: NormBlock) -> FusedPattern {
    var needs: Set = [block.input, block.gamma, block.beta]
    var produces: Set = [block.output]
    if let moving = block.moving {
      needs.formUnion([moving.mean, moving.variance])
      produces.formUnion([block.mean, block.variance, moving.mean, moving.variance])
    } else {
      needs.formUnion([block.mean, block.variance])
    }
    if let argmax = block.argmax { produces.insert(argmax) }
    return FusedPattern(
      kind: .normBlock(block),
      name: name(block) + (block.moving == nil ? "_inference" : "_forward"),
      operations: block.operations, place: block.operations[block.operations.count - 1],
      needs: needs, produces: produces)
  }

  private func pattern(of gradient: NormBlockGradient) -> FusedPattern {
    let block = gradient.block
    var needs: Set = [
      block.input, block.gamma, block.mean, block.variance, block.output,
      gradient.outputGradient,
    ]
    if let argmax = block.argmax { needs.insert(argmax) }
    return FusedPattern(
      kind: .normBlockGradient(gradient),
      name: name(block) + (gradient.isOfMean ? "_mean" : "") + "_backward",
      operations: gradient.operations,
      place: gradient.operations[gradient.operations.count - 1], needs: needs,
      produces: [gradient.inputGradient, gradient.gammaGradient, gradient.betaGradient])
  }
}
