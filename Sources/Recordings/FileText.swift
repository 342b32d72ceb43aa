import Foundation

/// The bytes of one file, or of one piece of it after another, in memory that is used again for the
/// next, with zeros behind them.
///
/// Not shared between threads: each worker has its own.
final class FileText {
  /// Files beyond this are refused before their bytes are read.
  static let largestFile = 4 << 30
  /// A line that is longer, or a file without a line end in so many bytes, is not a recording.
  static let longestLine = 1 << 16
  /// Zero bytes behind the text, so that eight bytes can be loaded anywhere in it.
  private static let padding = 32

  private var storage: UnsafeMutableRawBufferPointer
  private(set) var count = 0
  /// Bytes of the file that were read, now or before.
  private(set) var total = 0
  private var file = ""
  /// How many the file had when it was opened.
  private(set) var size = 0
  private var descriptor: Int32 = -1

  init() {
    storage = .allocate(byteCount: 1 << 19, alignment: 64)
  }

  deinit {
    close()
    storage.deallocate()
  }

  var start: UnsafePointer<UInt8> {
    UnsafePointer(storage.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self))
  }

  /// Reads the whole of `file`, or throws that it is missing, unreadable, no regular file, too
  /// large, or could not be read to its end. Reads no further than the longest line where no line ends within it.
  func read(_ file: String) throws(RecordingError) {
    try open(file)
    try fill(upTo: .max)
  }

  /// Opens `file` and reads its beginning; throws as ``read(_:)``.
  private func open(_ file: String) throws(RecordingError) {
    close()
    (count, total, self.file) = (0, 0, file)
    // Opening a pipe would wait for a writer without O_NONBLOCK.
    descriptor = Foundation.open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw errno == ENOENT || errno == ENOTDIR
        ? .missing(path: file) : .unreadable(file: file, reason: reasonOfLastFailure())
    }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else {
      throw .unreadable(file: file, reason: reasonOfLastFailure())
    }
    switch information.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw .directoryNamedAsRecording(file: file)
    default: throw .notARegularFile(file: file)
    }
    size = Int(information.st_size)
    try check(size, file: file)
    try fill(upTo: Self.longestLine + 1)
    if count > Self.longestLine, memchr(start, 0x0A, count) == nil, memchr(start, 0, count) == nil {
      throw memchr(start, 0x0D, count) == nil
        ? .lineWithoutEnd(file: file, line: 1, limit: Self.longestLine)
        : .loneCarriageReturn(file: file, line: 1)
    }
  }

  /// Opens `file` and reads no more than its first `limit` bytes; throws as ``read(_:)``.
  func readFirst(_ limit: Int, of file: String) throws(RecordingError) {
    try open(file)
    try fill(upTo: limit)
  }

  /// Goes on behind what was read: keeps what lies from `place` on, and reads until `limit` bytes are
  /// there, or the file ends.
  func advance(keepingFrom place: UnsafePointer<UInt8>, limit: Int) throws(RecordingError) {
    let kept = start + count - place
    memmove(storage.baseAddress.unsafelyUnwrapped, place, kept)
    count = kept
    try fill(upTo: limit)
  }

  /// Whether the file's end was reached.
  var isAtEnd: Bool { descriptor < 0 }

  private func close() {
    if descriptor >= 0 { Foundation.close(descriptor) }
    descriptor = -1
  }

  private func check(_ size: Int, file: String) throws(RecordingError) {
    guard size <= Self.largestFile else {
      throw .tooLarge(file: file, bytes: size, limit: Self.largestFile)
    }
  }

  /// Appends bytes until `limit` of them are there or the file ends.
  private func fill(upTo limit: Int) throws(RecordingError) {
    // One more than the file has, so that its end is met without asking for more memory.
    reserve(min(limit, size + 1))
    while count < limit, descriptor >= 0 {
      if storage.count - Self.padding == count { reserve(2 * count) }
      let room = min(storage.count - Self.padding, limit) - count
      let got = Foundation.read(
        descriptor, storage.baseAddress.unsafelyUnwrapped + count, room)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw .readFailed(file: file, bytes: total, reason: reasonOfLastFailure())
      }
      count += got
      total += got
      if got == 0 { try end() }
      try check(total, file: file)
    }
    memset(storage.baseAddress.unsafelyUnwrapped + count, 0, Self.padding)
  }

  private func end() throws(RecordingError) {
    close()
    guard total >= size else {
      throw .readFailed(
        file: file, bytes: total, reason: "the file ends there, expected \(size) bytes")
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
