extension RecordingScanner {
  /// Reads the first line: how many columns there are, and whether it names them.
  ///
  /// Lines above it that begin with `%` or `#` are passed over, as instruments and NumPy write them;
  /// the last of them is the header where it names as many columns as there are and nothing else does.
  ///
  /// The line is a header if each column that is a channel has a name: text that is neither a
  /// number nor meant as one. The first column may have none, as where pandas writes its index.
  /// Column numbers (`0,1,2,…` or `1,2,3,…`, as some programs write for columns without names) are a
  /// header too where a number in the next line has a point, below another header as well. Where some of these columns hold names
  /// and others numbers, the line is neither header nor row, and that is an error.
  func readFirstLine(at start: UnsafePointer<UInt8>) throws(RecordingError) -> Table {
    let (line, comment, rate) = try firstLineBelowComments(from: start)
    if line.isBlank {
      let isAllBlank = rest(from: line).allSatisfy { $0 == 0x0A || $0 == 0x0D || $0 == 0x20 }
      throw isAllBlank ? .noRows(file: file) : .blankLine(file: file, line: line.number)
    }
    try checkCharacters(of: line)
    if line.bytes.starts(with: "version https://git-lfs.github.com/spec".utf8) {
      throw .lfsPointer(file: file)
    }
    let cells = line.cells
    guard cells.count >= options.channels.highest else {
      if let delimiter = line.otherDelimiter {
        throw .wrongDelimiter(file: file, line: line.number, found: delimiter)
      }
      if line.isText { throw .textLine(file: file, line: line.number, found: line.quoted) }
      throw .missingColumn(
        file: file, line: line.number, found: cells.count, expected: options.channels.highest)
    }
    let names = cells.map(\.text)
    if isColumnNumbers(names, above: line.next) || isHeader(cells) {
      // A second line of the header, as where a table with names was written as one without.
      let next = TextLine(at: line.next, end: end, number: line.number + 1)
      let isTwice = isColumnNumbers(next.cells.map(\.text), above: next.next)
      return Table(
        columnCount: cells.count, names: names, firstRow: isTwice ? next.next : next.start,
        firstRowLine: next.number + (isTwice ? 1 : 0), statedRate: rate)
    }
    try checkFirstRow(line, cells: cells)
    if hasDecimalCommas(from: line) { throw .decimalCommas(file: file, line: line.number) }
    return Table(
      columnCount: cells.count, names: commentedNames(comment, of: cells.count),
      firstRow: line.start, firstRowLine: line.number, statedRate: rate)
  }

  /// The first line that is not a comment, the last comment above it, and the sampling rate that one of
  /// them tells.
  private func firstLineBelowComments(
    from start: UnsafePointer<UInt8>
  ) throws(RecordingError) -> (TextLine, comment: TextLine?, RecordingOutline.StatedRate?) {
    var comment: TextLine?
    var rate: RecordingOutline.StatedRate?
    var line = TextLine(at: start, end: end, number: 1)
    while true {
      if line.bytes.count > FileText.longestLine {
        throw .lineWithoutEnd(file: file, line: line.number, limit: FileText.longestLine)
      }
      guard let first = line.bytes.first,
        first == UInt8(ascii: "%") || first == UInt8(ascii: "#")
      else { return (line, comment, rate) }
      guard line.isEnded else { throw .noRows(file: file) }
      comment = line
      rate = rate ?? Self.statedRate(in: line)
      line = TextLine(at: line.next, end: end, number: line.number + 1)
    }
  }

  /// The names in a comment above the rows, where it has one for each column.
  private func commentedNames(_ comment: TextLine?, of columnCount: Int) -> [String]? {
    guard let comment else { return nil }
    let marks = [UInt8(ascii: "%"), UInt8(ascii: "#"), UInt8(ascii: " ")]
    let cells = comment.bytes.drop { marks.contains($0) }
      .split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      .map { Cell(bytes: Array($0)) }
    guard cells.count == columnCount, isHeader(cells) else { return nil }
    return cells.map(\.text)
  }

