/// How `Kernels/product.cl` cuts a product: tile of the result that a work-group makes, and rows of
/// it that an item makes, of four columns each.
struct ProductTile: Hashable, Sendable, CustomStringConvertible {
  var rows: Int
  var columns: Int
  var itemRows: Int

  /// Steps of the depth that lie in local memory at a time.
  static let depth = 16
  /// The tile of fewest items.
  private static let least = ProductTile(rows: 32, columns: 32, itemRows: 4)
  /// The defaults in `product.cl`.
  private static let usual = ProductTile(rows: 64, columns: 32, itemRows: 4)

  /// What builds have that are not for one shape.
  ///
  /// - Parameter limit: most work items a group.
  static func generic(limit: Int) -> ProductTile { usual.items <= limit ? usual : least }

  /// What builds that are not for one shape are given.
  var genericDefines: [String: Int] { self == Self.usual ? [:] : sizeDefines }

  /// `128x64x8`.
  var description: String { "\(rows)x\(columns)x\(itemRows)" }

  /// Work items of a group.
  var items: Int { rows / itemRows * columns / 4 }

  /// Largest first, each with the share of a device's products that it can keep busy while there
  /// are groups enough: the fewer rows and columns, the more often global and local memory are read.
  private static let choices: [(tile: ProductTile, share: Double)] = [
    (ProductTile(rows: 128, columns: 64, itemRows: 8), 1),
    (ProductTile(rows: 64, columns: 64, itemRows: 4), 0.85),
    (ProductTile(rows: 64, columns: 32, itemRows: 4), 0.75),
    (ProductTile(rows: 32, columns: 32, itemRows: 4), 0.65),
  ]

  /// What tuning tries: all that the kernels are written for.
  static let candidates: [ProductTile] =
    choices.map(\.tile) + [
      ProductTile(rows: 128, columns: 128, itemRows: 16),
      ProductTile(rows: 128, columns: 128, itemRows: 8),
      ProductTile(rows: 128, columns: 32, itemRows: 8),
      ProductTile(rows: 64, columns: 64, itemRows: 8),
      ProductTile(rows: 64, columns: 32, itemRows: 8),
      ProductTile(rows: 32, columns: 64, itemRows: 4),
    ]

  /// Groups that fill a large GPU twice.
  static let wantedGroups = 264

  /// The tile that wastes least: by its share, by what of it lies beyond the edges, and by how many
  /// groups there are.
  ///
  /// - Parameters:
  ///   - copies: products of this size in one launch.
  ///   - splitsDepth: the depth can be cut to have more groups.
  ///   - limit: most work items a group.
  static func best(
    rows: Int, columns: Int, copies: Int = 1, splitsDepth: Bool = false, limit: Int
  ) -> ProductTile {
    func cost(_ tile: ProductTile, _ share: Double) -> Double {
      let groups = tile.count(rows: rows, columns: columns) * copies
      let waiting = splitsDepth ? 1 : max(1, Double(wantedGroups) / Double(groups))
      return Double(groups * tile.rows * tile.columns) * waiting / share
    }
    let possible = choices.filter { $0.tile.items <= limit }
    return possible.min { cost($0.tile, $0.share) < cost($1.tile, $1.share) }?.tile ?? least
  }

  func rowCount(_ rows: Int) -> Int { (rows + self.rows - 1) / self.rows }
  func columnCount(_ columns: Int) -> Int { (columns + self.columns - 1) / self.columns }
  func count(rows: Int, columns: Int) -> Int { rowCount(rows) * columnCount(columns) }

  /// Steps of the depth a group takes where it is cut so that there are groups enough, a multiple
  /// of the tile's depth.
  func span(rows: Int, columns: Int, depth: Int) -> Int {
    let parts = max(1, Self.wantedGroups / count(rows: rows, columns: columns))
    let steps = (depth + parts - 1) / parts
    return (steps + Self.depth - 1) / Self.depth * Self.depth
  }

  /// - Parameter vectors: every row of every matrix begins at a multiple of four elements, and all
  ///   widths are multiples of four.
  func defines(part: Int, vectors: Bool) -> [String: Int] {
    sizeDefines.merging(["PART": part, "VECTORS": vectors ? 1 : 0]) { $1 }
  }

