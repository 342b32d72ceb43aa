import Foundation

/// The tiles that `semg-train tune` found best on a device.
struct TileFile {
  /// `TunableTile.sizes`, by `ProductKey.text`.
  private let file: TuningFile<[String: [Int]]>

  var url: URL { file.url }

  static let kernels = ["conv1d", "dense", "tensor_core_conv1d", "tensor_core_dense"]

  init(directory: URL, description: OpenCLDeviceDescription) {
    file = TuningFile(directory: directory, description: description, kernels: Self.kernels)
  }

  /// `semg-train/tiles` where programs are kept; nil where nothing is.
  static var directory: URL? { ProgramCache.base?.appendingPathComponent("tiles") }

  static func standard(for description: OpenCLDeviceDescription) -> TileFile? {
    directory.map { TileFile(directory: $0, description: description) }
  }

  /// None where there is no such file. Whether the kernels are written for them is not said.
  var tiles: [String: [Int]] { file.findings ?? [:] }

  /// Adds tiles to those that are known.
  ///
  /// - Throws: where the file cannot be written.
  func add(_ new: [String: [Int]]) throws { try file.write(tiles.merging(new) { $1 }) }
}