  /// Whether each channel's cell is a name; the first cell of all may be empty.
  private func isHeader(_ cells: [Cell]) -> Bool {
    let channels = options.channels.columns.map { ($0, cells[$0 - 1]) }
    return channels.contains { $1.isName }
      && channels.allSatisfy { $1.isName || $0 == 1 && $1.isEmpty }
  }

  /// Throws for a first line that is not a header, where it mixes names and numbers.
  private func checkFirstRow(_ line: TextLine, cells: [Cell]) throws(RecordingError) {
    let columns = options.channels.columns
    guard let name = columns.first(where: { cells[$0 - 1].isName }) else { return }
    if let delimiter = line.otherDelimiter {
      throw .wrongDelimiter(file: file, line: line.number, found: delimiter)
    }
    if let empty = columns.first(where: { cells[$0 - 1].isEmpty }) {
      throw .emptyCell(file: file, line: line.number, column: empty)
    }
    throw .mixedFirstLine(
      file: file, line: line.number, column: name, found: cells[name - 1].quoted)
  }

  /// Whether the cells are the columns' numbers, from 0 or 1, above a line that is of another sort.
  private func isColumnNumbers(_ names: [String], above next: UnsafePointer<UInt8>) -> Bool {
    guard names.count >= 4,
      [0, 1].contains(where: { first in names == names.indices.map { String($0 + first) } })
    else { return false }
    return TextLine(at: next, end: end, number: 2).bytes.contains(UInt8(ascii: "."))
  }

  /// Whether commas separate the columns and the decimals as well: whole parts and decimals take
  /// turns. Told by a whole part of −0, by decimals that begin with 0, or by whole parts that are 0
  /// in each of eight rows; numbers with points are no such thing.
  private func hasDecimalCommas(from first: TextLine) -> Bool {
    var line = first
    var (rows, isSure, wholePartsAreZero, decimalsAreZero) = (0, false, true, true)
    while rows < 64, !line.isBlank {
      let cells = line.cells
      guard cells.count.isMultiple(of: 2) else { break }
      for pair in stride(from: 0, to: cells.count, by: 2) {
        guard let whole = cells[pair].signedDigits, let decimals = cells[pair + 1].signedDigits,
          !decimals.isSigned
        else { return false }
        let isZero = whole.digits.allSatisfy { $0 == UInt8(ascii: "0") }
        if isZero && whole.isSigned || decimals.digits.count > 1 && decimals.digits.first == 0x30 {
          isSure = true
        }
        wholePartsAreZero = wholePartsAreZero && isZero
        decimalsAreZero = decimalsAreZero && decimals.digits.allSatisfy { $0 == 0x30 }
      }
      rows += 1
      guard line.isEnded else { break }
      line = TextLine(at: line.next, end: end, number: line.number + 1)
    }
    return rows > 0 && (isSure || rows >= 8 && wholePartsAreZero && !decimalsAreZero)
  }

