import Foundation

/// What is wrong with a split file. `line` counts from 1.
public enum SplitFileError: Error, Equatable, Sendable {
  case missingFile(file: String)
  case unreadable(file: String, reason: String)
  case readFailed(file: String, reason: String)
  case tooLarge(file: String, limit: Int)
  case notUTF8(file: String)
  case header(file: String, found: String)
  case fields(file: String, line: Int, found: Int)
  case content(file: String, line: Int, found: String)
  case mark(file: String, line: Int, found: String)
  case quoting(file: String, line: Int)
  case unknownPart(file: String, line: Int, found: String)
  case unknownRecording(file: String, line: Int, found: String)
  case duplicate(file: String, line: Int, recording: String, firstLine: Int)
  case missing(file: String, recording: String)

  public var kind: FaultKind {
    switch self {
    case .missingFile, .unreadable: .unreadable
    case .readFailed: .readFailed
    default: .badContent
    }
  }
}

extension SplitFileError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .missingFile(let file):
      "\(file): no such file, expected a split such as `semg-train split` writes"
    case .unreadable(let file, let reason):
      "\(file): cannot be read: \(reason); expected a split such as `semg-train split` writes"
    case .readFailed(let file, let reason):
      "\(file): reading failed midway: \(reason)"
    case .tooLarge(let file, let limit):
      "\(file): found more than \(limit) bytes, expected a split, with a line per recording"
    case .notUTF8(let file):
      "\(file): found bytes that are not UTF-8, expected a CSV file in UTF-8"
    case .header(let file, let found):
      "\(file):1: found \"\(found)\", expected the header \"recording,part\""
    case .fields(let file, let line, let found):
      "\(file):\(line): found \(found) \(found == 1 ? "field" : "fields"), expected a recording's "
        + "path and its part"
    case .content(let file, let line, let found):
      "\(file):\(line): found the content \"\(found)\", expected 32 hexadecimal digits or nothing, "
        + "as a training writes it"
    case .mark(let file, let line, let found):
      "\(file):\(line): found the shape \"\(found.prefix(24))\", expected letters, digits, - and _ or "
        + "nothing, as a training writes it"
    case .quoting(let file, let line):
      "\(file):\(line): found a quotation mark that is not closed or stands inside a field, "
        + "expected fields like \"a,b\", with marks inside doubled"
    case .unknownPart(let file, let line, let found):
      "\(file):\(line): found the part \"\(found)\", expected train, validation or test"
    case .unknownRecording(let file, let line, let found):
      "\(file):\(line): found the recording \"\(found)\", which is not in the data directory; "
        + "expected a path relative to it"
    case .duplicate(let file, let line, let recording, let firstLine):
      "\(file):\(line): found \(recording) again, expected it once (it is in line \(firstLine))"
    case .missing(let file, let recording):
      "\(file): found no line for \(recording), expected one for each recording in the "
        + "data directory"
    }
  }
}

/// All that is wrong with a split file.
public struct SplitFileProblems: Error, Equatable, Sendable, CustomStringConvertible {
  public let problems: [SplitFileError]

  public var kind: FaultKind {
    let kinds = Set(problems.map(\.kind))
    return kinds.count == 1 ? kinds.first ?? .badContent : .badContent
  }

  /// A sentence a line.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// By what a recording is known again, whatever it is called.
public struct RecordingContent: Equatable, Sendable {
  /// Of its samples, bit for bit.
  public let fingerprint: Fingerprint
  /// Of its signal, for one that was rounded, cut or scaled; nil where that is not known. Letters,
  /// digits, `-` and `_`.
  public let mark: String?

  public init(fingerprint: Fingerprint, mark: String?) {
    (self.fingerprint, self.mark) = (fingerprint, mark)
  }
}

extension Split {
  /// The split as CSV: the header `recording,part`, then a line for each recording that is in a
  /// part, in the recordings' order.
  ///
  /// - Parameter contents: what is in the recordings, by their paths, for the columns `content` and
  ///   `shape`: by them a recording is known again under another name.
  public func csv(
    of recordings: [RecordingDescriptor], contents: [String: RecordingContent]? = nil
  ) -> String {
    var text = contents == nil ? "recording,part\n" : "recording,part,content,shape\n"
    for (recording, part) in zip(recordings, parts) {
      guard let part else { continue }
      text += quotedField(recording.path) + "," + part.rawValue
      if let contents {
        let content = contents[recording.path]
        text += ",\(content?.fingerprint.hexadecimal ?? ""),\(content?.mark ?? "")"
      }
      text += "\n"
    }
    return text
  }

