import Foundation
import Recordings
import TestSupport
import Testing

/// Each kind of bad data, and what is said about it.
@Suite struct BadTextTests {
  private let scratch: ScratchDirectory

  init() throws { scratch = try ScratchDirectory() }

  private static let header = "a,b,c,d,e,f,g,h\n"
  private static let row = "1,2,3,4,5,6,7,8\n"

  /// The error for a file of these bytes.
  private func error(
    _ bytes: some Sequence<UInt8>, channels: String = "1-8", minimumSamples: Int = 1
  ) throws -> RecordingError? {
    let file = try scratch.write(bytes, to: "x.csv")
    let options = ReadOptions(
      channels: try #require(ChannelSelection(channels)), minimumSamples: minimumSamples)
    do {
      _ = try RecordingReader(options: options).read(file)
      return nil
    } catch {
      #expect(error.description.contains(file), "\(error.description)")
      #expect(error.file == file)
      return error
    }
  }

  private func error(_ text: String) throws -> RecordingError? { try error(text.utf8) }

  private var file: String { scratch.path + "/x.csv" }

  @Test func emptyFile() throws {
    #expect(try error("") == .emptyFile(file: file))
    #expect(try error("\u{FEFF}") == .emptyFile(file: file))
  }

  @Test func noRows() throws {
    #expect(try error("\n\r\n  \n") == .noRows(file: file))
    #expect(try error(Self.header) == .noRows(file: file))
    #expect(try error(Self.header + "\n\n") == .noRows(file: file))
    #expect(try error("a,b,c,d,e,f,g,h") == .noRows(file: file))
  }

  @Test func raggedRows() throws {
    #expect(
      try error(Self.header + Self.row + "1,2,3,4,5,6,7\n" + Self.row)
        == .raggedRow(file: file, line: 3, found: 7, expected: 8))
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7,8,9\n" + Self.row)
        == .raggedRow(file: file, line: 2, found: 9, expected: 8))
    #expect(
      try error(Self.header + "1,2,3,4,5,6,7,8,9\n")
        == .raggedRow(file: file, line: 2, found: 9, expected: 8))
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7,8,9")
        == .raggedRow(file: file, line: 2, found: 9, expected: 8))
  }

  @Test func missingColumn() throws {
    #expect(
      try error("1,2,3,4,5,6,7\n")
        == .missingColumn(file: file, line: 1, found: 7, expected: 8))
    #expect(
      try error("a,b\n1,2\n".utf8, channels: "3")
        == .missingColumn(file: file, line: 1, found: 2, expected: 3))
  }

  @Test(arguments: ["abc", "0x10", "1.2.3", "1-2", "12abc", "1e", "-", "\"a\"", "1 2", "٣"])
  func textWhereANumberBelongs(cell: String) throws {
    #expect(
      try error(Self.header + Self.row + "1,2,\(cell),4,5,6,7,8\n" + Self.row)
        == .notANumber(file: file, line: 3, column: 3, found: "\"\(cell)\""))
  }

  @Test func numbersInQuotationMarks() throws {
    #expect(
      try error(Self.header + "1,2,\"0.5\",4,5,6,7,8\n")
        == .quotedNumber(file: file, line: 2, column: 3, found: "0.5"))
    #expect(
      try error(Self.header + "1,2,\"0,5\",4,5,6,7,8\n")
        == .quotedNumber(file: file, line: 2, column: 3, found: "0"))
  }

  @Test(arguments: ["# end", "END OF RECORDING", "Delsys Trigno v1", "; comment", "// comment"])
  func linesOfTextAreNoTable(text: String) throws {
    let found = RecordingError.textLine(file: file, line: 3, found: "\"\(text)\"")
    #expect(try error(Self.header + Self.row + text + "\n") == found)
    guard !text.hasPrefix("#") else { return }
    #expect(
      try error(text + "\n" + Self.row)
        == .textLine(file: file, line: 1, found: "\"\(text)\""))
    #expect(try error("sep=,\n" + Self.row) == .textLine(file: file, line: 1, found: "\"sep=,\""))
  }

  @Test func linesThatEndWithACarriageReturnAlone() throws {
    let long = String(repeating: Self.row.dropLast() + "\r", count: 5000)
    #expect(try error(long) == .loneCarriageReturn(file: file, line: 1))
  }

  @Test(arguments: [
    "nan", "NaN", "-nan", "inf", "-Inf", "infinity", "+Infinity", "1e999", "-1e400", "NA",
    "1.#QNAN",
  ])
  func notFiniteNumbers(cell: String) throws {
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7,\(cell)\n")
        == .notFinite(file: file, line: 2, column: 8, found: "\"\(cell)\""))
    // In the first line too: a line of them is not a header.
    let line = Array(repeating: cell, count: 8).joined(separator: ",") + "\n"
    #expect(
      try error(line + Self.row)
        == .notFinite(file: file, line: 1, column: 1, found: "\"\(cell)\""))
  }

  @Test func emptyCell() throws {
    #expect(
      try error(Self.row + "1,,3,4,5,6,7,8\n") == .emptyCell(file: file, line: 2, column: 2))
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7,\n") == .emptyCell(file: file, line: 2, column: 8))
    #expect(
      try error(Self.row + "1,2,3,  ,5,6,7,8\n") == .emptyCell(file: file, line: 2, column: 4))
    // The first column may have no name, as pandas' index; what is made of it is not the reader's.
    #expect(try error(",a,b,c,d,e,f,g,h\n0," + Self.row) == nil)
    #expect(
      try error("a,,b,c,d,e,f,g\n" + Self.row) == .emptyCell(file: file, line: 1, column: 2))
    #expect(try error((",a,b,c,d,e,f,g,h\n0," + Self.row).utf8, channels: "2-9") == nil)
  }

  @Test func fileCutMidLine() throws {
    let cut = { (found: String) in
      RecordingError.cutMidLine(file: file, line: 3, found: found, expected: 8)
    }
    #expect(try error(Self.header + Self.row + "1,2,3,4,5") == cut("5 columns"))
    #expect(try error(Self.header + Self.row + "1") == cut("1 column"))
    #expect(
      try error(Self.header + Self.row + "1,2,3,4,5,6,7,") == cut("an empty cell in column 8"))
    #expect(try error(Self.header + Self.row + "1,2,3,4,5,6,7,-") == cut("\"-\" in column 8"))
    #expect(try error(Self.header + Self.row + "1,2,3,4,5,6,7,1e") == cut("\"1e\" in column 8"))
  }

  /// Cut at each byte of its last line, a file of fixed decimals is seen to be cut.
  @Test func fileCutAnywhereInItsLastLine() throws {
    let line = "0.125000,-0.250000,0.375000,0.500000,0.625000,0.750000,0.875000,-1.125000"
    let above = String(repeating: line + "\r\n", count: 100)
    #expect(try error(above + line) == nil)
    for length in 1..<line.utf8.count {
      guard case .cutMidLine(_, 101, _, 8) = try error(above + line.prefix(length)) else {
        Issue.record("cut after \(length) bytes: \(try error(above + line.prefix(length)) as Any)")
        continue
      }
    }
  }

  @Test func shorterLastNumberIsNoCutWhereDecimalsVary() throws {
    let varied = (0..<100).map { "1,2,3,4,5,6,7,0.\($0)\n" }.joined()
    #expect(try error(varied + "1,2,3,4,5,6,7,0") == nil)
  }

  @Test(arguments: [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"), (" ", "spaces")])
  func anotherDelimiter(sign: String, name: String) throws {
    for text in [Self.header + Self.row, Self.row] {
      #expect(
        try error(text.replacingOccurrences(of: ",", with: sign))
          == .wrongDelimiter(file: file, line: 1, found: name))
    }
  }

  @Test func decimalCommas() throws {
    let row = (1...8).map { "0,\($0)" }.joined(separator: ";") + "\n"
    #expect(try error(row) == .wrongDelimiter(file: file, line: 1, found: "semicolons"))
    let header = (1...8).map { "ch\($0)" }.joined(separator: ";") + "\n"
    #expect(try error(header + row) == .wrongDelimiter(file: file, line: 1, found: "semicolons"))
  }

  @Test func utf16() throws {
    let text = Self.header + Self.row
    for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian] {
      let bytes = try #require(text.data(using: encoding))
      #expect(try error(bytes) == .utf16(file: file))
    }
    #expect(try error([0xFF, 0xFE]) == .utf16(file: file))
  }

  @Test func nulBytes() throws {
    #expect(
      try error(Self.header + Self.row + "1,2,3,4,5,6,7,8\0\n") == .nulByte(file: file, line: 3))
    // A preallocated file whose end was never written.
    #expect(
      try error(Array((Self.row + Self.row).utf8) + [UInt8](repeating: 0, count: 4096))
        == .nulByte(file: file, line: 3))
    #expect(try error([0, 0, 0, 0]) == .nulByte(file: file, line: 1))
  }

  @Test func binaryJunk() throws {
    #expect(
      try error([0x89] + Array("PNG".utf8) + [0x0D, 0x0A, 0x1A, 0x0A])
        == .missingColumn(file: file, line: 1, found: 1, expected: 8))
    #expect(
      try error([0x1F, 0x8B, 0x08, 0x42, 0x0A]) == .binary(file: file, line: 1, byte: 0x1F))
    #expect(
      try error(Array(Self.row.utf8) + [0x31, 0x2C, 0x07, 0x0A])
        == .binary(file: file, line: 2, byte: 0x07))
    #expect(
      try error(Array(Self.row.utf8) + [0x31, 0x2C, 0xFF, 0xFE] + ",3,4,5,6,7,8\n".utf8)
        == .binary(file: file, line: 2, byte: 0xFF))
  }

  @Test func junkOfAnyKindIsAnErrorAndNoCrash() throws {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<300 {
      let count = Int.random(in: 1...3000, using: &random)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(try error(bytes) != nil)
    }
  }

  @Test func damagedFilesAreReadOrRefusedAndNeverCrash() throws {
    var random = SeededGenerator(seed: 5)
    let whole = Array(
      (Self.header + String(repeating: "0.123456,-1.5e-3,3,4,5,6,7,8\r\n", count: 5)).utf8)
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] =
          random.next() & 1 == 0
          ? UInt8.random(in: 0...255, using: &random)
          : Array("0,;-.e\r\n x".utf8).randomElement(using: &random) ?? 0
      }
      bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
      if let error = try error(bytes) { #expect(error.kind == .badContent) }
    }
  }

  @Test func lineWithoutEnd() throws {
    let endless = String(repeating: "0.5,", count: 50_000)
    #expect(try error(endless) == .lineWithoutEnd(file: file, line: 1, limit: 65_536))
    #expect(
      try error(Self.header + Self.row + endless)
        == .lineWithoutEnd(file: file, line: 3, limit: 65_536))
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7," + String(repeating: "1", count: 70_000) + "\n")
        == .lineWithoutEnd(file: file, line: 2, limit: 65_536))
  }

  @Test func carriageReturnsAlone() throws {
    #expect(
      try error("1,2,3,4,5,6,7,8\r1,2,3,4,5,6,7,8\r")
        == .loneCarriageReturn(file: file, line: 1))
    #expect(
      try error(Self.row + "1,2,3,4,5,6,7,8\r\r\n") == .loneCarriageReturn(file: file, line: 2))
  }

  @Test func blankLinesBetweenRows() throws {
    #expect(try error(Self.row + "\n" + Self.row) == .blankLine(file: file, line: 2))
    #expect(try error("\n" + Self.row) == .blankLine(file: file, line: 1))
    #expect(try error(Self.header + "\r\n" + Self.row) == .blankLine(file: file, line: 2))
  }

  @Test func firstLineThatIsNeitherHeaderNorRow() throws {
    #expect(
      try error("1,2,x,4,5,6,7,8\n" + Self.row)
        == .mixedFirstLine(file: file, line: 1, column: 3, found: "\"x\""))
    #expect(
      try error("1,2,3.4.5,4,5,6,7,8\n" + Self.row)
        == .notANumber(file: file, line: 1, column: 3, found: "\"3.4.5\""))
  }

  @Test func tooShort() throws {
    #expect(
      try error((Self.header + Self.row).utf8, minimumSamples: 204)
        == .tooShort(file: file, samples: 1, minimum: 204))
    let enough = String(repeating: Self.row, count: 204)
    #expect(try error(enough.utf8, minimumSamples: 204) == nil)
  }

  @Test func sentencesSayWhatWasFoundAndExpected() throws {
    for text in ["", "\n", Self.header, "1\n", Self.row + "1\n", Self.row + "x,2,3,4,5,6,7,8\n"] {
      let error = try #require(try error(text))
      #expect(error.description.contains("found"))
      #expect(error.description.contains("expected"))
      #expect(error.kind == .badContent)
    }
  }

  @Test func unprintableTextIsNotShownAsItIs() throws {
    let error = try error(Self.row + "1,2,\u{85}\(String(repeating: "x", count: 99)),4,5,6,7,8\n")
    let description = try #require(error).description
    #expect(!description.contains("\u{85}"))
    #expect(description.contains("…"))
  }
}
