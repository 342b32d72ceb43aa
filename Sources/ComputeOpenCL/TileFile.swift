import Foundation

/// The tiles that `semg-train tune` found best on a device.
struct TileFile {
  /// Rows, columns and rows an item, by `ProductKey.text`.
  private let file: TuningFile<[String: [Int]]>

  var url: URL { file.url }

  private static let kernels = ["conv1d", "dense"]

  init(directory: URL, description: OpenCLDeviceDescription) {
    file = TuningFile(directory: directory, description: description, kernels: Self.kernels)
  }

  private init(file: TuningFile<[String: [Int]]>) { self.file = file }

  /// `semg-train/tiles` where programs are kept; nil where nothing is.
  static func standard(for description: OpenCLDeviceDescription) -> TileFile? {
    TuningFile.standard(folder: "tiles", description: description, kernels: kernels).map(
      TileFile.init)
  }

  /// Those of the tiles that the kernels are written for; none where there is no such file.
  var tiles: [String: ProductTile] {
    (file.findings ?? [:]).compactMapValues { sizes in
      ProductTile.candidates.first { [$0.rows, $0.columns, $0.itemRows] == sizes }
    }
  }

  /// Adds tiles to those that are known.
  ///
  /// - Throws: where the file cannot be written.
  func add(_ new: [String: ProductTile]) throws {
    try file.write(
      tiles.merging(new) { $1 }.mapValues { [$0.rows, $0.columns, $0.itemRows] })
  }
}
