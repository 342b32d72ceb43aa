import Foundation

/// The bytes of one file, in memory that is used again for the next, with zeros behind them.
///
/// Not shared between threads: each worker has its own.
final class FileText {
  /// Files beyond this are refused before their bytes are read.
  static let largestFile = 4 << 30
  /// A line that is longer, or a file without a line end in so many bytes, is no recording.
  static let longestLine = 1 << 16
  /// Zero bytes behind the text, so that eight bytes can be loaded anywhere in it.
  private static let padding = 32

  private var storage: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  init() {
    storage = .allocate(byteCount: 1 << 19, alignment: 64)
  }

  deinit { storage.deallocate() }

  var start: UnsafePointer<UInt8> {
    UnsafePointer(storage.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self))
  }

  /// Reads the whole of `file`, or throws that it is missing, unreadable, no regular file, too
  /// large, or could not be read to its end. Reads no further than the longest line where no line ends within it.
  func read(_ file: String) throws(RecordingError) {
    count = 0
    // Opening a pipe would wait for a writer without O_NONBLOCK.
    let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw errno == ENOENT || errno == ENOTDIR
        ? .missing(path: file) : .unreadable(file: file, reason: reasonOfLastFailure())
    }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else {
      throw .unreadable(file: file, reason: reasonOfLastFailure())
    }
    switch information.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw .directoryNamedAsRecording(file: file)
    default: throw .notARegularFile(file: file)
    }
    try check(Int(information.st_size), file: file)
    try fill(from: descriptor, file: file, upTo: Self.longestLine + 1)
    if count > Self.longestLine, memchr(start, 0x0A, count) == nil, memchr(start, 0, count) == nil {
      throw .lineWithoutEnd(file: file, line: 1, limit: Self.longestLine)
    }
    reserve(Int(information.st_size) + 1)
    try fill(from: descriptor, file: file, upTo: .max)
    guard count >= Int(information.st_size) else {
      throw .readFailed(
        file: file, bytes: count,
        reason: "the file ends there, expected \(information.st_size) bytes")
    }
    memset(storage.baseAddress.unsafelyUnwrapped + count, 0, Self.padding)
  }

  private func check(_ size: Int, file: String) throws(RecordingError) {
    guard size <= Self.largestFile else {
      throw .tooLarge(file: file, bytes: size, limit: Self.largestFile)
    }
  }

  /// Appends bytes until `limit` of them are there or the file ends.
  private func fill(from descriptor: Int32, file: String, upTo limit: Int)
    throws(RecordingError)
  {
    while count < limit {
      if storage.count - Self.padding == count { reserve(2 * count) }
      let room = min(storage.count - Self.padding, limit) - count
      let got = Foundation.read(
        descriptor, storage.baseAddress.unsafelyUnwrapped + count, room)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw .readFailed(file: file, bytes: count, reason: reasonOfLastFailure())
      }
      if got == 0 { return }
      count += got
      try check(count, file: file)
    }
  }

  /// Makes room for `size` bytes and the padding; keeps what was read.
  private func reserve(_ size: Int) {
    guard size + Self.padding > storage.count else { return }
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: size + size / 8 + Self.padding, alignment: 64)
    larger.copyMemory(from: UnsafeRawBufferPointer(start: storage.baseAddress, count: count))
    storage.deallocate()
    storage = larger
  }
}
