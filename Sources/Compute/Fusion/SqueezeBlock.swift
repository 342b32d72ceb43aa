/// A squeeze-excitation block between its convolutions and its sum: the tensors that one launch
/// reads and writes.
public struct SqueezeBlock: Sendable {
  public struct Dense: Sendable {
    public var kernel, bias: TensorID
  }

  public var sequence: SequenceShape
  public var units: Int
  /// Batch normalization and ReLU of each branch.
  public var branches: [NormBlock]
  public var dropout: DropoutShape?
  /// What the scale multiplies: the concatenation, after dropout if there is any.
  public var kept: TensorID
  /// Its mean over time, the squeeze after ReLU, the scale.
  public var mean, hidden, scale: TensorID
  public var squeeze, excite: Dense
  public var shortcut, output: TensorID
  public var operations: [Int]
}

/// The same backward, but for the sum, which passes its gradient on.
public struct SqueezeBlockGradient: Sendable {
  public struct Branch: Sendable {
    public var inputGradient, gammaGradient, betaGradient: TensorID
  }

  public var block: SqueezeBlock
  public var outputGradient: TensorID
  public var branches: [Branch]
  public var squeeze, excite: SqueezeBlock.Dense
  public var operations: [Int]
}

extension FusionFinder {
  func squeezeBlocks() -> [FusedPattern] {
    var result: [FusedPattern] = []
    for index in program.operations.indices {
      guard let block = squeezeBlock(scaledBy: index) else { continue }
      result.append(pattern(of: block))
      if let gradient = gradient(of: block) { result.append(pattern(of: gradient)) }
    }
    return result
  }

  // MARK: Forward

  private func squeezeBlock(scaledBy index: Int) -> SqueezeBlock? {
    guard let scaling = operation(index, ScaleChannelsForward.self),
      let sigmoid = writer(of: scaling.scale, SigmoidForward.self),
      let excite = writer(of: sigmoid.op.input, DenseForward.self),
      let relu = writer(of: excite.op.input, ReluForward.self),
      let squeeze = writer(of: relu.op.input, DenseForward.self),
      let average = writer(of: squeeze.op.input, MeanOverTimeForward.self),
      average.op.input == scaling.input,
      let sum = forwardReader(of: scaling.output, Add.self), sum.op.inputs.count == 2,
      let shortcut = sum.op.inputs.first(where: { $0 != scaling.output })
    else { return nil }
    var operations =
      [index, sigmoid.place, excite.place, relu.place, squeeze.place, average.place, sum.place]
    let dropout = writer(of: scaling.input, DropoutForward.self)
    if let dropout { operations.append(dropout.place) }
    let joined = dropout?.op.input ?? scaling.input
    guard let (place, parts) = writer(of: joined, ConcatenateForward.self) else { return nil }
    operations.append(place)
    var branches: [NormBlock] = []
    for part in parts.inputs {
      guard let relu = writer(of: part, ReluForward.self), let norm = writer[relu.op.input],
        var block = normBlock(at: norm)
      else { return nil }
      (block.operations, block.output) = ([norm, relu.place], part)
      branches.append(block)
      operations += [norm, relu.place]
    }
    guard branches.count <= 4 else { return nil }
    return SqueezeBlock(
      sequence: scaling.shape, units: excite.op.shape.inputs, branches: branches,
      dropout: dropout?.op.shape, kept: scaling.input, mean: squeeze.op.input,
      hidden: excite.op.input, scale: scaling.scale,
      squeeze: SqueezeBlock.Dense(kernel: squeeze.op.kernel, bias: squeeze.op.bias),
      excite: SqueezeBlock.Dense(kernel: excite.op.kernel, bias: excite.op.bias),
      shortcut: shortcut, output: sum.op.output, operations: operations.sorted())
  }

