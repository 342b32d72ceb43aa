import CZip
import Foundation
import Networks

/// Reads entries of a zip archive that anyone may have made: every name and size is judged before
/// a byte is unpacked, and nothing is ever written to disk.
final class ZipReader {
  private let path: String
  private let archive: OpaquePointer
  /// Index and declared sizes of each file entry.
  private var entries: [String: (index: zip_uint64_t, size: Int)] = [:]

  /// Deflate cannot do better than 1032:1; an entry that claims to is lying about its size.
  private static let largestRatio = 1_032
  private static let entryLimit = 256

  /// - Parameter path: for messages.
  init(_ data: Data, path: String) throws(ArchiveError) {
    self.path = path
    try Self.checkKind(of: data, path)
    var error = zip_error_t()
    guard let copy = malloc(max(1, data.count)) else {
      throw .tooLarge(path: path, part: "the archive's size in bytes", found: data.count, limit: 0)
    }
    data.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { memcpy(copy, base, bytes.count) }
    }
    guard let source = zip_source_buffer_create(copy, zip_uint64_t(data.count), 1, &error) else {
      free(copy)
      throw Self.damaged(path, "the archive", String(cString: zip_error_strerror(&error)))
    }
    guard let archive = zip_open_from_source(source, ZIP_RDONLY, &error) else {
      zip_source_free(source)
      throw Self.damaged(
        path, "the archive", "no whole zip file (\(String(cString: zip_error_strerror(&error))))")
    }
    self.archive = archive
    try listEntries()
  }

  deinit { zip_discard(archive) }

  func contains(_ name: String) -> Bool { entries[name] != nil }
  var names: Dictionary<String, (index: zip_uint64_t, size: Int)>.Keys { entries.keys }

  /// Unpacks one entry whose declared size is within `limit` bytes.
  func read(_ name: String, limit: Int) throws(ArchiveError) -> Data {
    guard let entry = entries[name] else {
      throw Self.damaged(path, "the archive", "no entry \(name)", expected: "one")
    }
    guard entry.size <= limit else {
      throw .tooLarge(
        path: path, part: "the unpacked size of \(name) in bytes", found: entry.size, limit: limit)
    }
    guard let file = zip_fopen_index(archive, entry.index, 0) else {
      throw Self.damaged(path, name, String(cString: zip_strerror(archive)))
    }
    defer { zip_fclose(file) }
    // One byte more than declared: reading it shows an entry that unpacks to more, and makes
    // libzip compare the checksum.
    var data = Data(count: entry.size + 1)
    var offset = 0
    while offset < data.count {
      let count = data.withUnsafeMutableBytes { bytes in
        zip_fread(
          file, bytes.baseAddress?.advanced(by: offset), zip_uint64_t(bytes.count - offset))
      }
      guard count >= 0 else {
        throw Self.damaged(
          path, name, String(cString: zip_error_strerror(zip_file_get_error(file))))
      }
      if count == 0 { break }
      offset += Int(count)
    }
    guard offset == entry.size else {
      throw Self.damaged(
        path, name, offset > entry.size ? "more bytes" : "\(offset) bytes",
        expected: "\(entry.size) bytes, as it declares")
    }
    data.removeLast()
    return data
  }

  /// A word on files that are something else, before libzip says only that they are no zip files.
  private static func checkKind(of data: Data, _ path: String) throws(ArchiveError) {
    if data.starts(with: Array("PK".utf8)) { return }
    if let file = ForeignFile(content: data) { throw foreign(file, path) }
    let found = data.isEmpty ? "an empty file" : "a file of another kind"
    throw damaged(path, "the file", found, expected: "a zip archive as Keras 3 saves models")
  }

  private func listEntries() throws(ArchiveError) {
    let count = zip_get_num_entries(archive, 0)
    guard count <= Self.entryLimit else {
      throw .tooLarge(
        path: path, part: "the number of entries", found: Int(count), limit: Self.entryLimit)
    }
    for index in 0..<zip_uint64_t(max(0, count)) {
      var status = zip_stat_t()
      zip_stat_init(&status)
      guard zip_stat_index(archive, index, 0, &status) == 0, let rawName = status.name else {
        throw Self.damaged(path, "entry \(index)", "no readable directory entry")
      }
      let name = String(cString: rawName)
      try check(name: name)
      try check(name: name, status)
      guard entries[name] == nil else {
        throw Self.damaged(
          path, "the archive", "two entries called \(name)", expected: "each name once")
      }
      entries[name] = (index, Int(status.size))
    }
  }

  private func check(name: String) throws(ArchiveError) {
    let escapes =
      name.hasPrefix("/") || name.contains("\\" as Character) || name.contains(":" as Character)
      || name.split(separator: "/").contains("..") || name.isEmpty
    guard !escapes && name.utf8.count <= 255 else {
      throw Self.damaged(
        path, "the archive", "an entry called \(JSONValue.string(name).brief)",
        expected: "names below the archive's own root")
    }
  }

  private func check(name: String, _ status: zip_stat_t) throws(ArchiveError) {
    guard status.encryption_method == UInt16(ZIP_EM_NONE) else {
      throw Self.damaged(path, name, "an encrypted entry", expected: "a plain one")
    }
    let method = Int32(status.comp_method)
    guard method == ZIP_CM_STORE || method == ZIP_CM_DEFLATE else {
      throw Self.damaged(
        path, name, "compression method \(method)", expected: "stored or deflated")
    }
    guard status.size <= zip_uint64_t(Int32.max) else {
      throw .tooLarge(
        path: path, part: "the unpacked size of \(name) in bytes",
        found: Int(clamping: status.size), limit: Int(Int32.max))
    }
    let possible = method == ZIP_CM_STORE ? 1 : zip_uint64_t(Self.largestRatio)
    guard status.comp_size <= zip_uint64_t(Int32.max),
      status.size <= status.comp_size * possible + 1_024
    else {
      throw Self.damaged(
        path, name, "\(status.size) bytes unpacked from \(status.comp_size)",
        expected: "what deflate can hold")
    }
  }

  static func foreign(_ file: ForeignFile, _ path: String) -> ArchiveError {
    .foreign(
      path: path, found: file.found, expected: "an archive as Keras 3 saves models (.keras)",
      advice: file.advice)
  }

  private static func damaged(
    _ path: String, _ part: String, _ found: String, expected: String = "an intact zip archive"
  ) -> ArchiveError {
    .badContent(path: path, part: part, found: found, expected: expected)
  }
}
