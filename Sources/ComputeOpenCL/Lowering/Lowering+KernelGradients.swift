import Compute

/// Gradients of convolutions' kernels: sums over all time steps, which are cut into parts. A part's
/// sums go into the scratch, and those of all parts of all kernels are added up by one launch.
extension Lowering {
  /// - Parameter isUnbiased: before a batch normalization the bias's gradient is zero by algebra;
  ///   what rounding makes of it, Adam would scale up to whole steps.
  func commands(_ op: Conv1DBackwardKernel, isUnbiased: Bool = false) throws(DeviceError)
    -> [Command]
  {
    try kernelGradients(
      KernelGradients(
        terms: [KernelGradients.Term(gradient: op, isUnbiased: isUnbiased)]))
  }

  /// On tensor cores one launch makes all products, otherwise each has its own.
  func kernelGradients(_ gradients: KernelGradients) throws(DeviceError) -> [Command] {
    var commands: [Command] = []
    var regions = ScratchRegions(scratch)
    var sums = PartSums()
    var shared: [KernelGradients.Term] = []
    for term in gradients.terms {
      let gradient = term.gradient
      if try usesTensorCores(gradient.shape, [gradient.input, gradient.outputGradient]) {
        shared.append(term)
        continue
      }
      let (product, parts, span) = try kernelProduct(gradient, term.isUnbiased, &regions)
      commands.append(product)
      guard parts.isSplit else { continue }
      sums.append(
        parts, into: try place(of: gradient.kernelGradient),
        rest: try place(of: gradient.biasGradient), time: gradient.shape.time, span: span)
    }
    commands += try tensorCoreKernelProducts(shared, &regions, &sums)
    return try commands + partSums(sums)
  }

  /// The product of one kernel's gradient, where it leaves its parts, and the steps of each.
  private func kernelProduct(
    _ gradient: Conv1DBackwardKernel, _ isUnbiased: Bool, _ regions: inout ScratchRegions
  ) throws(DeviceError) -> (Command, SplitSums, span: Int) {
    let shape = gradient.shape
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
      always: tile.genericDefines,
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

  // MARK: On tensor cores

  /// One launch for all kernels whose inputs and output gradients lie in the same buffers, which are
  /// all kernels unless the device's arenas are cut.
  private func tensorCoreKernelProducts(
    _ terms: [KernelGradients.Term], _ regions: inout ScratchRegions, _ sums: inout PartSums
  ) throws(DeviceError) -> [Command] {
    guard !terms.isEmpty else { return [] }
    let shapes = terms.map(\.gradient.shape)
    let key = ProductKey(
      kernel: "conv1d_backward_weights",
      rows: shapes.reduce(0) { $0 + $1.taps * $1.inputChannels },
      columns: shapes.reduce(Int.max) { min($0, $1.outputChannels) },
      depth: shapes.reduce(0) { max($0, program.capacity * $1.time) },
      splitsDepth: true, isOnTensorCores: true)
    let tile = device.tensorCoreTile(of: key)
    // Groups of few warps, of which several are to take turns on each multiprocessor.
    let span = tile.span(
      shapes.map { ($0.taps * $0.inputChannels, $0.outputChannels, program.capacity * $0.time) },
      groups: 2 * ProductTile.wantedGroups)
    var tables: [KernelTable] = []
    for term in terms {
      let gradient = term.gradient
      let input = try place(of: gradient.input)
      let outputGradient = try place(of: gradient.outputGradient)
      let (rows, columns) = (
        gradient.shape.taps * gradient.shape.inputChannels, gradient.shape.outputChannels
      )
      let parts = SplitSums(
        rows: rows, columns: columns,
        parts: (program.capacity * gradient.shape.time + span - 1) / span, regions: &regions)
      sums.append(
        parts, into: try place(of: gradient.kernelGradient),
        rest: try place(of: gradient.biasGradient), time: gradient.shape.time, span: span)
      let known = tables.firstIndex {
        $0.input === input.buffer && $0.outputGradient === outputGradient.buffer
      }
      if known == nil {
        tables.append(KernelTable(input: input.buffer, outputGradient: outputGradient.buffer))
      }
      tables[known ?? tables.count - 1].append(
        term, at: (input.offset, outputGradient.offset), parts,
        groups: tile.rowCount(rows) * tile.columnCount(columns) * parts.count)
    }
    return try tables.map { (table) throws(DeviceError) in
      try tensorCoreKernelProduct(table, key, tile, span: span)
    }
  }

  private func tensorCoreKernelProduct(
    _ table: KernelTable, _ key: ProductKey, _ tile: TensorCoreTile, span: Int
  ) throws(DeviceError) -> Command {
    try kernel(
      "tensor_core_conv1d", key.kernel,
      [
        .tensor(table.input, offset: 0, isHalf: true),
        .tensor(table.outputGradient, offset: 0, isHalf: true),
        .region(scratch.slot, offset: 0), try constants(table.entries),
        .int(table.entries.count / KernelTable.fields), .int(span), .live,
      ], local: [tile.items, 1, 1],
      storage: build(tile.defines(part: .backwardKernel, writesChunks: true)),
      groups: { _ in [table.groupCount, 1, 1] }, bytes: { table.byteCount(live: $0) },
      products: { live in
        table.shapes.reduce(0) { $0 + $1.productOperations(live: live) }
      }, product: key)
  }
}

/// The table of `conv1d_backward_weights` of `tensor_core_conv1d.cl`.
private struct KernelTable {
  /// FIELDS there.
  static let fields = 11

  let input: Buffer
  let outputGradient: Buffer
  private(set) var entries: [Int32] = []
  private(set) var groupCount = 0
  private(set) var shapes: [Conv1DShape] = []
  private var partElements = 0

  init(input: Buffer, outputGradient: Buffer) {
    (self.input, self.outputGradient) = (input, outputGradient)
  }

  /// - Parameters:
  ///   - places: of the input and of the output's gradient, in elements: multiples of a chunk.
  ///   - groups: that all parts of it take.
  mutating func append(
    _ term: KernelGradients.Term, at places: (input: Int, outputGradient: Int), _ parts: SplitSums,
    groups: Int
  ) {
    let shape = term.gradient.shape
    guard case .region(_, let start, _) = parts.gradient else { return }
    let chunk = TensorCoreTile.chunk
    entries += [
      groupCount, places.input / chunk, places.outputGradient / chunk, start,
      term.isUnbiased ? 1 : 0, shape.time, shape.inputChannels, shape.outputChannels, shape.taps,
      shape.dilation, shape.leftPadding,
    ].map { Int32($0) }
    groupCount += groups
    shapes.append(shape)
    partElements += parts.size * parts.count
  }

  /// Halves of the factors, each once, and floats of the parts.
  func byteCount(live: Int) -> Int {
    shapes.reduce(4 * partElements) {
      $0 + 2 * live * $1.time * ($1.inputChannels + $1.outputChannels)
    }
  }
}
