import Foundation

extension RecordingReader {
  /// How many bytes of a file are in memory at once where it is read in pieces.
  public static let usualPiece = 4 << 20

  /// Reads the recording at `file` as ``read(_:)`` does and finds the same faults, but hands its rows
  /// on piece by piece, so that neither its text nor its samples are ever in memory as a whole.
  ///
  /// - Parameters:
  ///   - piece: bytes of text at once; never fewer than the longest line has.
  ///   - expect: told about how many rows will come, before the first ones.
  ///   - take: given the rows `[rows, channels]` that come next, in memory that is used again.
  /// - Throws: what is wrong with the file, by the first thing found, and what `take` throws.
  public func read(
    _ file: String, piece: Int = usualPiece, expect: (Int) -> Void = { _ in },
    take: (UnsafeBufferPointer<Double>) throws -> Void
  ) throws -> RecordingOutline {
    let piece = max(piece, FileText.longestLine + 1)
    try text.readFirst(piece, of: file)
    guard !text.isAtEnd else {
      let recording = try scanner(of: file).scan()
      expect(recording.sampleCount)
      try recording.samples.withUnsafeBufferPointer(take)
      return recording.outline
    }
    var scan = PieceScan(file: file, piece: piece, reader: self)
    return try scan.run(expect: expect, take: take)
  }

  /// How many bytes of the file that is read, or was read last, have been read so far.
  public var bytesRead: Int { text.total }

  func scanner(of file: String, end: UnsafePointer<UInt8>? = nil) -> RecordingScanner {
    RecordingScanner(text, file: file, options: options, decimals: decimals, end: end)
  }
}

/// One reading of a file that is longer than a piece.
private struct PieceScan {
  let file: String
  let piece: Int
  let reader: RecordingReader
  private var rows = 0
  private var bytes = 0
  /// The number of the line that the piece in memory begins with.
  private var line = 1
  /// What the file says of its rate, by the rows that were read so far.
  private var said: (times: RecordingOutline.Clock?, rate: RecordingOutline.StatedRate?)

  init(file: String, piece: Int, reader: RecordingReader) {
    (self.file, self.piece, self.reader) = (file, piece, reader)
  }

  private var text: FileText { reader.text }

  mutating func run(
    expect: (Int) -> Void, take: (UnsafeBufferPointer<Double>) throws -> Void
  ) throws -> RecordingOutline {
    let table = try firstLine()
    let scanner = reader.scanner(of: file)
    let channels = reader.options.channels.count
    let slots = scanner.slots(of: table)
    let clockColumns = scanner.clockColumns(of: table)
    let firstRow = Array(TextLine(at: table.firstRow, end: scanner.end, number: 1).bytes) + [0]
    let room = (scanner.mostRows(in: max(piece, text.count), of: table) + 1) * channels
    let samples = UnsafeMutablePointer<Double>.allocate(capacity: room)
    defer { samples.deallocate() }
    let usualDecimals = TextLine(at: table.firstRow, end: scanner.end, number: 1).cells.last?
      .decimals
    var next = table.firstRow
    line = table.firstRowLine
    while true {
      let first = next
      let scanner = reader.scanner(of: file, end: endOfLines(from: first))
      let (count, last) = scanner.scanLines(&next, slots: slots, into: samples)
      if rows == 0, count > 0 { expect(expectation(rows: count, bytes: next - first)) }
      rows += count
      line += count
      try take(UnsafeBufferPointer(start: samples, count: count * channels))
      if count > 0 {
        said = firstRow.withUnsafeBufferPointer { row in
          guard let start = row.baseAddress else { return (nil, nil) }
          return scanner.clock(
            clockColumns, first: TextLine(at: start, end: start + row.count - 1, number: 1),
            last: TextLine(at: last, end: scanner.end, number: 1))
        }
      }
      if next == scanner.end, text.isAtEnd {
        bytes = text.total
        try checkLastRow(at: last, rows: count, in: scanner, table, usual: usualDecimals)
        break
      }
      if next < scanner.end, TextLine(at: next, end: scanner.end, number: line).isBlank {
        try checkBlank(from: next)
        bytes = text.total
        break
      }
      // A line that cannot be read, or that has no end: judged with what follows it in memory.
      guard next > text.start || count > 0 else {
        throw reader.scanner(of: file).diagnose(at: next, number: line, table: table)
      }
      if text.isAtEnd { throw scanner.diagnose(at: next, number: line, table: table) }
      try advance(to: &next)
    }
    return try outline(table)
  }