  /// Reads the split of `recordings` from a CSV file such as `csv(of:)` makes; lines in any order.
  ///
  /// - Throws: `SplitFileProblems` with all that is wrong with the file: each recording must be
  ///   named in it once, and nothing else. Whether each part has each gesture is not asked here; see
  ///   ``problems(with:)``.
  public init(
    contentsOf file: String, for recordings: [RecordingDescriptor]
  ) throws(SplitFileProblems) {
    self = try SplitFile(file).split(of: recordings)
  }
}

/// A split file that was read: a part for each recording that it names. Read once, from a pipe too.
public struct SplitFile: Sendable {
  /// Its path, for messages.
  public let file: String
  private let rows: [SplitFileParser.Row]
  /// Whether it says what is in the recordings, too.
  public var hasContents: Bool { contentColumns > 0 }
  /// How many columns say so.
  private let contentColumns: Int

  /// A line per recording: far beyond any set.
  static let largestFile = 1 << 28

  /// - Throws: `SplitFileProblems` where it cannot be read, or is not such a file.
  public init(_ file: String) throws(SplitFileProblems) {
    do throws(SplitFileError) {
      self.file = file
      let table = try SplitFileParser(file: file, bytes: try Self.bytes(of: file)).rows()
      (rows, contentColumns) = (table.rows, table.contentColumns)
    } catch {
      throw SplitFileProblems(problems: [error])
    }
  }

  /// How many recordings it names.
  public var recordingCount: Int { rows.count }

  /// How many recordings it puts into each part.
  ///
  /// - Throws: `SplitFileProblems` for lines that name no part.
  public var recordingCounts: [Part: Int] {
    get throws(SplitFileProblems) {
      var counts: [Part: Int] = [:]
      var problems: [SplitFileError] = []
      for row in rows {
        if row.fields.count != columnCount {
          problems.append(.fields(file: file, line: row.line, found: row.fields.count))
        } else if let part = Part(rawValue: row.fields[1]) {
          counts[part, default: 0] += 1
        } else {
          problems.append(.unknownPart(file: file, line: row.line, found: row.fields[1]))
        }
      }
      guard problems.isEmpty else { throw SplitFileProblems(problems: problems) }
      return counts
    }
  }

  private var columnCount: Int { 2 + contentColumns }

  /// A recording that the file names.
  public struct Entry: Sendable, Equatable {
    public let path: String
    public let part: Part
    /// Of its samples; nil where the file does not say.
    public let content: Fingerprint?
    /// Of its signal, see ``RecordingContent/mark``; nil where the file does not say.
    public let mark: String?
  }

  /// All recordings that it names.
  ///
  /// - Throws: `SplitFileProblems` for lines that name no part, or no content where they should.
  public var entries: [Entry] {
    get throws(SplitFileProblems) {
      _ = try recordingCounts
      var problems: [SplitFileError] = []
      var entries: [Entry] = []
      for row in rows {
        let content = contentColumns > 0 ? row.fields[2] : ""
        let mark = contentColumns > 1 ? row.fields[3] : ""
        let fingerprint = Fingerprint(hexadecimal: content)
        guard content.isEmpty || fingerprint != nil else {
          problems.append(.content(file: file, line: row.line, found: content))
          continue
        }
        guard mark.utf8.allSatisfy(Self.isOfAMark) else {
          problems.append(.mark(file: file, line: row.line, found: mark))
          continue
        }
        guard let part = Part(rawValue: row.fields[1]) else { continue }
        entries.append(
          Entry(
            path: row.fields[0], part: part, content: fingerprint, mark: mark.isEmpty ? nil : mark))
      }
      guard problems.isEmpty else { throw SplitFileProblems(problems: problems) }
      return entries
    }
  }

