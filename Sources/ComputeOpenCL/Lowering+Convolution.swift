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
        shape, input: input, outputGradient: dOutput, kernelGradient: dKernel,
        biasGradient: dBias)
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
      arguments + sizes(shape),
      local: [tile.items, 1],
      groups: { [tile.rowCount($0 * shape.time), tile.columnCount(columns)] },
      products: { shape.productOperations(live: $0) }, product: key)
  }

  /// Parts of the sums over the time steps into the scratch, and then their sums; a batch that is
  /// not worth cutting at once into the gradients.
  ///
  /// - Parameter isUnbiased: before a batch normalization the bias's gradient is zero by algebra;
  ///   what rounding makes of it, Adam would scale up to whole steps.
  func conv1DBackwardKernel(
    _ shape: Conv1DShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID, isUnbiased: Bool = false
  ) throws(DeviceError) -> [Command] {
    let gradient = KernelGradient(
      shape: shape, input: input, outputGradient: outputGradient, kernelGradient: kernelGradient,
      biasGradient: biasGradient)
    var regions = ScratchRegions(scratch)
    let (product, parts, span) = try kernelProduct(gradient, isUnbiased, &regions)
    guard parts.isSplit else { return [product] }
    return [
      product,
      try addParts(
        parts, into: try tensor(kernelGradient), sums: try tensor(biasGradient),
        count: .liveTimes(shape.time), span: span),
    ]
  }

  /// The products of all, each with parts of its own, and then all parts' sums by one kernel.
  func kernelGradients(_ gradients: KernelGradients) throws(DeviceError) -> [Command] {
    var commands: [Command] = []
    var regions = ScratchRegions(scratch)
    var sums = PartSums()
    for term in gradients.terms {
      let gradient = term.gradient
      let (product, parts, span) = try kernelProduct(gradient, term.isUnbiased, &regions)
      commands.append(product)
      guard parts.isSplit else { continue }
      sums.append(
        parts, into: try place(of: gradient.kernelGradient),
        rest: try place(of: gradient.biasGradient), time: gradient.shape.time, span: span)
    }
    return try commands + partSums(sums)
  }

  /// The product of one kernel's gradient, where it leaves its parts, and the steps of each.
  private func kernelProduct(
    _ gradient: KernelGradient, _ isUnbiased: Bool, _ regions: inout ScratchRegions
  ) throws(DeviceError) -> (Command, SplitSums, span: Int) {
    let shape = gradient.shape
    if try usesTensorCores(shape, [gradient.input, gradient.outputGradient]) {
      return try tensorCoreKernelProduct(gradient, isUnbiased, &regions)
    }
    let (rows, columns) = (shape.taps * shape.inputChannels, shape.outputChannels)
    let depth = program.capacity * shape.time
    let key = ProductKey(
      kernel: "conv1d_backward_weights", rows: rows, columns: columns, depth: depth,
      splitsDepth: true)
    let tile = productTile(key)
    let span = tile.span(rows: rows, columns: columns, depth: depth)
    let parts = SplitSums(
      gradient: try tensor(gradient.kernelGradient), sums: try tensor(gradient.biasGradient),
      rows: rows, columns: columns, parts: (depth + span - 1) / span, regions: &regions)
    let product = try kernel(
      "conv1d", key.kernel,
      defines: try defines(
        shape, .backwardKernel, tile,
        [gradient.input, gradient.outputGradient, gradient.kernelGradient]),
      [
        try tensor(gradient.input), try tensor(gradient.outputGradient), parts.gradient,
        parts.sums, .int(isUnbiased ? 1 : 0), .int(span), .int(parts.size),
      ] + sizes(shape), local: [tile.items, 1, 1],
      groups: {
        [
          tile.rowCount(rows), tile.columnCount(columns), ($0 * shape.time + span - 1) / span,
        ]
      }, products: { shape.productOperations(live: $0) }, product: key)
    return (product, parts, span)
  }

  func sizes(_ shape: Conv1DShape) -> [KernelArgument] {
    [
      .liveTimes(shape.time), .int(shape.time), .int(shape.inputChannels),
      .int(shape.outputChannels), .int(shape.taps), .int(shape.dilation),
      .int(shape.leftPadding),
    ]
  }

  private func defines(
    _ shape: Conv1DShape, _ part: ProductPart, _ tile: ProductTile, _ matrices: [TensorID]
  ) throws(DeviceError) -> [String: Int] {
    var vectors = shape.inputChannels % 4 == 0 && shape.outputChannels % 4 == 0
    // Weights and their gradients lie without gaps.
    for id in matrices where try place(of: id).offset % 4 != 0 { vectors = false }
    return sizeDefines(shape).merging(tile.defines(part: part.rawValue, vectors: vectors)) { $1 }
  }

  func sizeDefines(_ shape: Conv1DShape) -> [String: Int] {
    [
      "TIME": shape.time, "INPUTS": shape.inputChannels, "OUTPUTS": shape.outputChannels,
      "TAPS": shape.taps, "DILATION": shape.dilation, "LEFT": shape.leftPadding,
    ]
  }
}

extension Conv1DShape {
  /// Of each direction.
  func productOperations(live: Int) -> Int {
    2 * live * time * taps * inputChannels * outputChannels
  }
}
