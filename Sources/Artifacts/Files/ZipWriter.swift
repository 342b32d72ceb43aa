import CZip
import Foundation

/// Makes a zip archive in memory with libzip: entries stored, as Keras stores them, and dated 1980,
/// so that the same content gives the same bytes.
struct ZipWriter {
  /// What went wrong inside libzip; memory, in practice.
  struct Failure: Error { let reason: String }

  static func archive(_ entries: [(name: String, data: Data)]) throws(Failure) -> Data {
    var error = zip_error_t()
    guard let target = zip_source_buffer_create(nil, 0, 0, &error) else {
      throw failure(&error)
    }
    // One reference for the archive, one to read the result back.
    zip_source_keep(target)
    defer { zip_source_free(target) }
    guard let archive = zip_open_from_source(target, ZIP_TRUNCATE, &error) else {
      zip_source_free(target)
      throw failure(&error)
    }
    for entry in entries {
      guard let index = add(entry.data, named: entry.name, to: archive) else {
        let reason = String(cString: zip_strerror(archive))
        zip_discard(archive)
        throw Failure(reason: reason)
      }
      zip_set_file_compression(archive, index, ZIP_CM_STORE, 0)
      zip_file_set_dostime(archive, index, 0, 0x21, 0)
    }
    guard zip_close(archive) == 0 else {
      let reason = String(cString: zip_strerror(archive))
      zip_discard(archive)
      throw Failure(reason: reason)
    }
    return try contents(of: target)
  }

  private static func add(_ data: Data, named name: String, to archive: OpaquePointer)
    -> zip_uint64_t?
  {
    // libzip reads the bytes when the archive is closed and frees this copy itself.
    guard let copy = malloc(max(1, data.count)) else { return nil }
    data.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { memcpy(copy, base, bytes.count) }
    }
    guard let source = zip_source_buffer(archive, copy, zip_uint64_t(data.count), 1) else {
      free(copy)
      return nil
    }
    let index = zip_file_add(archive, name, source, 0)
    if index < 0 {
      zip_source_free(source)
      return nil
    }
    return zip_uint64_t(index)
  }

  private static func contents(of source: OpaquePointer) throws(Failure) -> Data {
    var status = zip_stat_t()
    guard zip_source_stat(source, &status) == 0, zip_source_open(source) == 0 else {
      throw Failure(reason: "the archive cannot be read back")
    }
    defer { zip_source_close(source) }
    var data = Data(count: Int(status.size))
    let count = data.withUnsafeMutableBytes {
      zip_source_read(source, $0.baseAddress, zip_uint64_t($0.count))
    }
    guard count == data.count else { throw Failure(reason: "the archive cannot be read back") }
    return data
  }

  private static func failure(_ error: inout zip_error_t) -> Failure {
    Failure(reason: String(cString: zip_error_strerror(&error)))
  }
}
