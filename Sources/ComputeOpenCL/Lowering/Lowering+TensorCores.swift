import Compute

/// Convolutions on tensor cores, where the device has them and the shape fits: with the weights'
/// halves, everything else as in `Lowering+Convolution`.
extension Lowering {
  /// - Parameter activations: that the kernel reads and writes.
  func usesTensorCores(
    _ shape: Conv1DShape, _ activations: [TensorID]
  ) throws(DeviceError) -> Bool {
    try offsetsForTensorCores(activations).map { TensorCoreTile.fits(shape, offsets: $0) } ?? false
  }

  /// Elements at which activations begin; nil where the device has no tensor cores, or where one is
  /// not stored as halves.
  func offsetsForTensorCores(_ activations: [TensorID]) throws(DeviceError) -> [Int]? {
    guard device.tensorCoreDefines != nil else { return nil }
    var offsets: [Int] = []
    for id in activations {
      guard device.storage.type(of: plan[id]) == .float16 else { return nil }
      offsets.append(try place(of: id).offset)
    }
    return offsets
  }

  func tensorCoreForward(_ op: Conv1DForward) throws(DeviceError) -> Command {
    let rows = program.capacity * op.shape.time
    let key = ProductKey(
      kernel: "conv1d_forward", rows: rows, columns: op.shape.outputChannels,
      depth: op.shape.taps * op.shape.inputChannels, isOnTensorCores: true)
    let tile = device.tensorCoreTile(of: key)
    var statistics: [KernelArgument] = []
    if options.fuses, isNormalizedByBatch(op.output) {
      let partial = scratch.keep(floats: 2 * op.shape.outputChannels * tile.rowCount(rows))
      leftStatistics[op.output] = StatisticsChunks(
        command: nil, partial: partial, chunk: tile.rows, bias: try tensor(op.bias))
      statistics = [partial]
    }
    return try tensorCoreKernel(
      key, .forward, op.shape, tile,
      [
        try tensor(op.input), try halves(of: op.kernel), try tensor(op.bias), try tensor(op.output),
      ],
      rest: statistics, leavesStatistics: !statistics.isEmpty,
      groups: { [tile.rowCount($0 * op.shape.time), tile.columnCount(op.shape.outputChannels), 1] })
  }

  private func isNormalizedByBatch(_ tensor: TensorID) -> Bool {
    program.operations.contains {
      if case .batchNormForward(let op) = $0 { op.input == tensor } else { false }
    }
  }

  func tensorCoreBackwardInput(_ op: Conv1DBackwardInput, addend: TensorID?) throws(DeviceError)
    -> Command
  {
    let key = ProductKey(
      kernel: "conv1d_backward_input", rows: program.capacity * op.shape.time,
      columns: op.shape.inputChannels, depth: op.shape.taps * op.shape.outputChannels,
      isOnTensorCores: true)
    let tile = device.tensorCoreTile(of: key)
    return try tensorCoreKernel(
      key, .backwardInput, op.shape, tile,
      [
        try tensor(op.outputGradient), try halves(of: op.kernel),
        try tensor(addend ?? op.inputGradient),
        .int(addend == nil ? 0 : 1), try tensor(op.inputGradient),
      ],
      groups: { [tile.rowCount($0 * op.shape.time), tile.columnCount(op.shape.inputChannels), 1] })
  }

  func halves(of weights: TensorID) throws(DeviceError) -> KernelArgument {
    scratch.weightCopies.halves(
      of: weights, for: program.id, at: try place(of: weights), count: plan[weights].elementCount)
  }

  private func tensorCoreKernel(
    _ key: ProductKey, _ part: ProductPart, _ shape: Conv1DShape, _ tile: TensorCoreTile,
    _ arguments: [KernelArgument], rest: [KernelArgument] = [], writesChunks: Bool = true,
    leavesStatistics: Bool = false, groups: @escaping (_ live: Int) -> [Int]
  ) throws(DeviceError) -> Command {
    let defines = tile.defines(
      part: part, writesChunks: writesChunks, leavesStatistics: leavesStatistics)
    return try kernel(
      "tensor_core_conv1d", key.kernel, defines: sizeDefines(shape),
      arguments + sizes(shape) + rest, local: [tile.items, 1, 1], storage: build(defines),
      groups: groups, products: { shape.productOperations(live: $0) }, product: key)
  }