  private var sizeDefines: [String: Int] {
    ["TILE_ROWS": rows, "TILE_COLUMNS": columns, "ITEM_ROWS": itemRows]
  }
}

/// A product that tiles are chosen for: the kernel that makes it, and its sizes.
struct ProductKey: Hashable {
  var kernel: String
  var rows: Int
  var columns: Int
  var depth: Int
  /// Products of this size in one launch.
  var copies = 1
  /// Of `Kernels/`.
  var file: String {
    (isOnTensorCores ? "tensor_core_" : "") + (kernel.hasPrefix("conv1d") ? "conv1d" : "dense")
  }
  /// The depth can be cut to have more groups.
  var splitsDepth = false
  var isOnTensorCores = false

  /// In files and reports: `conv1d_forward 26112x32x192`.
  var text: String {
    (isOnTensorCores ? "tensor cores, " : "") + "\(kernel) \(rows)x\(columns)x\(depth)"
      + (copies == 1 ? "" : ", \(copies) of them")
  }
}

/// A way to cut products, of which `ProductTuning` tries several.
protocol TunableTile: Hashable, Sendable, CustomStringConvertible {
  /// All that the kernels are written for.
  static var candidates: [Self] { get }
  /// Whether it is this kind of tile that a product is cut into.
  static func cuts(_ product: ProductKey) -> Bool
  /// What a device gives a product.
  static func chosen(for product: ProductKey, by device: OpenCLDevice) -> Self
  /// Of a device that cuts every product so where it fits; nil leaves the usual tiles.
  static func options(forcing tile: Self?) -> OpenCLDevice.Options

  /// Work items of a group.
  var items: Int { get }
  /// In files.
  var sizes: [Int] { get }
  /// What a group needs that the device has not, or nil.
  ///
  /// - Parameter limit: most work items of a group.
  func misfit(on device: OpenCLDeviceDescription, limit: Int) -> String?
}

extension TunableTile {
  func itemsMisfit(limit: Int) -> String? {
    items <= limit
      ? nil : "it needs \(items) work items a group, the device allows \(limit)"
  }
}

extension ProductTile: TunableTile {
  var sizes: [Int] { [rows, columns, itemRows] }

  static func cuts(_ product: ProductKey) -> Bool { !product.isOnTensorCores }

  func misfit(on device: OpenCLDeviceDescription, limit: Int) -> String? {
    itemsMisfit(limit: limit)
  }

  static func chosen(for product: ProductKey, by device: OpenCLDevice) -> ProductTile {
    device.tile(of: product)
  }

  static func options(forcing tile: ProductTile?) -> OpenCLDevice.Options {
    var options = OpenCLDevice.Options(usesCLBlast: false, specializes: true)
    options.tile = tile
    return options
  }
}

extension OpenCLDevice {
  /// The tile that was found best, or is thought best, for a specialized build, the generic build's
  /// own otherwise.
  func tile(of product: ProductKey) -> ProductTile {
    let limit = context.groupLimits.limit(of: product.file)
    guard options.specializes else { return .generic(limit: limit) }
    let chosen = options.tile ?? tuned(product)
    if let chosen, chosen.misfit(on: description, limit: limit) == nil { return chosen }
    return .best(
      rows: product.rows, columns: product.columns, copies: product.copies,
      splitsDepth: product.splitsDepth, limit: limit)
  }

  /// The same where the product is made on tensor cores, whose kernels are always specialized.
  func tensorCoreTile(of product: ProductKey) -> TensorCoreTile {
    let chosen = options.tensorCoreTile ?? tuned(product)
    let limit = context.groupLimits.limit(of: product.file)
    func fits(_ tile: TensorCoreTile) -> Bool { tile.misfit(on: description, limit: limit) == nil }
    if let chosen, fits(chosen) { return chosen }
    return .best(
      rows: product.rows, columns: product.columns, copies: product.copies,
      splitsDepth: product.splitsDepth, fits: fits)
  }

  private func tuned<Tile: TunableTile>(_ product: ProductKey) -> Tile? {
    tunedTiles[product.text].flatMap { sizes in Tile.candidates.first { $0.sizes == sizes } }
  }
}
