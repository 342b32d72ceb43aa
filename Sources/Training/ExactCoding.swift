import Foundation
import Networks

/// A number that any encoder keeps to the bit: JSON has no word for what is not a number, text has.
@propertyWrapper
public struct ExactNumber: Sendable, Codable, Equatable {
  public var wrappedValue: Double

  public init(wrappedValue: Double) { self.wrappedValue = wrappedValue }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let text = try? container.decode(String.self) {
      guard let value = Double(text) else {
        throw DecodingError.dataCorruptedError(
          in: container, debugDescription: "found \"\(text)\", expected a number")
      }
      wrappedValue = value
    } else {
      wrappedValue = try container.decode(Double.self)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if wrappedValue.isFinite {
      try container.encode(wrappedValue)
    } else {
      try container.encode("\(wrappedValue)")
    }
  }
}

/// Values as little-endian bytes.
private struct FloatBytes: Codable {
  let values: [Float]

  init(_ values: [Float]) { self.values = values }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let bytes = try container.decode(Data.self)
    guard bytes.count % MemoryLayout<UInt32>.size == 0 else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "found \(bytes.count) bytes, expected four for each value")
    }
    values = bytes.withUnsafeBytes { buffer in
      stride(from: 0, to: buffer.count, by: MemoryLayout<UInt32>.size).map {
        Float(
          bitPattern: UInt32(
            littleEndian: buffer.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))
      }
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    let words = values.map(\.bitPattern.littleEndian)
    try container.encode(words.withUnsafeBytes { Data($0) })
  }
}

extension NetworkWeights: Codable {
  public init(from decoder: any Decoder) throws {
    self.init(values: try [FloatBytes](from: decoder).map(\.values))
  }

  public func encode(to encoder: any Encoder) throws {
    try values.map(FloatBytes.init).encode(to: encoder)
  }
}

extension OptimizerState: Codable {
  private enum CodingKeys: String, CodingKey {
    case iterations
    case firstMoments = "first_moments"
    case secondMoments = "second_moments"
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func values(_ key: CodingKeys) throws -> [[Float]] {
      try container.decode([FloatBytes].self, forKey: key).map(\.values)
    }
    self.init(
      iterations: try container.decode(Int.self, forKey: .iterations),
      firstMoments: try values(.firstMoments), secondMoments: try values(.secondMoments))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(iterations, forKey: .iterations)
    try container.encode(firstMoments.map(FloatBytes.init), forKey: .firstMoments)
    try container.encode(secondMoments.map(FloatBytes.init), forKey: .secondMoments)
  }
}
