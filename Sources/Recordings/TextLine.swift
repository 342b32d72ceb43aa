import Foundation

/// One line of a file, taken apart at leisure: for the first line, and to say what is wrong with
/// another. The fast path never makes one.
struct TextLine {
  /// Where the line begins.
  let start: UnsafePointer<UInt8>
  /// The line without its end.
  let bytes: UnsafeBufferPointer<UInt8>
  /// From 1.
  let number: Int
  /// Whether a line feed follows.
  let isEnded: Bool
  /// Where the next line begins.
  let next: UnsafePointer<UInt8>

  init(at start: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, number: Int) {
    let feed = memchr(start, 0x0A, end - start)?.assumingMemoryBound(to: UInt8.self)
    var stop = feed.map { UnsafePointer($0) } ?? end
    isEnded = feed != nil
    next = isEnded ? stop + 1 : end
    if stop > start, stop[-1] == UInt8(ascii: "\r") { stop -= 1 }
    bytes = UnsafeBufferPointer(start: start, count: stop - start)
    self.start = start
    self.number = number
  }

  var isBlank: Bool { bytes.allSatisfy { $0 == UInt8(ascii: " ") } }

  /// The cells between commas, spaces around them taken off.
  var cells: [Cell] {
    bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
      Cell(bytes: Array($0))
    }
  }

  /// What separates columns where commas do not: a sign that is there more than once or beside
  /// numbers, or spaces between numbers.
  var otherDelimiter: String? {
    let signs: [(Unicode.Scalar, String)] = [
      (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"),
    ]
    for (sign, name) in signs {
      let pieces = pieces(between: sign)
      if pieces.count > 2 || pieces.count == 2 && pieces.contains(where: { $0.isNumber }) {
        return name
      }
    }
    let words = pieces(between: " ").filter { !$0.isEmpty }
    // As many words as a table has columns, or numbers among them: no sentence.
    let isOfNumbers = 2 * words.count(where: { $0.isNumber }) >= words.count || words.count >= 8
    return !bytes.contains(UInt8(ascii: ",")) && words.count > 1 && isOfNumbers ? "spaces" : nil
  }

  private func pieces(between sign: Unicode.Scalar) -> [Cell] {
    bytes.split(separator: UInt8(ascii: sign), omittingEmptySubsequences: false).map {
      Cell(bytes: Array($0))
    }
  }

  /// Whether it is words, or Excel's `sep=,`: no table's row, whatever separates its columns.
  var isText: Bool {
    guard String(validating: bytes, as: UTF8.self) != nil, otherDelimiter == nil else {
      return false
    }
    return bytes.starts(with: "sep=".utf8) || cells.count == 1 && cells[0].isName
  }

  /// Whether it is a number with a decimal comma in quotation marks that begins here; its column, from 0.
  var halfQuoted: Int? {
    let cells = cells
    return cells.indices.dropLast().first { index in
      cells[index].bytes.first == UInt8(ascii: "\"")
        && cells[index + 1].bytes.last == UInt8(ascii: "\"")
        && cells[index].unquoted.allSatisfy { "+-0123456789".contains($0) }
    }
  }

  /// In quotation marks, shortened.
  var quoted: String { Cell(bytes: Array(bytes)).quoted }

  /// The first byte that no text holds: a control character other than tab and carriage return.
  var controlByte: UInt8? {
    bytes.first { ($0 < 0x20 && $0 != 0x09 && $0 != 0x0D) || $0 == 0x7F }
  }

  var hasCarriageReturn: Bool { bytes.contains(UInt8(ascii: "\r")) }
}

/// What stands between two commas.
struct Cell {
  let bytes: [UInt8]

  /// `bytes` may be surrounded by spaces.
  init(bytes: [UInt8]) {
    let space = UInt8(ascii: " ")
    let front = bytes.drop { $0 == space }
    self.bytes = Array(front.reversed().drop { $0 == space }.reversed())
  }

  var isEmpty: Bool { bytes.isEmpty }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// In quotation marks, shortened, without anything that would upset a terminal.
  var quoted: String {
    let shown = text.unicodeScalars.prefix(24).map { scalar in
      scalar.properties.generalCategory == .control ? "\u{FFFD}" : String(scalar)
    }
    return "\"" + shown.joined() + (text.unicodeScalars.count > 24 ? "…" : "") + "\""
  }

  /// Without quotation marks at its ends.
  var unquoted: String {
    String(text.drop { $0 == "\"" }.reversed().drop { $0 == "\"" }.reversed())
  }

  /// Whether it is a number in quotation marks.
  var isQuotedNumber: Bool {
    guard bytes.count > 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"")
    else {
      return false
    }
    return Cell(bytes: Array(bytes.dropFirst().dropLast())).isNumber
  }

  /// Whether the cell is a decimal number, finite or too large to be so.
  var isNumber: Bool { isDecimal && Double(text) != nil }

  /// Whether the cell says NaN or infinity, or is a number too large.
  var isNotFinite: Bool {
    if isNumber, let value = Double(text) { return !value.isFinite }
    let word = text.lowercased().drop { $0 == "-" || $0 == "+" }
    return ["nan", "inf", "infinity", "#n/a", "n/a", "na", "null"].contains(String(word))
      || word.hasPrefix("nan(") || word.hasPrefix("1.#")
  }

  /// Whether the cell names a column: it is something that is neither a number nor meant as one.
  var isName: Bool {
    guard let first = bytes.first, !isNotFinite else { return false }
    let startsLikeNumber =
      (first >= UInt8(ascii: "0") && first <= UInt8(ascii: "9"))
      || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(first)
    return !startsLikeNumber
  }

  /// Digits, signs, points and exponents only: `Double(_: String)` takes hexadecimal as well.
  private var isDecimal: Bool {
    !bytes.isEmpty
      && bytes.allSatisfy { byte in
        (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
          || [
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"),
          ].contains(byte)
      }
  }

  /// The digits of a whole number, and whether a minus stands before them; nil for anything else.
  var signedDigits: (isSigned: Bool, digits: ArraySlice<UInt8>)? {
    let isSigned = bytes.first == UInt8(ascii: "-")
    let digits = bytes.dropFirst(isSigned ? 1 : 0)
    let isWhole =
      !digits.isEmpty
      && digits.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    return isWhole ? (isSigned, digits) : nil
  }

  /// How many digits follow the point of a plain decimal number; nil for anything else.
  var decimals: Int? {
    guard isNumber, !bytes.contains(where: { $0 | 0x20 == UInt8(ascii: "e") }) else { return nil }
    guard let point = bytes.firstIndex(of: UInt8(ascii: ".")) else { return 0 }
    return bytes.count - point - 1
  }
}
