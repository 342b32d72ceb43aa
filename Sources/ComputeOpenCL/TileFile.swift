import Foundation

/// The tiles that `semg-train tune` found best on a device, on disk: for this device, driver and
/// platform and these kernels. A file that is damaged or of something else is as good as none.
struct TileFile {
  let url: URL
  /// What the tiles are good for, as the file says it again.
  private let subject: [String: String]

  private struct Content: Codable {
    var format = 1
    let subject: [String: String]
    /// Rows, columns and rows an item, by `ProductKey.text`.
    let tiles: [String: [Int]]
  }

  init(directory: URL, description: OpenCLDeviceDescription) {
    subject = [
      "device": description.name, "driver": description.driver,
      "platform": description.platformName,
      "kernels": ProgramCache.name(
        of: ["conv1d", "dense"].compactMap(KernelSource.text).joined(separator: "\n")),
    ]
    let names = [description.platformName, description.name, description.driver]
    url = directory.appendingPathComponent(
      "\(ProgramCache.name(of: names.joined(separator: "\n"))).json")
  }

  /// `semg-train/tiles` where programs are kept; nil where nothing is.
  static func standard(for description: OpenCLDeviceDescription) -> TileFile? {
    ProgramCache.base.map {
      TileFile(directory: $0.appendingPathComponent("tiles"), description: description)
    }
  }

  /// Those of the tiles that the kernels are written for; none where there is no such file.
  var tiles: [String: ProductTile] {
    guard let data = try? Data(contentsOf: url),
      let content = try? JSONDecoder().decode(Content.self, from: data), content.format == 1,
      content.subject == subject
    else { return [:] }
    return content.tiles.compactMapValues { sizes in
      ProductTile.candidates.first { [$0.rows, $0.columns, $0.itemRows] == sizes }
    }
  }

  /// Adds tiles to those that are known. Whoever reads at the same time sees the old file or the new
  /// one.
  ///
  /// - Throws: where the file cannot be written.
  func add(_ new: [String: ProductTile]) throws {
    let content = Content(
      subject: subject,
      tiles: tiles.merging(new) { $1 }.mapValues { [$0.rows, $0.columns, $0.itemRows] })
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try encoder.encode(content).write(to: url, options: .atomic)
  }
}
