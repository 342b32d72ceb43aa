import Foundation

/// Why a file could not be written. Whatever stood at the path before is still whole.
public enum FileWriteError: Error, Equatable, CustomStringConvertible {
  /// Nothing was written: no such folder, no permission, a folder in its place (exit 73).
  case cannotCreate(path: String, reason: String)
  /// Writing began and failed, as on a full disk (exit 74).
  case failedMidway(path: String, reason: String)

  public var description: String {
    switch self {
    case .cannotCreate(let path, let reason):
      "\(path) cannot be created: \(reason). Choose another --output, or change its permissions."
    case .failedMidway(let path, let reason):
      "Writing \(path) failed midway: \(reason). What was saved there before is still whole; "
        + "free space on the disk and start again."
    }
  }
}

/// Files that are whole or absent, never half: written beside their place, flushed to the disk, and
/// renamed.
public enum AtomicFile {
  /// Writes `bytes` to `path`, replacing a file that is there.
  /// - Throws: `FileWriteError`; the temporary file is gone by then.
  public static func write(_ bytes: some ContiguousBytes, to path: String) throws(FileWriteError) {
    // Random, not counted: in a container a killed run's leavings may bear the same process id.
    let temporary = "\(path).\(UInt32.random(in: 0 ... .max)).partial"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw .cannotCreate(path: path, reason: message(errno))
    }
    var failure = bytes.withUnsafeBytes { writeAll($0, to: descriptor) }
    if failure == 0 && fsync(descriptor) != 0 { failure = errno }
    if close(descriptor) != 0 && failure == 0 { failure = errno }
    if failure != 0 {
      unlink(temporary)
      throw .failedMidway(path: path, reason: message(failure))
    }
    guard rename(temporary, path) == 0 else {
      let reason = message(errno)
      unlink(temporary)
      throw .cannotCreate(path: path, reason: reason)
    }
    synchronizeFolder(of: path)
  }

  /// Removes what killed writers of the files of these names left in a folder. Nobody may be writing
  /// there: whoever calls holds the folder's lock.
  static func removeLeftovers(of isOurs: (_ name: Substring) -> Bool, in folder: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names {
      guard let match = name.wholeMatch(of: /(.+)\.[0-9]{1,10}\.partial/), isOurs(match.1)
      else { continue }
      unlink("\(folder)/\(name)")
    }
  }

  /// The C library's sentence for an error number.
  static func message(_ code: Int32) -> String { String(cString: strerror(code)) }

  /// - Returns: 0, or the error number.
  private static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var offset = 0
    while offset < bytes.count {
      let count = Foundation.write(
        descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return errno }
      if count == 0 { return ENOSPC }
      offset += count
    }
    return 0
  }

  /// Makes the rename itself last; some file systems refuse it, and then nothing is lost but that.
  private static func synchronizeFolder(of path: String) {
    let folder = URL(filePath: path).deletingLastPathComponent().path
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor >= 0 {
      fsync(descriptor)
      close(descriptor)
    }
  }
}