  private func pattern(of block: SqueezeBlock) -> FusedPattern {
    var needs: Set = [
      block.squeeze.kernel, block.squeeze.bias, block.excite.kernel, block.excite.bias,
      block.shortcut,
    ]
    var produces: Set = [block.kept, block.mean, block.hidden, block.scale, block.output]
    for branch in block.branches {
      needs.formUnion([branch.input, branch.gamma, branch.beta])
      if let moving = branch.moving {
        needs.formUnion([moving.mean, moving.variance])
        produces.formUnion([branch.mean, branch.variance, moving.mean, moving.variance])
      } else {
        needs.formUnion([branch.mean, branch.variance])
      }
    }
    return FusedPattern(
      kind: .squeezeBlock(block),
      name: "squeeze_block_" + (block.branches[0].moving == nil ? "inference" : "forward"),
      operations: block.operations, place: block.operations[block.operations.count - 1],
      needs: needs, produces: produces)
  }

  // MARK: Backward

  private func gradient(of block: SqueezeBlock) -> SqueezeBlockGradient? {
    guard let scaling = reader(of: block.scale, ScaleChannelsBackward.self),
      let sigmoid = onlyReader(of: scaling.op.scaleGradient, SigmoidBackward.self),
      let excite = denseGradient(sigmoid.op.inputGradient),
      let relu = onlyReader(of: excite.inputGradient, ReluBackward.self),
      let squeeze = denseGradient(relu.op.inputGradient),
      let average = onlyReader(of: squeeze.inputGradient, MeanOverTimeBackward.self),
      let sum = onlyReader(of: average.op.inputGradient, Add.self), sum.op.inputs.count == 2,
      Set(sum.op.inputs) == [scaling.op.inputGradient, average.op.inputGradient]
    else { return nil }
    var operations =
      [scaling.place, sigmoid.place, relu.place, average.place, sum.place] + excite.operations
      + squeeze.operations
    var gradient = sum.op.output
    if block.dropout != nil {
      guard let (place, dropout) = onlyReader(of: gradient, DropoutBackward.self) else {
        return nil
      }
      operations.append(place)
      gradient = dropout.inputGradient
    }
    guard let (place, parts) = onlyReader(of: gradient, ConcatenateBackward.self) else {
      return nil
    }
    operations.append(place)
    var branches: [SqueezeBlockGradient.Branch] = []
    for part in parts.inputGradients {
      guard let relu = onlyReader(of: part, ReluBackward.self),
        let norm = onlyReader(of: relu.op.inputGradient, BatchNormBackward.self)
      else { return nil }
      operations += [relu.place, norm.place]
      branches.append(
        SqueezeBlockGradient.Branch(
          inputGradient: norm.op.inputGradient, gammaGradient: norm.op.gammaGradient,
          betaGradient: norm.op.betaGradient))
    }
    return SqueezeBlockGradient(
      block: block, outputGradient: scaling.op.outputGradient, branches: branches,
      squeeze: squeeze.gradients,
      excite: excite.gradients, operations: operations.sorted())
  }

  /// Both backward operations of a dense layer.
  private func denseGradient(
    _ outputGradient: TensorID
  ) -> (gradients: SqueezeBlock.Dense, inputGradient: TensorID, operations: [Int])? {
    guard let weights = reader(of: outputGradient, DenseBackwardKernel.self),
      let input = reader(of: outputGradient, DenseBackwardInput.self)
    else { return nil }
    return (
      SqueezeBlock.Dense(kernel: weights.op.kernelGradient, bias: weights.op.biasGradient),
      input.op.inputGradient, [weights.place, input.place]
    )
  }

  private func pattern(of gradient: SqueezeBlockGradient) -> FusedPattern {
    let block = gradient.block
    var needs: Set = [
      gradient.outputGradient, block.kept, block.mean, block.hidden, block.scale,
      block.squeeze.kernel, block.excite.kernel,
    ]
    var produces: Set = [
      gradient.squeeze.kernel, gradient.squeeze.bias, gradient.excite.kernel,
      gradient.excite.bias,
    ]
    for branch in block.branches {
      needs.formUnion([branch.input, branch.gamma, branch.mean, branch.variance])
    }
    for branch in gradient.branches {
      produces.formUnion([branch.inputGradient, branch.gammaGradient, branch.betaGradient])
    }
    return FusedPattern(
      kind: .squeezeBlockGradient(gradient), name: "squeeze_block_backward",
      operations: gradient.operations,
      place: gradient.operations[0], needs: needs, produces: produces)
  }
}
