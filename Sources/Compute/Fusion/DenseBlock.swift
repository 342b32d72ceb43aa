/// A dense layer, ReLU, and dropout where it follows: the tensors that one launch reads and writes.
public struct DenseBlock: Sendable {
  public var shape: DenseShape
  public var input, kernel, bias: TensorID
  public var dropout: DropoutShape?
  /// Of the last operation: above zero exactly where a unit was positive and kept.
  public var output: TensorID
  public var operations: [Int]
}

/// The gradient at a dense block's sums, through the layer of the logits that reads the block, and
/// that layer's own gradients.
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

/// The last dense layer, the loss from its logits, and the L2 penalty; in training also the gradients
/// through that layer and the dense block before it.
public struct DenseLoss: Sendable {
  public var shape: DenseShape
  public var input, kernel, bias, logits: TensorID
  public var loss: LossShape
  public var targets, sampleWeights, probabilities: TensorID
  public var logitsGradient: TensorID?
  public var coefficient: Float
  public var decayed: [TensorID]
  /// Nil where the layer is not read by a dense block's output, or does not train.
  public var gradient: DenseBlockGradient?
}

extension FusionFinder {
  func denseBlocks() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      denseBlock(at: index).map { pattern(of: $0) }
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

  private func gradient(
    of block: DenseBlock
  ) -> (gradient: DenseBlockGradient, operations: [Int])? {
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
    let result = DenseBlockGradient(
      shape: shape, kernel: kernel, outputGradient: outputGradient,
      kernelGradient: kernelGradient, biasGradient: biasGradient, input: block.output,
      dropout: block.dropout, inputGradient: inputGradient)
    return (result, operations)
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

  /// With the gradients where there are any, and, should those not do, without them.
  func denseLosses() -> [FusedPattern] {
    program.operations.indices.flatMap { index -> [FusedPattern] in
      guard let (loss, layer) = denseLoss(at: index) else { return [] }
      let alone = pattern(of: loss, [layer, index, index + 1])
      guard let logitsGradient = loss.logitsGradient,
        let block = program.operations.indices.lazy.compactMap({ denseBlock(at: $0) })
          .first(where: { $0.output == loss.input }),
        let (gradient, operations) = gradient(of: block),
        gradient.outputGradient == logitsGradient, gradient.kernel == loss.kernel,
        readers[logitsGradient]?.count == 2
      else { return [alone] }
      var trained = loss
      trained.gradient = gradient
      return [pattern(of: trained, [layer, index, index + 1] + operations), alone]
    }
  }

  private func denseLoss(at index: Int) -> (loss: DenseLoss, layer: Int)? {
    guard
      case .softmaxCrossEntropy(
        let loss, let logits, let targets, let sampleWeights, let probabilities,
        let logitsGradient) = self[index],
      let layer = writer[logits], onlyReader(of: logits) == index,
      case .denseForward(let shape, let input, let kernel, let bias, _) = self[layer],
      program.operations.indices.contains(index + 1),
      case .l2Penalty(let coefficient, let decayed) = self[index + 1]
    else { return nil }
    return (
      DenseLoss(
        shape: shape, input: input, kernel: kernel, bias: bias, logits: logits, loss: loss,
        targets: targets, sampleWeights: sampleWeights, probabilities: probabilities,
        logitsGradient: logitsGradient, coefficient: coefficient, decayed: decayed), layer
    )
  }

  private func pattern(of loss: DenseLoss, _ operations: [Int]) -> FusedPattern {
    var produces: Set = [loss.logits, loss.probabilities]
    if let gradient = loss.gradient {
      produces.formUnion(
        [gradient.kernelGradient, gradient.biasGradient, gradient.inputGradient])
    } else if let gradient = loss.logitsGradient {
      produces.insert(gradient)
    }
    return FusedPattern(
      kind: .denseLoss(loss),
      name: "dense_softmax_cross_entropy" + (loss.gradient == nil ? "" : "_backward"),
      operations: operations.sorted(), place: operations.max() ?? 0,
      needs: Set(
        [loss.input, loss.kernel, loss.bias, loss.targets, loss.sampleWeights] + loss.decayed),
      produces: produces)
  }
}
