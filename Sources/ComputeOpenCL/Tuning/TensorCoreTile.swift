import Compute

/// How `Kernels/tensor_core_product.cl` cuts a product: the tile of the result that a work-group
/// makes, and the warps that share it.
struct TensorCoreTile: Hashable {
  var rows: Int
  var columns: Int
  var warpsDown: Int
  var warpsAcross: Int

  /// Steps of the depth that lie in local memory at a time, and how many times as many are under
  /// way: TILE_DEPTH and STAGES of the kernels.
  static let depth = 32
  private static let stages = 3
  /// Halves that are read at once.
  static let chunk = 8

  /// Work items of a group.
  var items: Int { 32 * warpsDown * warpsAcross }

  /// Bytes of local memory of a group: TILES_BYTES of the kernels. The parts of steps lie where later
  /// the result's halves and then the sums of the statistics do.
  func localBytes(hasHalfResult: Bool = true, leavesStatistics: Bool = false) -> Int {
    let parts = Self.stages * (rows + columns) * Self.depth * MemoryLayout<Float16>.size
    let result = hasHalfResult ? rows * columns * MemoryLayout<Float16>.size : 0
    let sums = leavesStatistics ? 8 * warpsDown * columns * 2 * MemoryLayout<Float>.size : 0
    return max(parts, result, sums)
  }

  /// Each with the share of a device's products that it can keep busy while there are groups enough.
  /// None takes more registers than leave room for two groups on a multiprocessor; 128 columns
  /// would.
  static let choices: [(tile: TensorCoreTile, share: Double)] = [
    (TensorCoreTile(rows: 128, columns: 64, warpsDown: 2, warpsAcross: 2), 1),
    (TensorCoreTile(rows: 128, columns: 32, warpsDown: 4, warpsAcross: 1), 0.8),
    (TensorCoreTile(rows: 64, columns: 64, warpsDown: 2, warpsAcross: 2), 0.8),
    (TensorCoreTile(rows: 64, columns: 32, warpsDown: 2, warpsAcross: 2), 0.6),
  ]

  static let candidates: [TensorCoreTile] =
    choices.map(\.tile) + [
      TensorCoreTile(rows: 128, columns: 128, warpsDown: 2, warpsAcross: 4),
      TensorCoreTile(rows: 128, columns: 128, warpsDown: 4, warpsAcross: 2),
      TensorCoreTile(rows: 128, columns: 64, warpsDown: 4, warpsAcross: 2),
      TensorCoreTile(rows: 64, columns: 128, warpsDown: 2, warpsAcross: 4),
      TensorCoreTile(rows: 64, columns: 64, warpsDown: 4, warpsAcross: 1),
      TensorCoreTile(rows: 64, columns: 32, warpsDown: 4, warpsAcross: 1),
      TensorCoreTile(rows: 32, columns: 64, warpsDown: 1, warpsAcross: 2),
    ]

  /// The tile that wastes least: by its share, by what of it lies beyond the edges, and by how many
  /// groups there are.
  ///
  /// - Parameters:
  ///   - copies: products of this size in one launch.
  ///   - splitsDepth: the depth can be cut to have more groups.
  ///   - fits: whether the device has room for a tile; where it has for none, the smallest is taken.
  static func best(
    rows: Int, columns: Int, copies: Int = 1, splitsDepth: Bool = false,
    fits: (TensorCoreTile) -> Bool = { _ in true }
  ) -> TensorCoreTile {
    func cost(_ tile: TensorCoreTile, _ share: Double) -> Double {
      let groups = tile.rowCount(rows) * tile.columnCount(columns) * copies
      let waiting =
        splitsDepth ? 1 : max(1, Double(ProductTile.wantedGroups) / Double(groups))
      return Double(groups * tile.rows * tile.columns) * waiting / share
    }
    let possible = choices.filter { fits($0.tile) }
    let first = possible.first ?? choices[choices.count - 1]
    return possible.dropFirst().reduce(first) {
      cost($1.tile, $1.share) < cost($0.tile, $0.share) ? $1 : $0
    }.tile
  }

