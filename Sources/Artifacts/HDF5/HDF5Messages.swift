import Foundation

/// What the process that reads HDF5 and its parent say to each other, over one socket, in the
/// machine's own byte order:
///
/// 1. child → parent: `magic`;
/// 2. parent → child: the file's size (`UInt64`) and its bytes;
/// 3. child → parent: a listing of the datasets, none read yet; or a refusal;
/// 4. parent → child: which datasets it wants (`UInt32` count and indices);
/// 5. child → parent: their values one after another, `Float` or `Int64`; or a refusal.
enum HDF5Messages {
  static let magic: [UInt8] = Array("semg-hdf5-1\n".utf8)
  static let listing = UInt8(ascii: "L")
  static let values = UInt8(ascii: "V")
  static let refusal = UInt8(ascii: "E")

  static let datasetLimit = 4_096
  static let pathLimit = 512
  static let rankLimit = 8

  /// First argument and environment variable of the reading process.
  static let command = "__read-hdf5"
  static let environmentMark = "SEMG_HDF5_CHILD"
}

/// A dataset as the child lists it.
struct HDF5Dataset: Equatable, Sendable {
  enum Kind: UInt8, Sendable { case float = 0, integer = 1, bfloat16 = 2 }

  var path: String
  var kind: Kind
  /// Bytes of a stored element.
  var size: Int
  /// Empty for a scalar.
  var shape: [Int]

  /// Nil where the product overflows.
  var elementCount: Int? {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow || extent < 0 { return nil }
      count = product
    }
    return count
  }
}

/// Values of one dataset, as they cross the socket.
enum HDF5Values: Equatable, Sendable {
  case floats([Float])
  case integers([Int64])

  var floats: [Float]? { if case .floats(let values) = self { values } else { nil } }
  var integers: [Int64]? { if case .integers(let values) = self { values } else { nil } }
}

/// Plain values appended to a message.
struct MessageWriter {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ value: some FixedWidthInteger & BitwiseCopyable) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }
  mutating func append(_ text: String) {
    let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
    append(UInt16(utf8.count))
    bytes.append(contentsOf: utf8)
  }
}
