/// What a relative path says about a recording.
public struct RecordingLayout: Hashable, Sendable {
  /// The component nearest to the file that as a whole matches `session[_-]?0*(\d+)`.
  public let session: Int?
  /// The first `gesture[_-]?0*(\d+)` in the file's name, else in the nearest parent that has one.
  public let gesture: Int?
  /// The first `subject[_-]?0*(\d+)`, looked for in the same way.
  public let subject: Int?
  /// What the path says of one thing and then otherwise, such as `gesture 0` and `gesture 1`; empty
  /// where it says one thing of each.
  public let contradiction: [String]

  /// Reads `path` (components joined by `/`); letters match in any case.
  public init(path: String) {
    let components = path.utf8.split(separator: UInt8(ascii: "/")).reversed().map {
      Array($0.map(lowercased))
    }
    session = components.lazy.compactMap { wholeNumber(after: "session", in: $0) }.first
    gesture = components.lazy.compactMap { mentions(of: "gesture", in: $0).first?.number }.first
    subject = components.lazy.compactMap { mentions(of: "subject", in: $0).first?.number }.first
    contradiction =
      Self.contradiction("gesture", in: components) ?? Self.contradiction("session", in: components)
      ?? Self.contradiction("subject", in: components) ?? []
  }

  /// The first of the numbers that the path names, and one that differs; or a number with a fraction.
  private static func contradiction(_ word: StaticString, in components: [[UInt8]]) -> [String]? {
    let found = components.flatMap { mentions(of: word, in: $0) }
    if let broken = found.first(where: { $0.fraction != nil }) {
      return ["\(word) \(broken.number).\(broken.fraction ?? "")"]
    }
    guard let first = found.first, let other = found.first(where: { $0.number != first.number })
    else { return nil }
    return ["\(word) \(first.number)", "\(word) \(other.number)"]
  }
}

private func lowercased(_ byte: UInt8) -> UInt8 {
  byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte + 32 : byte
}

private func isDigit(_ byte: UInt8) -> Bool {
  byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
}

/// A word with its number in one component of a path.
private struct Mention {
  let number: Int
  /// The digits behind a point or comma that follows the number, as in `gesture1.5.csv`.
  let fraction: String?
  /// Where the number ends.
  let end: Int
}

/// The number of `^word[_-]?0*(\d+)$`, or nil.
private func wholeNumber(after word: StaticString, in component: [UInt8]) -> Int? {
  guard let match = mention(of: word, in: component, at: 0), match.end == component.count else {
    return nil
  }
  return match.number
}

/// Every `word[_-]?0*(\d+)` of a component, in order.
private func mentions(of word: StaticString, in component: [UInt8]) -> [Mention] {
  component.indices.compactMap { mention(of: word, in: component, at: $0) }
}

/// Matches `word[_-]?\d+` at `start`. Numbers beyond `Int` do not match.
private func mention(of word: StaticString, in bytes: [UInt8], at start: Int) -> Mention? {
  let end = start + word.utf8CodeUnitCount
  guard end < bytes.count,
    word.withUTF8Buffer({ bytes[start..<end].elementsEqual($0) })
  else { return nil }
  var next = end
  if bytes[next] == UInt8(ascii: "_") || bytes[next] == UInt8(ascii: "-") { next += 1 }
  let digits = bytes[next...].prefix(while: isDigit)
  guard let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
  let rest = bytes[digits.endIndex...]
  let separates = [UInt8(ascii: "."), UInt8(ascii: ",")].contains(rest.first)
  let fraction = separates ? rest.dropFirst().prefix(while: isDigit) : []
  return Mention(
    number: number, fraction: fraction.isEmpty ? nil : String(decoding: fraction, as: UTF8.self),
    end: digits.endIndex)
}
