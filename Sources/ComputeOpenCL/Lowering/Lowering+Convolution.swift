import Compute

/// Kernels of `conv1d.cl` and `dense.cl` by their numbers there.
enum ProductPart: Int {
  case forward = 1
  case backwardInput = 2
  case backwardKernel = 3
}

extension Lowering {
  func commands(_ op: Conv1DForward) throws(DeviceError) -> [Command] {
    if try usesTensorCores(op.shape, [op.input, op.output]) {
      return [
        try tensorCoreForward(op)
      ]
    }
    return [
      try convolution(
        "conv1d_forward", .forward, op.shape, matrices: [op.input, op.kernel, op.output],
        [try tensor(op.input), try tensor(op.kernel), try tensor(op.bias), try tensor(op.output)],
        columns: op.shape.outputChannels)
    ]
  }

  /// - Parameter addend: another share of the same gradient, which is added; may be the gradient
  ///   itself.
  func commands(_ op: Conv1DBackwardInput, addend: TensorID? = nil) throws(DeviceError) -> [Command]
  {
    if try usesTensorCores(
      op.shape, [op.outputGradient, op.inputGradient, addend ?? op.inputGradient])
    {
      return [
        try tensorCoreBackwardInput(op, addend: addend)
      ]
    }
    return [
      try convolution(
        "conv1d_backward_input", .backwardInput, op.shape,
        matrices: [op.outputGradient, op.kernel, op.inputGradient, addend ?? op.inputGradient],
        [
          try tensor(op.outputGradient), try tensor(op.kernel),
          try tensor(addend ?? op.inputGradient),
          .int(addend == nil ? 0 : 1), try tensor(op.inputGradient),
        ], columns: op.shape.inputChannels)
    ]
  }

  /// Each convolution adds its share to the others'.
  func gradientSum(_ sum: GradientSum) throws(DeviceError) -> [Command] {
    var commands: [Command] = []
    var addend = sum.others.first
    for term in sum.terms {
      commands += try self.commands(
        Conv1DBackwardInput(
          term.shape, outputGradient: term.outputGradient, kernel: term.kernel,
          inputGradient: sum.output), addend: addend)
      addend = sum.output
    }
    return commands
  }

  /// Rows are the live batch's time steps.
  private func convolution(
    _ name: String, _ part: ProductPart, _ shape: Conv1DShape, matrices: [TensorID],
    _ arguments: [KernelArgument], columns: Int
  ) throws(DeviceError) -> Command {
    let key = ProductKey(
      kernel: name, rows: program.capacity * shape.time, columns: columns,
      depth: shape.taps * (part == .forward ? shape.inputChannels : shape.outputChannels))
    let tile = productTile(key)
    return try kernel(
      "conv1d", name, defines: try defines(shape, part, tile, matrices),
      always: tile.genericDefines, arguments + sizes(shape),
      local: [tile.items, 1],
      groups: { [tile.rowCount($0 * shape.time), tile.columnCount(columns)] },
      products: { shape.productOperations(live: $0) }, product: key)
  }

  func sizes(_ shape: Conv1DShape) -> [KernelArgument] {
    [
      .liveTimes(shape.time), .int(shape.time), .int(shape.inputChannels),
      .int(shape.outputChannels), .int(shape.taps), .int(shape.dilation),
      .int(shape.leftPadding),
    ]
  }

  func defines(
    _ shape: Conv1DShape, _ part: ProductPart, _ tile: ProductTile, _ matrices: [TensorID]
  ) throws(DeviceError) -> [String: Int] {
    var vectors = shape.inputChannels % 4 == 0 && shape.outputChannels % 4 == 0
    // Weights and their gradients lie without gaps.
    for id in matrices where try place(of: id).offset % 4 != 0 { vectors = false }
    return sizeDefines(shape).merging(tile.defines(part: part.rawValue, vectors: vectors)) { $1 }
  }

  /// Not the dilation: layers that differ in it alone share programs.
  func sizeDefines(_ shape: Conv1DShape) -> [String: Int] {
    [
      "TIME": shape.time, "INPUTS": shape.inputChannels, "OUTPUTS": shape.outputChannels,
      "TAPS": shape.taps,
    ]
  }
}

extension Conv1DShape {
  /// Of each direction.
  func productOperations(live: Int) -> Int {
    2 * live * time * taps * inputChannels * outputChannels
  }
}
