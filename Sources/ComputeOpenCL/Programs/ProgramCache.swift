import Foundation

/// Built programs on disk, for platforms that would compile at every start. Entries are found by a
/// digest of everything that makes the binary what it is, and hold all of that, so that neither a
/// collision nor a driver's update ever gives a wrong program. Damaged entries are as good as none.
struct ProgramCache: Sendable {
  /// Of the file's layout; another is not read.
  private static let magic = Array("semg-train OpenCL program 1\n".utf8)

  let directory: URL

  /// `$XDG_CACHE_HOME/semg-train/opencl`, by default below `~/.cache`; nil where there is no home
  /// or `SEMG_OPENCL_CACHE=0` turns it off.
  static var standard: ProgramCache? {
    base.map { ProgramCache(directory: $0.appendingPathComponent("opencl")) }
  }

  /// Where all that can be made again lies.
  static var base: URL? {
    let environment = ProcessInfo.processInfo.environment
    if environment["SEMG_OPENCL_CACHE"] == "0" { return nil }
    let base: URL
    if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") {
      base = URL(fileURLWithPath: cache)
    } else if let home = environment["HOME"], home.hasPrefix("/") {
      base = URL(fileURLWithPath: home).appendingPathComponent(".cache")
    } else {
      return nil
    }
    return base.appendingPathComponent("semg-train")
  }

  /// The binary that was stored for a key, or nil.
  func binary(for key: String) -> [UInt8]? {
    guard let data = try? Data(contentsOf: file(for: key)) else { return nil }
    let head = Self.head(for: key)
    let bytes = [UInt8](data)
    guard bytes.starts(with: head), bytes.count > head.count + 8 else { return nil }
    let binary = Array(bytes[(head.count + 8)...])
    let checksum = Array(bytes[head.count..<head.count + 8])
    return checksum == Self.bytes(of: Self.digest(binary, seed: 0)) ? binary : nil
  }

  /// Stores a binary; whoever reads at the same time sees the old file or the new one. A directory
  /// that cannot be written is no fault: the next start compiles again.
  func store(_ binary: [UInt8], for key: String) {
    try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let content =
      Self.head(for: key) + Self.bytes(of: Self.digest(binary, seed: 0)) + binary
    try? Data(content).write(to: file(for: key), options: .atomic)
  }

  private func file(for key: String) -> URL {
    directory.appendingPathComponent("\(Self.name(of: key)).bin")
  }

  /// A file's name, without its ending.
  static func name(of key: String) -> String {
    let bytes = Array(key.utf8)
    return [0, 1].map { seed in
      String(digest(bytes, seed: seed), radix: 16)
    }.joined(separator: "-")
  }

  private static func head(for key: String) -> [UInt8] {
    let text = Array(key.utf8)
    return magic + bytes(of: UInt64(text.count)) + text
  }

  private static func bytes(of value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// FNV-1a, 64 bits.
  private static func digest(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325 ^ seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
