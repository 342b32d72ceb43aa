import Foundation

/// Reads the text of one recording.
///
/// The fast path walks over the bytes once and stops at the first thing that it does not expect;
/// then `diagnose` takes that one line apart and says what is wrong with it.
struct RecordingScanner {
  let file: String
  let options: ReadOptions
  let decimals: DecimalScanner
  /// The text, and where it ends: zeros lie behind, or the next line.
  let start: UnsafePointer<UInt8>
  let end: UnsafePointer<UInt8>

  /// - Parameter end: of the part that is scanned; nil for all of the text.
  init(
    _ text: FileText, file: String, options: ReadOptions, decimals: DecimalScanner,
    end: UnsafePointer<UInt8>? = nil
  ) {
    self.file = file
    self.options = options
    self.decimals = decimals
    start = text.start
    self.end = end ?? text.start + text.count
  }

  /// What the first line says about all others.
  struct Table {
    var columnCount: Int
    var names: [String]?
    var firstRow: UnsafePointer<UInt8>
    var firstRowLine: Int
    /// What a comment above the rows says.
    var statedRate: RecordingOutline.StatedRate?
  }

  func scan() throws(RecordingError) -> Recording {
    let textStart = try checkEncoding()
    let table = try readFirstLine(at: textStart)
    let channelCount = options.channels.count
    var sampleCount = 0
    var failure: RecordingError?
    var fingerprint: Fingerprint?
    // Initialized element by element up to the rows that are there.
    let samples = [Double](
      unsafeUninitializedCapacity: mostRows(of: table) * channelCount
    ) { buffer, count in
      do throws(RecordingError) {
        guard let base = buffer.baseAddress else { return }
        sampleCount = try scanRows(of: table, into: base)
        count = sampleCount * channelCount
        fingerprint = Fingerprint(
          UnsafeBufferPointer(start: base, count: count), channelCount: channelCount)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard sampleCount > 0, let fingerprint else { throw .noRows(file: file) }
    guard sampleCount >= options.minimumSamples else {
      throw .tooShort(file: file, samples: sampleCount, minimum: options.minimumSamples)
    }
    let said = clock(
      clockColumns(of: table), first: TextLine(at: table.firstRow, end: end, number: 1),
      last: lastRow(from: table.firstRow))
    return Recording(
      samples: samples,
      outline: RecordingOutline(
        sampleCount: sampleCount, channelCount: channelCount, columnCount: table.columnCount,
        columnNames: table.names, firstRowLine: table.firstRowLine, clock: said.times,
        statedRate: said.rate ?? table.statedRate, byteCount: end - start),
      fingerprint: fingerprint)
  }

  /// No fewer than there are rows. A file of line feeds has none, however many lines there are.
  func mostRows(of table: Table) -> Int {
    let most = mostRows(in: end - table.firstRow, of: table)
    let lines = countLineFeeds(from: table.firstRow) + 1
    guard lines > most else { return lines }
    // Some are too short for a row: rows end at the first of them.
    var line = TextLine(at: table.firstRow, end: end, number: 1)
    var rows = 1
    while rows < most, line.isEnded, line.bytes.count + 1 >= shortestRow(of: table) {
      line = TextLine(at: line.next, end: end, number: 1)
      rows += 1
    }
    return rows
  }

  /// No fewer than there are rows in so many bytes of text.
  func mostRows(in bytes: Int, of table: Table) -> Int { bytes / shortestRow(of: table) + 1 }

  /// Bytes of a comma or line end behind each column, and of a digit for each channel.
  private func shortestRow(of table: Table) -> Int { table.columnCount + options.channels.count }

  /// The last line that is not blank.
  private func lastRow(from first: UnsafePointer<UInt8>) -> TextLine {
    var stop = end
    while stop > first, stop[-1] == 0x0A || stop[-1] == 0x0D || stop[-1] == 0x20 { stop -= 1 }
    var start = stop
    while start > first, start[-1] != 0x0A { start -= 1 }
    return TextLine(at: start, end: stop, number: 1)
  }

  /// Refuses what is not text, and skips a byte-order mark.
  func checkEncoding() throws(RecordingError) -> UnsafePointer<UInt8> {
    guard end > start else { throw .emptyFile(file: file) }
    let mark = (start[0], start[1], start[2])
    if mark.0 == 0xFF && mark.1 == 0xFE || mark.0 == 0xFE && mark.1 == 0xFF {
      throw .utf16(file: file)
    }
    if let zero = memchr(start, 0, end - start)?.assumingMemoryBound(to: UInt8.self) {
      if looksLikeUTF16() { throw .utf16(file: file) }
      throw .nulByte(file: file, line: countLineFeeds(from: start, to: zero) + 1)
    }
    let hasMark = mark == (0xEF, 0xBB, 0xBF)
    if hasMark && end - start == 3 { throw .emptyFile(file: file) }
    return hasMark ? start + 3 : start
  }

  /// Whether every second byte of the beginning is zero: ASCII in UTF-16 without a mark.
  private func looksLikeUTF16() -> Bool {
    let pairs = min(end - start, 64) / 2
    guard pairs >= 2 else { return false }
    let zeros = (0..<2).map { offset in
      (0..<pairs).count { start[2 * $0 + offset] == 0 }
    }
    return zeros.contains(pairs) && zeros.contains(0)
  }

  /// Reads rows until the end; returns how many. `samples` has room for every line.
  private func scanRows(of table: Table, into samples: UnsafeMutablePointer<Double>)
    throws(RecordingError) -> Int
  {
    var next = table.firstRow
    let (rows, last) = scanLines(&next, slots: slots(of: table), into: samples)
    if next < end, try !isEndOfRows(at: next, number: table.firstRowLine + rows) {
      throw diagnose(at: next, number: table.firstRowLine + rows, table: table)
    }
    if rows > 0 { try checkLastRow(at: last, row: rows, table: table) }
    return rows
  }

  /// For each column the channel that it is, or −1.
  func slots(of table: Table) -> [Int] {
    var slots = [Int](repeating: -1, count: table.columnCount)
    for (channel, column) in options.channels.columns.enumerated() { slots[column - 1] = channel }
    return slots
  }

  /// Reads rows from `next` on, until the end or a line that is blank or no row, where `next` then
  /// stands. Returns how many, and where the last one is.
  func scanLines(
    _ next: inout UnsafePointer<UInt8>, slots: [Int], into samples: UnsafeMutablePointer<Double>
  ) -> (rows: Int, last: UnsafePointer<UInt8>) {
    let channelCount = options.channels.count
    var row = 0
    var last = next
    while next < end {
      let line = next
      let first = line.pointee
      if first == 0x0A || first == 0x0D || first == 0x20,
        TextLine(at: line, end: end, number: 1).isBlank
      {
        break
      }
      let isWhole = slots.withUnsafeBufferPointer { slots in
        scanRow(&next, slots: slots, into: samples + row * channelCount)
      }
      guard isWhole else {
        next = line
        break
      }
      last = line
      row += 1
    }
    return (row, last)
  }

  /// Reads one row and its line end; false, with `next` anywhere, if the row is not as expected.
  @inline(__always)
  private func scanRow(
    _ next: inout UnsafePointer<UInt8>, slots: UnsafeBufferPointer<Int>,
    into row: UnsafeMutablePointer<Double>
  ) -> Bool {
    let line = next
    var cursor = next
    let last = slots.count - 1
    var column = 0
    while column <= last {
      let slot = slots[column]
      if slot >= 0 {
        while cursor.pointee == UInt8(ascii: " ") { cursor += 1 }
        guard decimals.scan(&cursor, into: &row[slot]) else { return false }
        while cursor.pointee == UInt8(ascii: " ") { cursor += 1 }
      } else {
        skipCell(&cursor)
      }
      if column < last {
        guard cursor.pointee == UInt8(ascii: ",") else { return false }
        cursor += 1
      }
      column += 1
    }
    if cursor.pointee == 0x0D { cursor += 1 }
    guard cursor.pointee == 0x0A || cursor == end else { return false }
    guard cursor - line <= FileText.longestLine else { return false }
    next = cursor + (cursor == end ? 0 : 1)
    return true
  }

  /// Moves to the comma or line end behind a cell that is not a channel.
  private func skipCell(_ cursor: inout UnsafePointer<UInt8>) {
    while true {
      switch cursor.pointee {
      case UInt8(ascii: ","), 0x0A, 0x0D, 0: return
      default: cursor += 1
      }
    }
  }

  /// Whether the line at `line` and all behind it are blank; throws if it is and they are not.
  private func isEndOfRows(at line: UnsafePointer<UInt8>, number: Int) throws(RecordingError)
    -> Bool
  {
    guard TextLine(at: line, end: end, number: number).isBlank else { return false }
    let rest = UnsafeBufferPointer(start: line, count: end - line)
    guard rest.allSatisfy({ $0 == 0x0A || $0 == 0x0D || $0 == 0x20 }) else {
      throw .blankLine(file: file, line: number)
    }
    return true
  }

  private func countLineFeeds(from first: UnsafePointer<UInt8>) -> Int {
    countLineFeeds(from: first, to: end)
  }

  /// Sixteen bytes at a time, in byte-wide counters that are emptied before they overflow.
  func countLineFeeds(from first: UnsafePointer<UInt8>, to last: UnsafePointer<UInt8>) -> Int {
    let feeds = SIMD16<UInt8>(repeating: 0x0A)
    var total = 0
    var next = UnsafeRawPointer(first)
    var wholeVectors = (last - first) / 16
    while wholeVectors > 0 {
      let count = min(wholeVectors, 255)
      var counters = SIMD16<UInt8>.zero
      for _ in 0..<count {
        let bytes = next.loadUnaligned(as: SIMD16<UInt8>.self)
        counters.replace(with: counters &+ 1, where: bytes .== feeds)
        next += 16
      }
      total += Int(SIMD16<UInt16>(truncatingIfNeeded: counters).wrappedSum())
      wholeVectors -= count
    }
    return total
      + (0..<(last - first) % 16).count { next.load(fromByteOffset: $0, as: UInt8.self) == 0x0A }
  }
}
