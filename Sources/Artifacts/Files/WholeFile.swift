import Foundation

/// Why a file could not be read.
public enum FileReadError: Error, Equatable, CustomStringConvertible {
  /// No such file, or no right to read it (exit 66).
  case unreadable(path: String, reason: String)
  /// Reading began and failed, as on a damaged disk (exit 74).
  case failedMidway(path: String, bytes: Int, reason: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path) cannot be read: \(reason). Check the path and its permissions."
    case .failedMidway(let path, let bytes, let reason):
      "Reading \(path) failed after \(bytes) bytes: \(reason). The disk or the connection to it "
        + "may be at fault."
    }
  }
}

/// Files that are read whole.
public enum WholeFile {
  /// - Throws: `FileReadError`, which tells a file that cannot be opened from one that cannot be
  ///   read to its end.
  public static func read(_ path: String) throws(FileReadError) -> Data {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .unreadable(path: path, reason: AtomicFile.message(errno))
    }
    defer { close(descriptor) }
    var data = Data()
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Foundation.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EISDIR {
        throw .unreadable(path: path, reason: AtomicFile.message(EISDIR))
      }
      if count < 0 {
        throw .failedMidway(path: path, bytes: data.count, reason: AtomicFile.message(errno))
      }
      if count == 0 { return data }
      data.append(contentsOf: chunk[..<count])
    }
  }
}
