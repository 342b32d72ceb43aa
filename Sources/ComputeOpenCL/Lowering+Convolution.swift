import Compute

/// Kernels of `conv1d.cl` and `dense.cl` by their numbers there.
enum ProductPart: Int {
  case forward = 1
  case backwardInput = 2
  case backwardKernel = 3
}

extension Lowering {
  func productCommands(_ operation: Operation) throws(DeviceError) -> [Command] {
    switch operation {
    case .conv1DForward(let shape, let input, let kernel, let bias, let output):
      return try conv1DForward(shape, input: input, kernel: kernel, bias: bias, output: output)
    case .conv1DBackwardInput(let shape, let dOutput, let kernel, let dInput):
      return try conv1DBackwardInput(
        shape, outputGradient: dOutput, kernel: kernel, inputGradient: dInput)
    case .conv1DBackwardKernel(let shape, let input, let dOutput, let dKernel, let dBias):
      return try conv1DBackwardKernel(
        KernelGradient(
          shape: shape, input: input, outputGradient: dOutput, kernelGradient: dKernel,
          biasGradient: dBias))
    case .denseForward(let shape, let input, let kernel, let bias, let output):
      return try denseForward(shape, input: input, kernel: kernel, bias: bias, output: output)
    case .denseBackwardInput(let shape, let dOutput, let kernel, let dInput):
      return try denseBackwardInput(
        shape, outputGradient: dOutput, kernel: kernel, inputGradient: dInput)
    case .denseBackwardKernel(let shape, let input, let dOutput, let dKernel, let dBias):
      return try denseBackwardKernel(
        shape, input: input, outputGradient: dOutput, kernelGradient: dKernel,
        biasGradient: dBias)
    default:
      throw unsupported(operation)
    }
  }

  func conv1DForward(
    _ shape: Conv1DShape, input: TensorID, kernel weights: TensorID, bias: TensorID,
    output: TensorID
  ) throws(DeviceError) -> [Command] {
    if try usesTensorCores(shape, [input, output]) {
      return [
        try tensorCoreForward(shape, input: input, kernel: weights, bias: bias, output: output)
      ]
    }
    return [
      try convolution(
        "conv1d_forward", .forward, shape, matrices: [input, weights, output],
        [try tensor(input), try tensor(weights), try tensor(bias), try tensor(output)],
        columns: shape.outputChannels)
    ]
  }

  /// - Parameter addend: another share of the same gradient, which is added; may be the gradient
  ///   itself.
  func conv1DBackwardInput(
    _ shape: Conv1DShape, outputGradient: TensorID, kernel weights: TensorID,
    inputGradient: TensorID, addend: TensorID? = nil
  ) throws(DeviceError) -> [Command] {
    if try usesTensorCores(shape, [outputGradient, inputGradient, addend ?? inputGradient]) {
      return [
        try tensorCoreBackwardInput(
          shape, outputGradient: outputGradient, kernel: weights, inputGradient: inputGradient,
          addend: addend)
      ]
    }
    return [
      try convolution(
        "conv1d_backward_input", .backwardInput, shape,
        matrices: [outputGradient, weights, inputGradient, addend ?? inputGradient],
        [
          try tensor(outputGradient), try tensor(weights), try tensor(addend ?? inputGradient),
          .int(addend == nil ? 0 : 1), try tensor(inputGradient),
        ], columns: shape.inputChannels)
    ]
  }

  /// Each convolution adds its share to the others'.
  func gradientSum(_ sum: GradientSum) throws(DeviceError) -> [Command] {
    var commands: [Command] = []
    var addend = sum.others.first
    for term in sum.terms {
      commands += try conv1DBackwardInput(
        term.shape, outputGradient: term.outputGradient, kernel: term.kernel,
        inputGradient: sum.output, addend: addend)
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
