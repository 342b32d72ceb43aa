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

  /// The same with the mean over time that follows the block, if one does.
  private func ofMean(_ gradient: NormBlockGradient) -> NormBlockGradient? {
    guard let place = writer[gradient.outputGradient],
      case .meanOverTimeBackward(_, let before, _) = self[place],
      onlyReader(of: gradient.outputGradient) == gradient.operations[0]
    else { return nil }
    var result = gradient
    result.operations.insert(place, at: 0)
    (result.outputGradient, result.isOfMean) = (before, true)
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
