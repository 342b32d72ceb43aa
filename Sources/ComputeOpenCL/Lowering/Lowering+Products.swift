import Compute

/// Matrices of floats or halves on the device, row-major: one, or one per sample and head.
struct Matrix {
  /// Where the first begins: a tensor or a region of the scratch.
  var memory: KernelArgument
  /// Elements from a row to the next.
  var stride: Int
  /// Elements from a sample's matrices to the next sample's, and from a head's to the next.
  var sampleStride = 0
  var headStride = 0

  /// The matrices that begin `elements` later, e.g. at a column.
  func advanced(by elements: Int) -> Matrix {
    var result = self
    switch memory {
    case .tensor(let buffer, let offset, let isHalf):
      result.memory = .tensor(buffer, offset: offset + elements, isHalf: isHalf)
    case .region(let slot, let offset, let isHalf):
      result.memory = .region(slot, offset: offset + elements, isHalf: isHalf)
    default: preconditionFailure("a matrix is a tensor or a region")
    }
    return result
  }

  /// Where the first begins, and how far all others are from there: multiples of these elements.
  var strides: [Int] {
    let offset =
      switch memory {
      case .tensor(_, let offset, _), .region(_, let offset, _): offset
      default: 1
      }
    return [offset, stride, sampleStride, headStride]
  }

  /// Whether every row begins at a multiple of four elements.
  var isAligned: Bool { strides.allSatisfy { $0 % 4 == 0 } }

  /// Of the first, and of all.
  var ownArguments: [KernelArgument] { [memory, .int(stride)] }
  var arguments: [KernelArgument] { ownArguments + [.int(sampleStride), .int(headStride)] }
}

/// A size that is fixed, or so many times the live samples.
enum Extent {
  case fixed(Int)
  case live(times: Int)

  func value(live: Int) -> Int {
    switch self {
    case .fixed(let value): value
    case .live(let factor): live * factor
    }
  }

  var argument: KernelArgument {
    switch self {
    case .fixed(let value): .int(value)
    case .live(let factor): .liveTimes(factor)
    }
  }
}

/// `c = scale · a·b` with one of the factors turned or none, for one matrix each or for one a live
/// sample and head.
struct MatrixProduct {
  enum Form {
    /// c[r, n] = Σ_k a[r, k] · b[k, n]
    case plain
    /// c[r, n] = Σ_k a[r, k] · b[n, k]
    case rightTurned
    /// c[r, n] = Σ_k a[k, r] · b[k, n]
    case leftTurned
  }

  var form: Form
  /// Of c; fixed where the left factor is turned.
  var rows: Extent
  var columns: Int
  /// Extent of k; fixed unless the left factor is turned.
  var depth: Extent
  var a: Matrix
  var b: Matrix
  var c: Matrix
  var scale: Float = 1
  /// Added to each row of c, `[columns]`; not where the left factor is turned.
  var bias: KernelArgument?
  /// Written where the left factor is turned: Σ_k b[k, n], `[columns]`.
  var columnSums: KernelArgument?
  /// One product a live sample (all sizes are fixed then), or one in all.
  var isPerSample = false
  /// Products a sample.
  var heads = 1

  var isBatched: Bool { isPerSample || heads > 1 }

  func copies(live: Int) -> Int { heads * (isPerSample ? live : 1) }

  func productOperations(live: Int) -> Int {
    2 * rows.value(live: live) * columns * depth.value(live: live) * copies(live: live)
  }

  /// What of it is halves, for `Kernels/product.cl`; nothing where all are floats.
  var storage: [String: Int] {
    let halves = [a, b, c].map { $0.memory.isHalf ? 1 : 0 }
    guard halves.contains(1) else { return [:] }
    return ["LEFT_HALVES": halves[0], "RIGHT_HALVES": halves[1], "RESULT_HALVES": halves[2]]
  }
}

extension Lowering {
  /// Commands of a product, by CLBlast where the device's options say so, else by our kernels.
  ///
  /// - Parameters:
  ///   - regions: of the scratch that the launch uses besides; the parts of sums come after them.
  ///   - library: whether CLBlast makes the product; by default what the device's options say. Of
  ///     products a sample or head, only our kernels'.
  func product(
    _ product: MatrixProduct, regions: ScratchRegions? = nil, library: Bool? = nil
  ) throws(DeviceError) -> [Command] {
    let scratch = regions ?? ScratchRegions(scratch)
    if library ?? (usesLibrary && !product.isBatched && product.storage.isEmpty) {
      return try libraryProduct(product, regions: scratch)
    }
    return product.form == .leftTurned
      ? try ownColumnsProduct(product, regions: scratch) : [try ownRowsProduct(product)]
  }

  func commands(_ op: DenseForward) throws(DeviceError) -> [Command] {
    let forward = MatrixProduct(
      form: .plain, rows: .live(times: op.shape.rowsPerSample), columns: op.shape.outputs,
      depth: .fixed(op.shape.inputs),
      a: Matrix(memory: try tensor(op.input), stride: op.shape.inputs),
      b: Matrix(memory: try tensor(op.kernel), stride: op.shape.outputs),
      c: Matrix(memory: try tensor(op.output), stride: op.shape.outputs), bias: try tensor(op.bias))
    if let command = try tensorCoreProduct(forward, weights: op.kernel) { return [command] }
    return try product(forward)
  }