  private static func isOfAMark(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// The part of each of `recordings`.
  ///
  /// - Parameters:
  ///   - toleratesOthers: recordings that the file does not name are in no part, and names of
  ///     recordings that are not there count for nothing: for a split that an earlier run saved.
  ///   - isUnusable: whether a recording that is not among `recordings` was found nevertheless, by
  ///     its path relative to the data directory, and left out as a bad one.
  /// - Throws: as ``Split/init(contentsOf:for:)``.
  public func split(
    of recordings: [RecordingDescriptor], toleratesOthers: Bool = false,
    isUnusable: (String) -> Bool = { _ in false }
  ) throws(SplitFileProblems) -> Split {
    var (parts, problems) = assign(to: recordings)
    problems.removeAll {
      switch $0 {
      case .unknownRecording(_, _, let path): toleratesOthers || isUnusable(path)
      case .missing: toleratesOthers
      default: false
      }
    }
    guard problems.isEmpty else { throw SplitFileProblems(problems: problems) }
    return Split(parts: parts)
  }

  /// All of the file, in the order it comes: a pipe has no size and cannot be read twice.
  private static func bytes(of file: String) throws(SplitFileError) -> [UInt8] {
    let descriptor = open(file, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT || errno == ENOTDIR
        ? .missingFile(file: file) : .unreadable(file: file, reason: reasonOfLastFailure())
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Foundation.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EISDIR { throw .unreadable(file: file, reason: "it is a directory") }
      if count < 0 { throw .readFailed(file: file, reason: reasonOfLastFailure()) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      if bytes.count > largestFile { throw .tooLarge(file: file, limit: largestFile) }
    }
  }

  /// Puts each row's recording into its part, and lists what does not fit.
  private func assign(to recordings: [RecordingDescriptor]) -> ([Part?], [SplitFileError]) {
    let positions = Dictionary(
      recordings.enumerated().map { ($1.path, $0) }, uniquingKeysWith: { first, _ in first })
    var parts = [Part?](repeating: nil, count: recordings.count)
    var firstLines: [String: Int] = [:]
    var problems: [SplitFileError] = []
    for row in rows {
      guard row.fields.count == columnCount else {
        problems.append(.fields(file: file, line: row.line, found: row.fields.count))
        continue
      }
      let path = row.fields[0]
      guard let position = positions[path] else {
        problems.append(.unknownRecording(file: file, line: row.line, found: path))
        continue
      }
      if let firstLine = firstLines[path] {
        problems.append(
          .duplicate(file: file, line: row.line, recording: path, firstLine: firstLine))
        continue
      }
      firstLines[path] = row.line
      guard let part = Part(rawValue: row.fields[1]) else {
        problems.append(.unknownPart(file: file, line: row.line, found: row.fields[1]))
        continue
      }
      parts[position] = part
    }
    for recording in recordings where firstLines[recording.path] == nil {
      problems.append(.missing(file: file, recording: recording.path))
    }
    return (parts, problems)
  }
}

/// A CSV field: in quotation marks where it needs them.
private func quotedField(_ text: String) -> String {
  let special: Set<UInt8> = [
    UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r"),
  ]
  let isEdged = text.hasPrefix(" ") || text.hasSuffix(" ")
  guard isEdged || text.utf8.contains(where: special.contains) else { return text }
  return "\"" + text.replacing("\"", with: "\"\"") + "\""
}

/// CSV with quoting (RFC 4180), LF or CRLF, a byte-order mark or none.
private struct SplitFileParser {
  struct Row {
    var fields: [String]
    var line: Int
  }

  let file: String
  let bytes: [UInt8]

  /// The rows below the header, blank lines left out; and how many columns say the content.
  func rows() throws(SplitFileError) -> (rows: [Row], contentColumns: Int) {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw .notUTF8(file: file) }
    var rows: [Row] = []
    var next = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    var line = 1
    while next < bytes.count {
      let row = try readRow(&next, line: &line)
      if row.fields != [""] { rows.append(row) }
    }
    let header = rows.first?.fields ?? []
    let names = ["recording", "part", "content", "shape"]
    guard header.count >= 2, header == Array(names.prefix(header.count)) else {
      throw .header(file: file, found: header.joined(separator: ","))
    }
    return (Array(rows.dropFirst()), header.count - 2)
  }

  private func readRow(_ next: inout Int, line: inout Int) throws(SplitFileError) -> Row {
    var row = Row(fields: [], line: line)
    while true {
      row.fields.append(try readField(&next, line: &line))
      guard next < bytes.count else { return row }
      let delimiter = bytes[next]
      next += 1
      if delimiter == UInt8(ascii: ",") { continue }
      if delimiter == 0x0D { next += 1 }
      line += 1
      return row
    }
  }

  /// Reads up to a comma, a line end or the end of the file, and stays before it.
  private func readField(_ next: inout Int, line: inout Int) throws(SplitFileError) -> String {
    let mark = UInt8(ascii: "\"")
    guard next < bytes.count, bytes[next] == mark else {
      let start = next
      while !isFieldEnd(next) { next += 1 }
      guard !bytes[start..<next].contains(mark) else { throw .quoting(file: file, line: line) }
      return String(decoding: bytes[start..<next], as: UTF8.self)
    }
    let firstLine = line
    var field: [UInt8] = []
    next += 1
    while next < bytes.count {
      let byte = bytes[next]
      next += 1
      if byte == mark {
        if next < bytes.count, bytes[next] == mark {
          next += 1
        } else {
          guard isFieldEnd(next) else { throw .quoting(file: file, line: firstLine) }
          return String(decoding: field, as: UTF8.self)
        }
      }
      if byte == 0x0A { line += 1 }
      field.append(byte)
    }
    throw .quoting(file: file, line: firstLine)
  }

  private func isFieldEnd(_ index: Int) -> Bool {
    guard index < bytes.count else { return true }
    switch bytes[index] {
    case UInt8(ascii: ","), 0x0A: return true
    case 0x0D: return index + 1 < bytes.count && bytes[index + 1] == 0x0A
    default: return false
    }
  }
}
