import Compute

/// Small dense layers and what stands around them: the kernels of `dense_block.cl`.
extension Lowering {
  /// Rows of a group that one item takes: ROWS of `dense_block.cl`.
  private static let rows = 4
  /// Work-groups that share the sums of squares of the penalty.
  private static let squareGroups = 64

  /// Where a launch costs as much as the product: of one row per sample, and no larger than this.
  static func isSmall(_ shape: DenseShape) -> Bool {
    shape.rowsPerSample == 1 && shape.inputs * shape.outputs <= 1 << 19
  }

  func denseBlock(_ block: DenseBlock) throws(DeviceError) -> Command {
    try denseForward(
      block.shape, block.input, block.kernel, block.bias, block.output, activates: true,
      dropout: block.dropout)
  }

  /// The logits, in whose launch sums of squares are made besides; and what is left of the loss, with
  /// the gradients where there are any.
  func denseLoss(_ loss: DenseLoss) throws(DeviceError) -> [Command] {
    let all = try runs(of: [loss.decayed])
    let width = groups(of: loss.shape).width
    var regions = ScratchRegions(scratch)
    let count = Self.squareGroups * width
    let squares = regions.floats(all.count * count)
    guard case .region(let slot, let first, _) = squares else { return [] }
    // Weights that lie apart, in arenas cut in several, take a launch each: with the same logits.
    var commands: [Command] = []
    for (index, run) in all.enumerated() {
      commands.append(
        try denseForward(
          loss.shape, loss.input, loss.kernel, loss.bias, loss.logits, activates: false,
          dropout: nil, squares: (run, .region(slot, offset: first + index * count))))
    }
    let penalty = (squares, all.count * count, loss.coefficient)
    if let gradient = loss.gradient {
      return commands + [try denseLossBackward(loss, gradient, penalty: penalty)]
    }
    commands.append(
      try crossEntropy(
        loss.loss, logits: loss.logits, targets: loss.targets, sampleWeights: loss.sampleWeights,
        probabilities: loss.probabilities, logitsGradient: loss.logitsGradient, penalty: penalty))
    return commands
  }

  private func denseForward(
    _ shape: DenseShape, _ input: TensorID, _ weights: TensorID, _ bias: TensorID,
    _ output: TensorID, activates: Bool, dropout: DropoutShape?,
    squares: (run: Run, sums: KernelArgument)? = nil
  ) throws(DeviceError) -> Command {
    let groups = groups(of: shape)
    let (first, x) = (squares == nil ? 0 : Self.squareGroups, try tensor(input))
    var arguments: [KernelArgument] = [
      .slot(table.header), x, try tensor(weights), try tensor(bias), try tensor(output),
      squares?.run.places[0] ?? x, squares?.sums ?? x, .int(squares?.run.count ?? 0),
      .int(first), .int(activates ? 1 : 0),
    ]
    arguments += dropoutArguments(dropout) + keyArguments
    arguments += sizes(shape, groups) + [.step, .live]
    return try kernel(
      "dense_block", "dense_block_forward", defines: ["WIDTH": groups.width], arguments,
      local: [groups.items],
      groups: { [first + groups.columns * (($0 + Self.rows - 1) / Self.rows)] },
      products: { 2 * $0 * shape.inputs * shape.outputs })
  }

  private func denseLossBackward(
    _ loss: DenseLoss, _ gradient: DenseBlockGradient,
    penalty: (squares: KernelArgument, count: Int, coefficient: Float)
  ) throws(DeviceError) -> Command {
    let shape = loss.shape
    let groups = groups(of: shape)
    let kernels = ((shape.inputs + 1) * shape.outputs + groups.width - 1) / groups.width
    var arguments = scaling(scaler)
    arguments += [
      .slot(table.results), try tensor(loss.logits), try tensor(loss.targets),
      try tensor(loss.sampleWeights), try tensor(loss.probabilities), penalty.squares,
      .int(penalty.count), .float(penalty.coefficient), .float(loss.loss.smoothing),
      try tensor(gradient.input), try tensor(gradient.kernel), try tensor(gradient.kernelGradient),
      try tensor(gradient.biasGradient), try tensor(gradient.inputGradient),
      .float(keepScale(gradient.dropout)),
    ]
    return try kernel(
      "dense_block", "dense_loss_backward", defines: ["WIDTH": groups.width],
      arguments + sizes(shape, groups) + [.step, .live], local: [groups.items],
      groups: {
        [1 + kernels + ($0 * shape.inputs + groups.items - 1) / groups.items]
      }, products: { 4 * $0 * shape.inputs * shape.outputs })
  }

  func denseBackward(_ gradient: DenseGradient) throws(DeviceError) -> Command {
    let shape = gradient.shape
    let groups = groups(of: shape)
    let rows = Self.rows * groups.lanes
    let kernels = (shape.inputs + rows) / rows * groups.columns
    let tall = (shape.inputs + groups.lanes - 1) / groups.lanes
    return try kernel(
      "dense_block", "dense_backward", defines: ["WIDTH": groups.width],
      [
        try tensor(gradient.input), try tensor(gradient.kernel),
        try tensor(gradient.outputGradient), try tensor(gradient.kernelGradient),
        try tensor(gradient.biasGradient), try tensor(gradient.inputGradient),
      ] + sizes(shape, groups) + [.live], local: [groups.items],
      groups: { [kernels + tall * (($0 + Self.rows - 1) / Self.rows)] },
      products: { 4 * $0 * shape.inputs * shape.outputs })
  }

  // MARK: Arguments

  /// As many columns as there are rows of an item, at least, and as many lanes.
  private func groups(of shape: DenseShape) -> ColumnGroups {
    let items = groupItems(of: "dense_block")
    return ColumnGroups(
      channels: shape.outputs, items: items, widest: min(32, items / Self.rows),
      narrowest: Self.rows)
  }

  private func sizes(_ shape: DenseShape, _ groups: ColumnGroups) -> [KernelArgument] {
    [.int(shape.inputs), .int(shape.outputs), .int(groups.width)]
  }
}