  func commands(_ op: DenseBackwardInput) throws(DeviceError) -> [Command] {
    let backward = MatrixProduct(
      form: .rightTurned, rows: .live(times: op.shape.rowsPerSample), columns: op.shape.inputs,
      depth: .fixed(op.shape.outputs),
      a: Matrix(memory: try tensor(op.outputGradient), stride: op.shape.outputs),
      b: Matrix(memory: try tensor(op.kernel), stride: op.shape.outputs),
      c: Matrix(memory: try tensor(op.inputGradient), stride: op.shape.inputs))
    if let command = try tensorCoreProduct(backward, weights: op.kernel) { return [command] }
    return try product(backward)
  }

  func commands(_ op: DenseBackwardKernel) throws(DeviceError) -> [Command] {
    let backward = MatrixProduct(
      form: .leftTurned, rows: .fixed(op.shape.inputs), columns: op.shape.outputs,
      depth: .live(times: op.shape.rowsPerSample),
      a: Matrix(memory: try tensor(op.input), stride: op.shape.inputs),
      b: Matrix(memory: try tensor(op.outputGradient), stride: op.shape.outputs),
      c: Matrix(memory: try tensor(op.kernelGradient), stride: op.shape.outputs),
      columnSums: try tensor(op.biasGradient))
    if let commands = try tensorCoreColumnsProduct(backward) { return commands }
    return try product(backward)
  }

  /// CLBlast's kernels want groups of up to 256 items.
  private var usesLibrary: Bool {
    device.options.usesCLBlast
      && device.context.groupLimits.limit(of: CLBlastProduct.file) >= GroupLimits.most
  }

  // MARK: Own kernels

  func productTile(_ product: ProductKey) -> ProductTile { device.tile(of: product) }

  func ownSizes(_ product: MatrixProduct) -> [KernelArgument] {
    [.float(product.scale), product.rows.argument, .int(product.columns), product.depth.argument]
  }

  private func sizes(_ product: MatrixProduct) -> [KernelArgument] {
    ownSizes(product) + [product.isPerSample ? .live : .int(1), .int(product.heads)]
  }

  private func ownRowsProduct(_ product: MatrixProduct) throws(DeviceError) -> Command {
    precondition(!product.b.memory.isHalf, "weights are floats")
    let turned = product.form == .rightTurned
    let rows = product.rows.value(live: program.capacity)
    let key = ProductKey(
      kernel: turned ? "matrix_product_turned" : "matrix_product", rows: rows,
      columns: product.columns, depth: product.depth.value(live: program.capacity),
      copies: product.copies(live: program.capacity))
    let tile = productTile(key)
    let vectors =
      [product.columns, product.depth.value(live: program.capacity)].allSatisfy { $0 % 4 == 0 }
      && product.a.isAligned && product.b.isAligned && product.c.isAligned
    let part = turned ? ProductPart.backwardInput : .forward
    return try kernel(
      "dense", key.kernel,
      defines: tile.defines(part: part.rawValue, vectors: vectors), always: tile.genericDefines,
      product.a.arguments + product.b.arguments
        + [product.bias ?? product.c.memory, .int(product.bias == nil ? 0 : 1)]
        + product.c.arguments + sizes(product), local: [tile.items, 1, 1],
      storage: product.storage,
      groups: {
        [
          tile.rowCount(product.rows.value(live: $0)), tile.columnCount(product.columns),
          product.copies(live: $0),
        ]
      }, products: { product.productOperations(live: $0) }, product: key)
  }

  /// One product alone may have its depth cut, each part's sums in the scratch.
  private func ownColumnsProduct(
    _ product: MatrixProduct, regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    let rows = product.rows.value(live: program.capacity)
    let depth = product.depth.value(live: program.capacity)
    let key = ProductKey(
      kernel: "matrix_columns_product", rows: rows, columns: product.columns, depth: depth,
      copies: product.copies(live: program.capacity), splitsDepth: !product.isBatched)
    let tile = productTile(key)
    var regions = regions
    // Parts lie without gaps; a result that has them is made at once.
    let splits = !product.isBatched && product.c.stride == product.columns
    let span =
      splits
      ? tile.span(rows: rows, columns: product.columns, depth: depth)
      : max(depth, ProductTile.depth)
    let parts = SplitSums(
      gradient: product.c.memory, sums: product.columnSums ?? product.c.memory, rows: rows,
      columns: product.columns, parts: (depth + span - 1) / span, regions: &regions)
    var c = product.c
    c.memory = parts.gradient
    let vectors =
      [rows, product.columns].allSatisfy { $0 % 4 == 0 } && product.a.isAligned
      && product.b.isAligned && c.isAligned
    let command = try kernel(
      "dense", key.kernel,
      defines: tile.defines(part: ProductPart.backwardKernel.rawValue, vectors: vectors),
      always: tile.genericDefines,
      product.a.arguments + product.b.arguments
        + [parts.sums, .int(product.columnSums == nil ? 0 : 1)] + c.arguments + sizes(product)
        + [.int(span), .int(parts.size)], local: [tile.items, 1, 1],
      storage: product.storage,
      groups: {
        let live = product.depth.value(live: $0)
        return [
          tile.rowCount(rows), tile.columnCount(product.columns),
          splits ? (live + span - 1) / span : product.copies(live: $0),
        ]
      }, products: { product.productOperations(live: $0) }, product: key)
    return try [command] + addParts(parts, of: product, span: span)
  }

  /// Adds up the parts that a product was cut into, where it was.
  func addParts(
    _ parts: SplitSums, of product: MatrixProduct, span: Int
  ) throws(DeviceError) -> [Command] {
    guard parts.isSplit else { return [] }
    return [
      try addParts(
        parts, into: product.c.memory, sums: product.columnSums, count: product.depth.argument,
        span: span)
    ]
  }
}
