/// A dense layer, ReLU, and dropout where it follows: the tensors that one launch reads and writes.
public struct DenseBlock: Sendable {
  public var shape: DenseShape
  public var input, kernel, bias: TensorID
  public var dropout: DropoutShape?
  /// Of the last operation: above zero exactly where a unit was positive and kept.
  public var output: TensorID
  public var operations: [Int]
}

/// The gradient at a dense block's sums, through the dense layer that reads the block, and that
/// layer's own gradients.
public struct DenseBlockGradient: Sendable {
  /// The layer behind the block.
  public var shape: DenseShape
  public var kernel, outputGradient, kernelGradient, biasGradient: TensorID
  /// The block's output.
  public var input: TensorID
  public var dropout: DropoutShape?
  /// Before the block's ReLU.
  public var inputGradient: TensorID
}

/// Both backward operations of a dense layer.
public struct DenseGradient: Sendable {
  public var shape: DenseShape
  public var input, kernel, outputGradient: TensorID
  public var inputGradient, kernelGradient, biasGradient: TensorID
}

/// The last dense layer, the loss from its logits, and the L2 penalty.
public struct DenseLoss: Sendable {
  public var shape: DenseShape
  public var input, kernel, bias, logits: TensorID
  public var loss: LossShape
  public var targets, sampleWeights, probabilities: TensorID
  public var logitsGradient: TensorID?
  public var coefficient: Float
  public var decayed: [TensorID]
}

extension FusionFinder {
  func denseBlocks() -> [FusedPattern] {
    program.operations.indices.flatMap { index -> [FusedPattern] in
      guard let block = denseBlock(at: index) else { return [] }
      return [pattern(of: block)] + (gradient(of: block).map { [$0] } ?? [])
    }
  }

  private func denseBlock(at index: Int) -> DenseBlock? {
    guard case .denseForward(let shape, let input, let kernel, let bias, let sums) = self[index],
      let relu = onlyReader(of: sums), case .reluForward(_, _, let positive) = self[relu]
    else { return nil }
    var block = DenseBlock(
      shape: shape, input: input, kernel: kernel, bias: bias, output: positive,
      operations: [index, relu])
    if let next = forwardReader(of: positive),
      case .dropoutForward(let shape, _, let kept) = self[next]
    {
      block.operations.append(next)
      (block.dropout, block.output) = (shape, kept)
    }
    return block
  }

  private func pattern(of block: DenseBlock) -> FusedPattern {
    FusedPattern(
      kind: .denseBlock(block),
      name: "dense_relu" + (block.dropout == nil ? "" : "_dropout") + "_forward",
      operations: block.operations, place: block.operations[block.operations.count - 1],
      needs: [block.input, block.kernel, block.bias], produces: [block.output])
  }

  private func gradient(of block: DenseBlock) -> FusedPattern? {
    guard
      let layer = readers[block.output]?.first(where: {
        if case .denseBackwardKernel = self[$0] { true } else { false }
      }),
      case .denseBackwardKernel(
        let shape, _, let outputGradient, let kernelGradient, let biasGradient) = self[layer],
      let through = readers[outputGradient]?.first(where: {
        if case .denseBackwardInput = self[$0] { true } else { false }
      }), case .denseBackwardInput(_, _, let kernel, var gradient) = self[through],
      var next = onlyReader(of: gradient)
    else { return nil }
    var operations = [layer, through, next]
    if block.dropout != nil {
      guard case .dropoutBackward(_, _, let before) = self[next],
        let relu = onlyReader(of: before)
      else { return nil }
      (gradient, next) = (before, relu)
      operations.append(relu)
    }
    guard case .reluBackward(_, let positive, _, let inputGradient) = self[next],
      writer[positive] == block.operations[1]
    else { return nil }
    return FusedPattern(
      kind: .denseBlockGradient(
        DenseBlockGradient(
          shape: shape, kernel: kernel, outputGradient: outputGradient,
          kernelGradient: kernelGradient, biasGradient: biasGradient, input: block.output,
          dropout: block.dropout, inputGradient: inputGradient)),
      name: "dense_relu" + (block.dropout == nil ? "" : "_dropout") + "_backward",
      operations: operations.sorted(), place: operations.max() ?? layer,
      needs: [block.output, kernel, outputGradient],
      produces: [kernelGradient, biasGradient, inputGradient])
  }

  func denseGradients() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard
        case .denseBackwardKernel(
          let shape, let input, let outputGradient, let kernelGradient, let biasGradient) =
          self[index],
        let other = readers[outputGradient]?.first(where: {
          if case .denseBackwardInput = self[$0] { true } else { false }
        }), case .denseBackwardInput(_, _, let kernel, let inputGradient) = self[other]
      else { return nil }
      return FusedPattern(
        kind: .denseGradient(
          DenseGradient(
            shape: shape, input: input, kernel: kernel, outputGradient: outputGradient,
            inputGradient: inputGradient, kernelGradient: kernelGradient,
            biasGradient: biasGradient)),
        name: "dense_backward", operations: [index, other].sorted(), place: min(index, other),
        needs: [input, kernel, outputGradient],
        produces: [inputGradient, kernelGradient, biasGradient])
    }
  }

  func denseLosses() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard
        case .softmaxCrossEntropy(
          let loss, let logits, let targets, let sampleWeights, let probabilities,
          let logitsGradient) = self[index],
        let layer = writer[logits], onlyReader(of: logits) == index,
        case .denseForward(let shape, let input, let kernel, let bias, _) = self[layer],
        program.operations.indices.contains(index + 1),
        case .l2Penalty(let coefficient, let decayed) = self[index + 1]
      else { return nil }
      return FusedPattern(
        kind: .denseLoss(
          DenseLoss(
            shape: shape, input: input, kernel: kernel, bias: bias, logits: logits, loss: loss,
            targets: targets, sampleWeights: sampleWeights, probabilities: probabilities,
            logitsGradient: logitsGradient, coefficient: coefficient, decayed: decayed)),
        name: "dense_softmax_cross_entropy", operations: [layer, index, index + 1],
        place: index + 1, needs: Set([input, kernel, bias, targets, sampleWeights] + decayed),
        produces: Set([logits, probabilities] + (logitsGradient.map { [$0] } ?? [])))
    }
  }
}
