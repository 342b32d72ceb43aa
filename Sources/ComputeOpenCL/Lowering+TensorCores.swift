import Compute

/// Convolutions on tensor cores, where the device has them and the shape fits: with the weights'
/// halves, everything else as in `Lowering+Convolution`.
extension Lowering {
  /// - Parameter activations: that the kernel reads and writes.
  func usesTensorCores(
    _ shape: Conv1DShape, _ activations: [TensorID]
  ) throws(DeviceError) -> Bool {
    guard device.tensorCoreDefines != nil else { return false }
    var offsets: [Int] = []
    for id in activations {
      guard device.storage.type(of: plan[id]) == .float16 else { return false }
      offsets.append(try place(of: id).offset)
    }
    return TensorCoreTile.fits(shape, offsets: offsets)
  }

  func tensorCoreForward(
    _ shape: Conv1DShape, input: TensorID, kernel weights: TensorID, bias: TensorID,
    output: TensorID
  ) throws(DeviceError) -> Command {
    try tensorCoreRows(
      "conv1d_forward", .forward, shape,
      [try tensor(input), try halves(of: weights), try tensor(bias), try tensor(output)],
      columns: shape.outputChannels)
  }

  func tensorCoreBackwardInput(
    _ shape: Conv1DShape, outputGradient: TensorID, kernel weights: TensorID,
    inputGradient: TensorID, addend: TensorID?
  ) throws(DeviceError) -> Command {
    try tensorCoreRows(
      "conv1d_backward_input", .backwardInput, shape,
      [
        try tensor(outputGradient), try halves(of: weights), try tensor(addend ?? inputGradient),
        .int(addend == nil ? 0 : 1), try tensor(inputGradient),
      ], columns: shape.inputChannels)
  }

  /// The product of one kernel's gradient, where it leaves its parts, and the steps of each.
  func tensorCoreKernelProduct(
    _ gradient: KernelGradient, _ isUnbiased: Bool, _ regions: inout ScratchRegions
  ) throws(DeviceError) -> (Command, SplitSums, span: Int) {
    let shape = gradient.shape
    let (rows, columns) = (shape.taps * shape.inputChannels, shape.outputChannels)
    let depth = program.capacity * shape.time
    let tile = TensorCoreTile.best(rows: rows, columns: columns, splitsDepth: true)
    let span = tile.span(rows: rows, columns: columns, depth: depth)
    let parts = SplitSums(
      gradient: try tensor(gradient.kernelGradient), sums: try tensor(gradient.biasGradient),
      rows: rows, columns: columns, parts: (depth + span - 1) / span, regions: &regions)
    let start = try place(of: gradient.kernelGradient).offset
    let product = try tensorCoreKernel(
      "conv1d_backward_weights", shape,
      tile,
      tile.defines(
        part: .backwardKernel, writesChunks: parts.isSplit || start % TensorCoreTile.chunk == 0),
      [
        try tensor(gradient.input), try tensor(gradient.outputGradient), parts.gradient,
        parts.sums, .int(isUnbiased ? 1 : 0), .int(span), .int(parts.size),
      ],
      groups: {
        [
          tile.rowCount(rows), tile.columnCount(columns), ($0 * shape.time + span - 1) / span,
        ]
      })
    return (product, parts, span)
  }

  private func halves(of weights: TensorID) throws(DeviceError) -> KernelArgument {
    scratch.weightCopies.halves(
      of: weights, for: program.id, at: try place(of: weights), count: plan[weights].elementCount)
  }

  private func tensorCoreRows(
    _ name: String, _ part: ProductPart, _ shape: Conv1DShape, _ arguments: [KernelArgument],
    columns: Int
  ) throws(DeviceError) -> Command {
    let tile = TensorCoreTile.best(rows: program.capacity * shape.time, columns: columns)
    return try tensorCoreKernel(
      name, shape, tile, tile.defines(part: part, writesChunks: true), arguments,
      groups: { [tile.rowCount($0 * shape.time), tile.columnCount(columns), 1] })
  }

  private func tensorCoreKernel(
    _ name: String, _ shape: Conv1DShape, _ tile: TensorCoreTile, _ defines: [String: Int],
    _ arguments: [KernelArgument], groups: @escaping (_ live: Int) -> [Int]
  ) throws(DeviceError) -> Command {
    let all =
      defines.merging(device.tensorCoreDefines ?? [:]) { $1 }
      .merging(device.options.specializes ? sizeDefines(shape) : [:]) { $1 }
    return .kernel(
      try KernelCall(
        kernel: try device.context.makeKernel(
          file: "tensor_core_conv1d", name: name, defines: all),
        name: name, arguments: arguments + sizes(shape), local: [tile.items, 1, 1],
        groups: groups, context: device.context))
  }
}