  private func rest(from line: TextLine) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: line.start, count: end - line.start)
  }

  private func checkCharacters(of line: TextLine) throws(RecordingError) {
    if line.hasCarriageReturn {
      throw .loneCarriageReturn(file: file, line: line.number)
    }
    if let byte = line.controlByte {
      throw .binary(file: file, line: line.number, byte: byte)
    }
  }

  /// Says what is wrong with the line at `start`, which the fast path did not take.
  func diagnose(at start: UnsafePointer<UInt8>, number: Int, table: Table) -> RecordingError {
    let line = TextLine(at: start, end: end, number: number)
    if line.bytes.count > FileText.longestLine {
      return .lineWithoutEnd(file: file, line: number, limit: FileText.longestLine)
    }
    do throws(RecordingError) { try checkCharacters(of: line) } catch { return error }
    let cells = line.cells
    guard cells.count == table.columnCount else {
      return wrongCount(of: cells, in: line, table: table)
    }
    for column in options.channels.columns {
      if let error = fault(in: cells[column - 1], column: column, line: line, table: table) {
        return error
      }
    }
    // The line differs from what the fast path takes in a way that no rule above names.
    return .raggedRow(file: file, line: number, found: cells.count, expected: table.columnCount)
  }

  private func wrongCount(of cells: [Cell], in line: TextLine, table: Table) -> RecordingError {
    if !line.isEnded, cells.count < table.columnCount {
      let found = cells.count == 1 ? "1 column" : "\(cells.count) columns"
      return .cutMidLine(file: file, line: line.number, found: found, expected: table.columnCount)
    }
    if let column = cells.firstIndex(where: \.isQuotedNumber) ?? line.halfQuoted {
      return .quotedNumber(
        file: file, line: line.number, column: column + 1, found: cells[column].unquoted)
    }
    if line.isText { return .textLine(file: file, line: line.number, found: line.quoted) }
    if cells.count < table.columnCount, let delimiter = line.otherDelimiter {
      return .wrongDelimiter(file: file, line: line.number, found: delimiter)
    }
    if cells.count == 2 * table.columnCount, hasDecimalCommas(from: line) {
      return .decimalCommas(file: file, line: line.number)
    }
    return .raggedRow(
      file: file, line: line.number, found: cells.count, expected: table.columnCount)
  }

  /// What is wrong with the cell of a channel; nil if it is a finite number.
  private func fault(in cell: Cell, column: Int, line: TextLine, table: Table) -> RecordingError? {
    if cell.isNotFinite {
      return .notFinite(file: file, line: line.number, column: column, found: cell.quoted)
    }
    if cell.isNumber { return nil }
    if !line.isEnded, column == table.columnCount {
      let found = cell.isEmpty ? "an empty cell" : cell.quoted
      return .cutMidLine(
        file: file, line: line.number, found: "\(found) in column \(column)",
        expected: table.columnCount)
    }
    if cell.isQuotedNumber {
      return .quotedNumber(file: file, line: line.number, column: column, found: cell.unquoted)
    }
    if cell.isEmpty { return .emptyCell(file: file, line: line.number, column: column) }
    if let delimiter = line.otherDelimiter {
      return .wrongDelimiter(file: file, line: line.number, found: delimiter)
    }
    if String(validating: cell.bytes, as: UTF8.self) == nil,
      let byte = cell.bytes.first(where: { $0 >= 0x80 })
    {
      return .binary(file: file, line: line.number, byte: byte)
    }
    return .notANumber(file: file, line: line.number, column: column, found: cell.quoted)
  }

  /// Rows whose decimals are usual where all have as many.
  static let fewestToTellACut = 64

  /// Finds a last number that was cut: its line has no end, it has fewer decimals than all of the
  /// (at least 64) numbers above it, and those have equally many.
  ///
  /// Where the numbers of a file have no fixed count of decimals, a cut within the last number of
  /// the last row cannot be seen.
  func checkLastRow(at start: UnsafePointer<UInt8>, row: Int, table: Table)
    throws(RecordingError)
  {
    let last = TextLine(at: start, end: end, number: table.firstRowLine + row - 1)
    guard !last.isEnded, row > Self.fewestToTellACut, end[-1] != 0x0D, end[-1] != 0x20,
      let cell = last.cells.last, let found = cell.decimals
    else { return }
    var line = TextLine(at: table.firstRow, end: start, number: table.firstRowLine)
    guard let usual = line.cells.last?.decimals, found < usual else { return }
    while line.next < start {
      line = TextLine(at: line.next, end: start, number: line.number + 1)
      guard line.cells.last?.decimals == usual else { return }
    }
    throw .cutMidLine(
      file: file, line: last.number,
      found: "\(cell.quoted) in column \(table.columnCount)", expected: table.columnCount)
  }
}
