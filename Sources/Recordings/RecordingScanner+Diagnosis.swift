extension RecordingScanner {
  /// Reads the first line: how many columns there are, and whether it names them.
  ///
  /// The line is a header if each column that is a channel has a name: text that is neither a
  /// number nor meant as one. Column numbers (`0,1,2,…` or `1,2,3,…`, as some programs write for
  /// columns without names) are a header too where a number in the next line has a point. Where some of these columns hold names and others
  /// numbers, the line is neither header nor row, and that is an error.
  func readFirstLine(at start: UnsafePointer<UInt8>) throws(RecordingError) -> Table {
    let line = TextLine(at: start, end: end, number: 1)
    if line.bytes.count > FileText.longestLine {
      throw .lineWithoutEnd(file: file, line: 1, limit: FileText.longestLine)
    }
    if line.isBlank {
      let isAllBlank = UnsafeBufferPointer(start: start, count: end - start).allSatisfy {
        $0 == 0x0A || $0 == 0x0D || $0 == 0x20
      }
      throw isAllBlank ? .noRows(file: file) : .blankLine(file: file, line: 1)
    }
    try checkCharacters(of: line)
    if line.bytes.starts(with: "version https://git-lfs.github.com/spec".utf8) {
      throw .lfsPointer(file: file)
    }
    let cells = line.cells
    guard cells.count >= options.channels.highest else {
      if let delimiter = line.otherDelimiter {
        throw .wrongDelimiter(file: file, line: 1, found: delimiter)
      }
      throw .missingColumn(
        file: file, line: 1, found: cells.count, expected: options.channels.highest)
    }
    let names = cells.map(\.text)
    if isColumnNumbers(names, above: line.next)
      || options.channels.columns.allSatisfy({ cells[$0 - 1].isName })
    {
      return Table(
        columnCount: cells.count, names: names, firstRow: line.next, firstRowLine: 2)
    }
    try checkFirstRow(line, cells: cells)
    return Table(columnCount: cells.count, names: nil, firstRow: start, firstRowLine: 1)
  }

  /// Throws for a first line that is no header, where it mixes names and numbers.
  private func checkFirstRow(_ line: TextLine, cells: [Cell]) throws(RecordingError) {
    let columns = options.channels.columns
    guard let name = columns.first(where: { cells[$0 - 1].isName }) else { return }
    if let delimiter = line.otherDelimiter {
      throw .wrongDelimiter(file: file, line: 1, found: delimiter)
    }
    if let empty = columns.first(where: { cells[$0 - 1].isEmpty }) {
      throw .emptyCell(file: file, line: 1, column: empty)
    }
    throw .mixedFirstLine(file: file, column: name, found: cells[name - 1].quoted)
  }

  /// Whether the cells are the columns' numbers, from 0 or 1, above a line that is of another sort.
  private func isColumnNumbers(_ names: [String], above next: UnsafePointer<UInt8>) -> Bool {
    guard names.count >= 4,
      [0, 1].contains(where: { first in names == names.indices.map { String($0 + first) } })
    else { return false }
    return TextLine(at: next, end: end, number: 2).bytes.contains(UInt8(ascii: "."))
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
    if cells.count < table.columnCount, let delimiter = line.otherDelimiter {
      return .wrongDelimiter(file: file, line: line.number, found: delimiter)
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

  /// Finds a last number that was cut: its line has no end, it has fewer decimals than all of the
  /// (at least 64) numbers above it, and those have equally many.
  ///
  /// Where the numbers of a file have no fixed count of decimals, a cut within the last number of
  /// the last row cannot be seen.
  func checkLastRow(at start: UnsafePointer<UInt8>, row: Int, table: Table)
    throws(RecordingError)
  {
    let fewest = 64
    let last = TextLine(at: start, end: end, number: table.firstRowLine + row - 1)
    guard !last.isEnded, row > fewest, end[-1] != 0x0D, end[-1] != 0x20,
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
