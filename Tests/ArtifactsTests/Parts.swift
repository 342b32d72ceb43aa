import CHDF5
import Foundation
import Networks
import Testing

@testable import Artifacts

/// An archive taken apart, to be put together again with something changed.
struct Parts {
  var metadata: Data
  var config: JSONValue
  var weights: Data

  init(_ archive: Data) throws {
    let zip = try ZipReader(archive, path: "parts")
    metadata = try zip.read("metadata.json", limit: 1 << 20)
    config = try JSONDecoder().decode(
      JSONValue.self, from: zip.read("config.json", limit: 1 << 22))
    weights = try zip.read("model.weights.h5", limit: 1 << 24)
  }

  init(version: String = "3.15.1", _ model: String = "inception") throws {
    try self.init(Data(contentsOf: URL(filePath: Fixture.path(version, model))))
  }

  func archive() throws -> Data {
    try ZipWriter.archive([
      ("metadata.json", metadata), ("config.json", config.encoded()), ("model.weights.h5", weights),
    ])
  }

  func read() throws(ArchiveError) -> ArchiveContents {
    let data: Data
    do {
      data = try archive()
    } catch {
      throw .readerFailed(path: "parts", how: "the test could not make it: \(error)")
    }
    return try KerasArchive.read(data, path: "test.keras")
  }

  /// Changes one layer's record.
  mutating func edit(layer name: String, _ change: (inout [String: JSONValue]) -> Void) throws {
    var root = try #require(config.object)
    var model = try #require(root["config"]?.object)
    var layers = try #require(model["layers"]?.array)
    let index = try #require(layers.firstIndex { $0["name"]?.string == name })
    var layer = try #require(layers[index].object)
    change(&layer)
    layers[index] = .object(layer)
    model["layers"] = .array(layers)
    root["config"] = .object(model)
    config = .object(root)
  }

  mutating func set(_ key: String, of layer: String, to value: JSONValue) throws {
    try edit(layer: layer) { record in
      var settings = record["config"]?.object ?? [:]
      settings[key] = value
      record["config"] = .object(settings)
    }
  }

  /// Changes the HDF5 file by libhdf5 itself.
  mutating func editWeights(_ change: (hid_t) throws -> Void) throws {
    weights = try HDF5Writer.lock.withLock { [weights] _ in
      var image = [UInt8](weights)
      let access = H5Pcreate(semg_H5P_FILE_ACCESS())
      defer { H5Pclose(access) }
      try #require(H5Pset_fapl_core(access, 1 << 16, false) >= 0)
      try #require(H5Pset_file_image(access, &image, image.count) >= 0)
      let file = H5Fopen("edit.h5", UInt32(H5F_ACC_RDWR_VALUE), access)
      try #require(file >= 0)
      defer { H5Fclose(file) }
      try change(file)
      try #require(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0)
      var result = [UInt8](repeating: 0, count: H5Fget_file_image(file, nil, 0))
      try #require(H5Fget_file_image(file, &result, result.count) == result.count)
      return Data(result)
    }
  }
}

/// `H5F_ACC_RDWR`, a macro that Swift does not see.
let H5F_ACC_RDWR_VALUE = 1

/// Zip archives byte by byte: what no library would write.
struct RawZip {
  struct Entry {
    var name: String
    var data: Data
    var flags: UInt16 = 0
    var method: UInt16 = 0
    var declaredSize: UInt32?
    var declaredCompressed: UInt32?
    var crc: UInt32?
  }

  var entries: [Entry]

  func data() -> Data {
    var out = Data()
    var directory = Data()
    for entry in entries {
      let offset = UInt32(out.count)
      let name = Data(entry.name.utf8)
      var header = Data()
      header.append16(20, entry.flags, entry.method, 0, 0x21)
      header.append32(
        entry.crc ?? Self.crc(entry.data), entry.declaredCompressed ?? UInt32(entry.data.count),
        entry.declaredSize ?? UInt32(entry.data.count))
      header.append16(UInt16(name.count), 0)
      out.append32(0x0403_4b50)
      out.append(header)
      out.append(name)
      out.append(entry.data)
      directory.append32(0x0201_4b50)
      directory.append16(20)
      directory.append(header)
      directory.append16(0, 0, 0)
      directory.append32(0, offset)
      directory.append(name)
    }
    let start = UInt32(out.count)
    out.append(directory)
    out.append32(0x0605_4b50)
    out.append16(0, 0, UInt16(entries.count), UInt16(entries.count))
    out.append32(UInt32(directory.count), start)
    out.append16(0)
    return out
  }

  static func crc(_ data: Data) -> UInt32 {
    var crc: UInt32 = 0xffff_ffff
    for byte in data {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

extension Data {
  fileprivate mutating func append16(_ values: UInt16...) {
    for value in values {
      append(UInt8(truncatingIfNeeded: value))
      append(UInt8(truncatingIfNeeded: value >> 8))
    }
  }
  fileprivate mutating func append32(_ values: UInt32...) {
    for value in values {
      append16(UInt16(truncatingIfNeeded: value), UInt16(truncatingIfNeeded: value >> 16))
    }
  }
}
