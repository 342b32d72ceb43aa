import Foundation

/// What a tuning has found out so far, tile by tile, on disk: where it ends early, because a driver
/// ended the process or somebody's time was up, the next one goes on from there.
struct TuningJournal {
  /// What became of one tile.
  struct Trial: Codable, Equatable {
    /// Of a step, by `ProductKey.text`.
    var seconds: [String: Double] = [:]
    /// Kernels that do not agree with the generic build, and how.
    var faults: [String: String] = [:]
    /// Why the device failed with it, if it did.
    var failure: String?
  }

  private struct Entry: Codable {
    /// Nil while it is tried.
    var trial: Trial?
  }

  private static let died = "the process ended while it was tried"

  private let file: TuningFile<[String: Entry]>?
  private var entries: [String: Entry]

  /// - Parameter directory: nil keeps nothing.
  init(directory: URL?, description: OpenCLDeviceDescription) {
    file = directory.map {
      TuningFile(
        directory: $0.appendingPathComponent("unfinished"), description: description,
        kernels: TileFile.kernels)
    }
    entries = file?.findings ?? [:]
  }

  /// What is known of a tile: nil where it was not tried on all these products.
  func trial(of tile: String, on products: [ProductKey]) -> Trial? {
    guard let entry = entries[tile] else { return nil }
    guard let trial = entry.trial else { return Trial(failure: Self.died) }
    let isKnown = trial.failure != nil || products.allSatisfy { trial.seconds[$0.text] != nil }
    return isKnown ? trial : nil
  }

  mutating func begin(_ tile: String) { write(Entry(trial: nil), for: tile) }

  mutating func end(_ tile: String, _ trial: Trial) { write(Entry(trial: trial), for: tile) }

  /// Tuning has come to its end: the next one starts anew.
  mutating func remove() {
    entries = [:]
    if let file { try? FileManager.default.removeItem(at: file.url) }
  }

  /// A directory that cannot be written is told when the tiles are stored.
  private mutating func write(_ entry: Entry, for tile: String) {
    entries[tile] = entry
    try? file?.write(entries)
  }
}
