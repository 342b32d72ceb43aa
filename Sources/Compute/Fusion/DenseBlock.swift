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
    guard let dense = operation(index, DenseForward.self),
      let (next, relu) = onlyReader(of: dense.output, ReluForward.self)
    else { return nil }
    var block = DenseBlock(
      shape: dense.shape, input: dense.input, kernel: dense.kernel, bias: dense.bias,
      output: relu.output, operations: [index, next])
    if let (next, dropout) = forwardReader(of: relu.output, DropoutForward.self) {
      block.operations.append(next)
      (block.dropout, block.output) = (dropout.shape, dropout.output)
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
    guard let (layer, weights) = reader(of: block.output, DenseBackwardKernel.self),
      let (through, input) = reader(of: weights.outputGradient, DenseBackwardInput.self)
    else { return nil }
    var operations = [layer, through]
    var gradient = input.inputGradient
    if block.dropout != nil {
      guard let (place, dropout) = onlyReader(of: gradient, DropoutBackward.self) else {
        return nil
      }
      operations.append(place)
      gradient = dropout.inputGradient
    }
    guard let (place, relu) = onlyReader(of: gradient, ReluBackward.self),
      writer[relu.output] == block.operations[1]
    else { return nil }
    operations.append(place)
    let result = DenseBlockGradient(
      shape: weights.shape, kernel: input.kernel, outputGradient: weights.outputGradient,
      kernelGradient: weights.kernelGradient, biasGradient: weights.biasGradient,
      input: block.output, dropout: block.dropout, inputGradient: relu.inputGradient)
    return (result, operations)
  }

  func denseGradients() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard let weights = operation(index, DenseBackwardKernel.self),
        let (other, input) = reader(of: weights.outputGradient, DenseBackwardInput.self)
      else { return nil }
      return FusedPattern(
        kind: .denseGradient(
          DenseGradient(
            shape: weights.shape, input: weights.input, kernel: input.kernel,
            outputGradient: weights.outputGradient, inputGradient: input.inputGradient,
            kernelGradient: weights.kernelGradient, biasGradient: weights.biasGradient)),
        name: "dense_backward", operations: [index, other].sorted(), place: min(index, other),
        needs: [weights.input, input.kernel, weights.outputGradient],
        produces: [input.inputGradient, weights.kernelGradient, weights.biasGradient])
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
    guard let op = operation(index, SoftmaxCrossEntropy.self),
      onlyReader(of: op.logits) == index,
      let (layer, dense) = writer(of: op.logits, DenseForward.self),
      program.operations.indices.contains(index + 1),
      let penalty = operation(index + 1, L2Penalty.self)
    else { return nil }
    let loss = DenseLoss(
      shape: dense.shape, input: dense.input, kernel: dense.kernel, bias: dense.bias,
      logits: op.logits, loss: op.shape, targets: op.targets, sampleWeights: op.sampleWeights,
      probabilities: op.probabilities, logitsGradient: op.logitsGradient,
      coefficient: penalty.coefficient, decayed: penalty.kernels)
    return (loss, layer)
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
