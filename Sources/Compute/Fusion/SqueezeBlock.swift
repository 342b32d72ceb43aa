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

  /// The operation that writes a tensor, with its index.
  private func made(_ id: TensorID) -> (index: Int, operation: Operation)? {
    writer[id].map { ($0, self[$0]) }
  }

  // MARK: Forward

  private func squeezeBlock(scaledBy index: Int) -> SqueezeBlock? {
    guard case .scaleChannelsForward(let sequence, let kept, let scale, let scaled) = self[index],
      case (let sigmoid, .sigmoidForward(_, let exciteLinear, _))? = made(scale),
      case (let exciteDense, .denseForward(let shape, let hidden, let w2, let b2, _))? =
        made(exciteLinear),
      case (let relu, .reluForward(_, let squeezeLinear, _))? = made(hidden),
      case (let squeezeDense, .denseForward(_, let mean, let w1, let b1, _))? = made(squeezeLinear),
      case (let average, .meanOverTimeForward(_, let squeezed, _))? = made(mean), squeezed == kept,
      let sum = forwardReader(of: scaled), case .add(_, let inputs, let output) = self[sum],
      inputs.count == 2, let shortcut = inputs.first(where: { $0 != scaled })
    else { return nil }
    var operations = [index, sigmoid, exciteDense, relu, squeezeDense, average, sum]
    var dropout: DropoutShape?
    var joined = kept
    if case (let place, .dropoutForward(let shape, let input, _))? = made(kept) {
      operations.append(place)
      (dropout, joined) = (shape, input)
    }
    guard case (let place, .concatenateForward(_, _, let parts, _))? = made(joined) else {
      return nil
    }
    operations.append(place)
    var branches: [NormBlock] = []
    for part in parts {
      guard case (let relu, .reluForward(_, let normalized, _))? = made(part),
        let (norm, _) = made(normalized), var block = normBlock(at: norm)
      else { return nil }
      (block.operations, block.output) = ([norm, relu], part)
      branches.append(block)
      operations += [norm, relu]
    }
    guard branches.count <= 4 else { return nil }
    return SqueezeBlock(
      sequence: sequence, units: shape.inputs, branches: branches, dropout: dropout, kept: kept,
      mean: mean, hidden: hidden, scale: scale,
      squeeze: SqueezeBlock.Dense(kernel: w1, bias: b1),
      excite: SqueezeBlock.Dense(kernel: w2, bias: b2), shortcut: shortcut, output: output,
      operations: operations.sorted())
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

  private func reader(
    of id: TensorID, where matches: (Operation) -> Bool
  ) -> (index: Int, operation: Operation)? {
    (readers[id] ?? []).first { matches(self[$0]) }.map { ($0, self[$0]) }
  }

  private func gradient(of block: SqueezeBlock) -> SqueezeBlockGradient? {
    guard
      case (let start, .scaleChannelsBackward(_, _, _, let dOutput, let scaled, let dScale))? =
        reader(
          of: block.scale, where: { if case .scaleChannelsBackward = $0 { true } else { false } }),
      let sigmoid = onlyReader(of: dScale),
      case .sigmoidBackward(_, _, _, let dExcite) = self[sigmoid],
      let excite = denseGradient(dExcite),
      let hiddenGradient = excite.inputGradient, let relu = onlyReader(of: hiddenGradient),
      case .reluBackward(_, _, _, let dSqueeze) = self[relu],
      let squeeze = denseGradient(dSqueeze),
      let meanGradient = squeeze.inputGradient, let average = onlyReader(of: meanGradient),
      case .meanOverTimeBackward(_, _, let spread) = self[average],
      let sum = onlyReader(of: spread), case .add(_, let inputs, var gradient) = self[sum],
      inputs.count == 2, Set(inputs) == [scaled, spread]
    else { return nil }
    var operations =
      [start, sigmoid, relu, average, sum] + excite.operations + squeeze.operations
    if block.dropout != nil {
      guard let place = onlyReader(of: gradient),
        case .dropoutBackward(_, _, let before) = self[place]
      else { return nil }
      operations.append(place)
      gradient = before
    }
    guard let place = onlyReader(of: gradient),
      case .concatenateBackward(_, _, _, let parts) = self[place]
    else { return nil }
    operations.append(place)
    var branches: [SqueezeBlockGradient.Branch] = []
    for part in parts {
      guard let relu = onlyReader(of: part),
        case .reluBackward(_, _, _, let normalized) = self[relu],
        let norm = onlyReader(of: normalized),
        case .batchNormBackward(
          _, _, _, _, _, _, let inputGradient, let gammaGradient, let betaGradient) = self[norm]
      else { return nil }
      operations += [relu, norm]
      branches.append(
        SqueezeBlockGradient.Branch(
          inputGradient: inputGradient, gammaGradient: gammaGradient,
          betaGradient: betaGradient))
    }
    return SqueezeBlockGradient(
      block: block, outputGradient: dOutput, branches: branches, squeeze: squeeze.gradients,
      excite: excite.gradients, operations: operations.sorted())
  }

  /// Both backward operations of a dense layer.
  private func denseGradient(
    _ outputGradient: TensorID
  ) -> (gradients: SqueezeBlock.Dense, inputGradient: TensorID?, operations: [Int])? {
    guard
      case (let kernel, .denseBackwardKernel(_, _, _, let dKernel, let dBias))? = reader(
        of: outputGradient, where: { if case .denseBackwardKernel = $0 { true } else { false } }),
      case (let input, .denseBackwardInput(_, _, _, let dInput))? = reader(
        of: outputGradient, where: { if case .denseBackwardInput = $0 { true } else { false } })
    else { return nil }
    return (SqueezeBlock.Dense(kernel: dKernel, bias: dBias), dInput, [kernel, input])
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
