/// A recording that was found below a data directory, with what its path says about it.
public struct RecordingDescriptor: Hashable, Sendable {
  /// The path relative to the data directory, components joined by `/`. Names the recording in
  /// splits, and orders recordings (byte-wise).
  public let path: String
  /// The path to open: the data directory as it was given, then `path`.
  public let file: String
  /// From a whole component such as `Session1`; nil where no component says it.
  public let session: Int?
  /// From the file's name, else the nearest directory above it.
  public let gesture: Int
  /// From the file's name, else the nearest directory above it; nil where none says it.
  public let subject: Int?

  public init(path: String, file: String, session: Int?, gesture: Int, subject: Int?) {
    self.path = path
    self.file = file
    self.session = session
    self.gesture = gesture
    self.subject = subject
  }
}

/// What a relative path says about a recording.
public struct RecordingLayout: Hashable, Sendable {
  /// The component nearest to the file that as a whole matches `session[_-]?0*(\d+)`.
  public let session: Int?
  /// The first `gesture[_-]?0*(\d+)` in the file's name, else in the nearest parent that has one.
  public let gesture: Int?
  /// The first `subject[_-]?0*(\d+)`, looked for in the same way.
  public let subject: Int?

  /// Reads `path` (components joined by `/`); letters match in any case.
  public init(path: String) {
    let components = path.utf8.split(separator: UInt8(ascii: "/")).reversed().map {
      Array($0.map(lowercased))
    }
    session = components.lazy.compactMap { wholeNumber(after: "session", in: $0) }.first
    gesture = components.lazy.compactMap { number(after: "gesture", in: $0) }.first
    subject = components.lazy.compactMap { number(after: "subject", in: $0) }.first
  }
}

private func lowercased(_ byte: UInt8) -> UInt8 {
  byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte + 32 : byte
}

/// The number of `^word[_-]?0*(\d+)$`, or nil.
private func wholeNumber(after word: StaticString, in component: [UInt8]) -> Int? {
  guard let match = match(word, in: component, at: 0), match.end == component.count else {
    return nil
  }
  return match.number
}

/// The number of the first `word[_-]?0*(\d+)`, or nil.
private func number(after word: StaticString, in component: [UInt8]) -> Int? {
  for start in component.indices {
    if let match = match(word, in: component, at: start) { return match.number }
  }
  return nil
}

/// Matches `word[_-]?\d+` at `start`. Numbers beyond `Int` do not match.
private func match(_ word: StaticString, in bytes: [UInt8], at start: Int) -> (
  number: Int, end: Int
)? {
  let end = start + word.utf8CodeUnitCount
  guard end < bytes.count,
    word.withUTF8Buffer({ bytes[start..<end].elementsEqual($0) })
  else { return nil }
  var next = end
  if bytes[next] == UInt8(ascii: "_") || bytes[next] == UInt8(ascii: "-") { next += 1 }
  let digits = bytes[next...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
  guard let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
  return (number, digits.endIndex)
}