  /// Of what is in memory; of the whole file where that begins with more comments than a piece.
  private func firstLine() throws(RecordingError) -> RecordingScanner.Table {
    let scanner = reader.scanner(of: file)
    do throws(RecordingError) {
      return try scanner.readFirstLine(at: try scanner.checkEncoding())
    } catch {
      guard case .noRows = error, !text.isAtEnd else { throw error }
    }
    try text.advance(keepingFrom: text.start, limit: .max)
    let whole = reader.scanner(of: file)
    return try whole.readFirstLine(at: try whole.checkEncoding())
  }

  private func outline(
    _ table: RecordingScanner.Table
  ) throws(RecordingError) -> RecordingOutline {
    guard rows > 0 else { throw .noRows(file: file) }
    guard rows >= reader.options.minimumSamples else {
      throw .tooShort(file: file, samples: rows, minimum: reader.options.minimumSamples)
    }
    return RecordingOutline(
      sampleCount: rows, channelCount: reader.options.channels.count,
      columnCount: table.columnCount, columnNames: table.names, firstRowLine: table.firstRowLine,
      clock: said.times, statedRate: said.rate ?? table.statedRate, byteCount: bytes)
  }

  /// Behind the last line that ends in memory; the end of all where that is there.
  private func endOfLines(from first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
    var end = text.start + text.count
    guard !text.isAtEnd else { return end }
    while end > first, end[-1] != 0x0A { end -= 1 }
    return end
  }

  /// A quarter more than the first piece lets expect: its rows may be longer than the others.
  private func expectation(rows: Int, bytes: Int) -> Int {
    Int(1.25 * Double(rows) * Double(text.size) / Double(max(1, bytes))) + 64
  }

  /// Reads on, with the line at `next` as the first.
  private func advance(to next: inout UnsafePointer<UInt8>) throws(RecordingError) {
    try text.advance(keepingFrom: next, limit: piece)
    next = text.start
    try checkNul(line: line)
  }

  private func checkNul(line: Int) throws(RecordingError) {
    let start = text.start
    guard let zero = memchr(start, 0, text.count)?.assumingMemoryBound(to: UInt8.self) else {
      return
    }
    let feeds = reader.scanner(of: file).countLineFeeds(from: start, to: zero)
    throw .nulByte(file: file, line: line + feeds)
  }

  /// - Throws: where the blank line at `place` is followed by one that is not.
  private mutating func checkBlank(from place: UnsafePointer<UInt8>) throws(RecordingError) {
    let (blank, first) = (line, place)
    var place = first
    while true {
      let end = text.start + text.count
      let rest = UnsafeBufferPointer(start: place, count: end - place)
      guard rest.allSatisfy({ $0 == 0x0A || $0 == 0x0D || $0 == 0x20 }) else {
        throw .blankLine(file: file, line: blank)
      }
      guard !text.isAtEnd else { return }
      line += reader.scanner(of: file).countLineFeeds(from: place, to: end)
      place = end
      try advance(to: &place)
    }
  }

  /// Finds a last number that was cut; see ``RecordingScanner/checkLastRow(at:row:table:)``.
  private func checkLastRow(
    at last: UnsafePointer<UInt8>, rows count: Int, in scanner: RecordingScanner,
    _ table: RecordingScanner.Table, usual: Int?
  ) throws(RecordingError) {
    guard count > 0, rows > RecordingScanner.fewestToTellACut, let usual else { return }
    let line = TextLine(at: last, end: scanner.end, number: line - 1)
    let close = scanner.end[-1]
    guard !line.isEnded, close != 0x0D, close != 0x20, let cell = line.cells.last,
      let found = cell.decimals, found < usual
    else { return }
    // The others are not in memory any more.
    guard try haveDecimals(usual, from: table, below: line.number) else { return }
    throw .cutMidLine(
      file: file, line: line.number, found: "\(cell.quoted) in column \(table.columnCount)",
      expected: table.columnCount)
  }

  /// Whether the last number of each row above `end` has so many decimals.
  private func haveDecimals(
    _ usual: Int, from table: RecordingScanner.Table, below end: Int
  ) throws(RecordingError) -> Bool {
    try text.readFirst(piece, of: file)
    let scanner = reader.scanner(of: file)
    var next = try scanner.readFirstLine(at: try scanner.checkEncoding()).firstRow
    var number = table.firstRowLine
    while number < end {
      let stop = endOfLines(from: next)
      guard next < stop else { return false }
      while next < stop, number < end {
        let line = TextLine(at: next, end: stop, number: number)
        guard line.cells.last?.decimals == usual else { return false }
        next = line.next
        number += 1
      }
      if number < end { try advance(to: &next) }
    }
    return true
  }
}
