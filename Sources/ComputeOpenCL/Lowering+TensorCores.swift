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

  func tensorCoreBackwardKernel(
    _ shape: Conv1DShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID, isUnbiased: Bool
  ) throws(DeviceError) -> [Command] {
    let (rows, columns) = (shape.taps * shape.inputChannels, shape.outputChannels)
    let depth = program.capacity * shape.time
    let tile = TensorCoreTile.best(rows: rows, columns: columns, splitsDepth: true)
    let span = tile.span(rows: rows, columns: columns, depth: depth)
    var regions = ScratchRegions(scratch)
    let parts = SplitSums(
      gradient: try tensor(kernelGradient), sums: try tensor(biasGradient), rows: rows,
      columns: columns, parts: (depth + span - 1) / span, regions: &regions)
    let start = try place(of: kernelGradient).offset
    let product = try tensorCoreKernel(
      "conv1d_backward_weights", shape,
      tile,
      tile.defines(
        part: .backwardKernel, writesChunks: parts.isSplit || start % TensorCoreTile.chunk == 0),
      [
        try tensor(input), try tensor(outputGradient), parts.gradient, parts.sums,
        .int(isUnbiased ? 1 : 0), .int(span), .int(parts.size),
      ],
      groups: {
        [
          tile.rowCount(rows), tile.columnCount(columns), ($0 * shape.time + span - 1) / span,
        ]
      })
    guard parts.isSplit else { return [product] }
    return [
      product,
      try addParts(
        parts, into: try tensor(kernelGradient), sums: try tensor(biasGradient),
        count: .liveTimes(shape.time), span: span),
    ]
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
