import Foundation

/// An array of single or double precision as NumPy's `.npy` files keep it, rows first.
public struct NumpyArray {
  public let shape: [Int]
  public let values: [Double]

  public struct Malformed: Error {
    public let path: String
  }

  /// - Throws: `Malformed` for arrays of other types or orders.
  public init(_ path: String) throws {
    let data = try Data(contentsOf: URL(filePath: path))
    guard data.count > 12, data.starts(with: [0x93] + Array("NUMPY".utf8)) else {
      throw Malformed(path: path)
    }
    // Version 1 counts its header in two bytes, later ones in four.
    let isFirst = data[6] == 1
    let length =
      isFirst
      ? Int(data[8]) | Int(data[9]) << 8 : (0..<4).reduce(0) { $0 | Int(data[8 + $1]) << (8 * $1) }
    let start = (isFirst ? 10 : 12) + length
    let header = String(decoding: data[(isFirst ? 10 : 12)..<start], as: UTF8.self)
    guard header.contains("'fortran_order': False"),
      let open = header.range(of: "'shape': ("),
      let close = header.range(of: ")", range: open.upperBound..<header.endIndex)
    else { throw Malformed(path: path) }
    shape = header[open.upperBound..<close.lowerBound].split(separator: ",")
      .compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    let count = shape.reduce(1, *)
    let body = data.dropFirst(start)
    func read<Element: BitwiseCopyable>(_ zero: Element) -> [Element] {
      (0..<count).map { index in
        body.withUnsafeBytes {
          $0.loadUnaligned(fromByteOffset: index * MemoryLayout<Element>.size, as: Element.self)
        }
      }
    }
    if header.contains("'<f4'"), body.count >= 4 * count {
      values = read(Float(0)).map(Double.init)
    } else if header.contains("'<f8'"), body.count >= 8 * count {
      values = read(0.0)
    } else {
      throw Malformed(path: path)
    }
  }
}