  /// With the emulation, where that is wanted.
  func build(_ defines: [String: Int]) -> [String: Int] {
    defines.merging(device.tensorCoreDefines ?? [:]) { $1 }
  }

  // MARK: Dense layers over time steps

  /// Batches with fewer rows are left to the ordinary kernels.
  private static let fewestRows = 64

  /// A product of a batch's rows with a layer's weights.
  ///
  /// - Parameter product: with the weights as they are; by their halves it is made.
  /// - Returns: nil where it does not fit.
  func tensorCoreProduct(
    _ product: MatrixProduct, weights: TensorID
  ) throws(DeviceError) -> Command? {
    let (rows, columns) = (product.rows.value(live: program.capacity), product.columns)
    var b = product.b
    b.memory = .region(scratch.weightCopies.slot, offset: 0, isHalf: true)
    guard rows >= Self.fewestRows, fitsTensorCores(product, b) else { return nil }
    b.memory = try halves(of: weights)
    let turned = product.form == .rightTurned
    let key = ProductKey(
      kernel: turned ? "matrix_product_turned" : "matrix_product", rows: rows, columns: columns,
      depth: product.depth.value(live: program.capacity), isOnTensorCores: true)
    let tile = device.tensorCoreTile(of: key)
    return try kernel(
      "tensor_core_dense", key.kernel,
      product.a.ownArguments + b.ownArguments
        + [product.bias ?? product.c.memory, .int(product.bias == nil ? 0 : 1)]
        + product.c.ownArguments + ownSizes(product), local: [tile.items, 1, 1],
      storage: build(
        tile.defines(
          part: turned ? .backwardInput : .forward,
          writesChunks: (product.c.strides + [columns]).allSatisfy {
            $0 % TensorCoreTile.chunk == 0
          }, hasHalfResult: product.c.memory.isHalf)),
      groups: { [tile.rowCount(product.rows.value(live: $0)), tile.columnCount(columns), 1] },
      products: { product.productOperations(live: $0) }, product: key)
  }

  /// The gradient of a layer's weights: a product over the batch's rows.
  ///
  /// - Parameter regions: of the scratch that the launch uses besides.
  /// - Returns: nil where it does not fit.
  func tensorCoreColumnsProduct(
    _ product: MatrixProduct, regions: ScratchRegions? = nil
  ) throws(DeviceError) -> [Command]? {
    let (rows, columns) = (product.rows.value(live: program.capacity), product.columns)
    let depth = product.depth.value(live: program.capacity)
    guard depth >= Self.fewestRows, fitsTensorCores(product, product.b) else { return nil }
    let key = ProductKey(
      kernel: "matrix_columns_product", rows: rows, columns: columns, depth: depth,
      splitsDepth: true, isOnTensorCores: true)
    let tile = device.tensorCoreTile(of: key)
    let span = tile.span(rows: rows, columns: columns, depth: depth)
    var regions = regions ?? ScratchRegions(scratch)
    let parts = SplitSums(
      gradient: product.c.memory, sums: product.columnSums ?? product.c.memory, rows: rows,
      columns: columns, parts: (depth + span - 1) / span, regions: &regions)
    var c = product.c
    c.memory = parts.gradient
    let command = try kernel(
      "tensor_core_dense", key.kernel,
      product.a.ownArguments + product.b.ownArguments
        + [parts.sums, .int(product.columnSums == nil ? 0 : 1)] + c.ownArguments
        + ownSizes(product) + [.int(span), .int(parts.size)], local: [tile.items, 1, 1],
      storage: build(
        tile.defines(
          part: .backwardKernel,
          writesChunks: c.strides.allSatisfy { $0 % TensorCoreTile.chunk == 0 })),
      groups: {
        let live = product.depth.value(live: $0)
        return [tile.rowCount(rows), tile.columnCount(columns), (live + span - 1) / span]
      }, products: { product.productOperations(live: $0) }, product: key)
    return try [command] + addParts(parts, of: product, span: span)
  }

  private func fitsTensorCores(_ product: MatrixProduct, _ b: Matrix) -> Bool {
    device.tensorCoreDefines != nil && !product.isBatched
      && product.a.memory.isHalf && b.memory.isHalf
      && TensorCoreTile.fits(
        product.form, a: product.a.strides, b: b.strides,
        rows: product.rows.value(live: program.capacity), columns: product.columns,
        depth: product.depth.value(live: program.capacity))
  }
}