  func rowCount(_ rows: Int) -> Int { (rows + self.rows - 1) / self.rows }
  func columnCount(_ columns: Int) -> Int { (columns + self.columns - 1) / self.columns }

  /// Steps of the depth a group takes where it is cut so that there are groups enough, a multiple
  /// of the tile's depth.
  func span(rows: Int, columns: Int, depth: Int) -> Int { span([(rows, columns, depth)]) }

  /// The same of several products that share a launch, so that each group has as much to do.
  ///
  /// - Parameter groups: that there are to be at least, but for rounding.
  func span(
    _ products: [(rows: Int, columns: Int, depth: Int)], groups: Int = ProductTile.wantedGroups
  ) -> Int {
    let steps = products.reduce(0) {
      $0 + rowCount($1.rows) * columnCount($1.columns) * $1.depth
    }
    let span = (steps + groups - 1) / groups
    return (max(span, 1) + Self.depth - 1) / Self.depth * Self.depth
  }

  /// - Parameters:
  ///   - writesChunks: every row of the result begins at a multiple of a chunk, and its columns are
  ///     one.
  ///   - hasHalfResult: otherwise floats; sums over steps always are.
  ///   - leavesStatistics: of the result's columns, for a batch normalization.
  func defines(
    part: ProductPart, writesChunks: Bool, hasHalfResult: Bool = true,
    leavesStatistics: Bool = false
  ) -> [String: Int] {
    var defines = [
      "PART": part.rawValue, "TILE_ROWS": rows, "TILE_COLUMNS": columns, "WARPS_DOWN": warpsDown,
      "WARPS_ACROSS": warpsAcross, "RESULT_CHUNKS": writesChunks ? 1 : 0,
      "HALF_RESULT": hasHalfResult ? 1 : 0,
    ]
    if leavesStatistics { defines["STATISTICS"] = 1 }
    return defines
  }
}

extension TensorCoreTile: TunableTile {
  /// `128x64 by 2x2`.
  var description: String { "\(rows)x\(columns) by \(warpsDown)x\(warpsAcross)" }

  var sizes: [Int] { [rows, columns, warpsDown, warpsAcross] }

  static func cuts(_ product: ProductKey) -> Bool { product.isOnTensorCores }

  func misfit(on device: OpenCLDeviceDescription, limit: Int) -> String? {
    let bytes = localBytes(leavesStatistics: true)
    return itemsMisfit(limit: limit)
      ?? (bytes <= device.localMemory
        ? nil : "it needs \(bytes) bytes of local memory a group, there are \(device.localMemory)")
  }

  static func chosen(for product: ProductKey, by device: OpenCLDevice) -> TensorCoreTile {
    device.tensorCoreTile(of: product)
  }

  static func options(forcing tile: TensorCoreTile?) -> OpenCLDevice.Options {
    var options = OpenCLDevice.Options(usesCLBlast: false, specializes: true, precision: .fp16)
    options.tensorCoreTile = tile
    return options
  }
}

/// What the tensor-core kernels take; everything else is the ordinary kernels'. They read global
/// memory in chunks of eight halves: every row of a factor begins at a multiple of eight elements,
/// and the width along which a factor lies is one, so that no chunk holds two taps or two rows.
extension TensorCoreTile {
  /// - Parameter offsets: elements at which the tensors of halves begin.
  static func fits(_ shape: Conv1DShape, offsets: [Int]) -> Bool {
    (offsets + [shape.inputChannels, shape.outputChannels]).allSatisfy { $0 % chunk == 0 }
  }

  /// - Parameters:
  ///   - a: offset and strides of the left factor, in elements; `b` those of the right one.
  ///   - rows, columns, depth: of the product; only the two along which the factors lie matter.
  static func fits(
    _ form: MatrixProduct.Form, a: [Int], b: [Int], rows: Int, columns: Int, depth: Int
  ) -> Bool {
    let widths =
      switch form {
      case .plain: [depth, columns]
      case .rightTurned: [depth]
      case .leftTurned: [rows, columns]
      }
    return (a + b + widths).allSatisfy { $0 % chunk == 0 }
  }
}
