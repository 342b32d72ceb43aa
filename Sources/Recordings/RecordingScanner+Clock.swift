/// What a file says of its sampling rate beside the samples: a column of times, a column that repeats
/// the rate, a comment above the rows.
extension RecordingScanner {
  /// The columns that are looked at in the first and in the last row.
  struct ClockColumns {
    var time: (column: Int, name: String?)?
    var rate: (column: Int, name: String)?
  }

  /// A column is of times by its name. Where there are no names: one that is not a channel and rises by
  /// equal steps, other than 1, in the first rows.
  func clockColumns(of table: Table) -> ClockColumns {
    guard let names = table.names else {
      return ClockColumns(time: evenColumn(of: table).map { ($0, nil) })
    }
    let channels = Set(options.channels.columns)
    return ClockColumns(
      time: names.firstIndex(where: ColumnName.isTime).map { ($0, names[$0]) },
      rate: names.indices.first { ColumnName.isRate(names[$0]) && !channels.contains($0 + 1) }
        .map { ($0, names[$0]) })
  }

  private func evenColumn(of table: Table) -> Int? {
    var rows: [[Cell]] = []
    var next = table.firstRow
    for _ in 0..<4 where next < end {
      let line = TextLine(at: next, end: end, number: 1)
      rows.append(line.cells)
      next = line.next
    }
    guard rows.count == 4, rows.allSatisfy({ $0.count == table.columnCount }) else { return nil }
    let channels = Set(options.channels.columns)
    return (0..<table.columnCount).first { column in
      let times = rows.compactMap { Self.time($0[column]) }
      guard !channels.contains(column + 1), times.count == 4 else { return false }
      let steps = zip(times.dropFirst(), times).map { $0 - $1 }
      return steps[0] > 0 && abs(steps[0] - 1) > 1e-9
        && steps.allSatisfy { abs($0 / steps[0] - 1) < 0.02 }
    }
  }

  /// What the columns say at both ends.
  func clock(
    _ columns: ClockColumns, first: TextLine, last: TextLine
  ) -> (times: RecordingOutline.Clock?, rate: RecordingOutline.StatedRate?) {
    let (front, back) = (first.cells, last.cells)
    let value = { (cells: [Cell], column: Int) in
      cells.indices.contains(column) ? Self.time(cells[column]) : nil
    }
    var times: RecordingOutline.Clock?
    if let (column, name) = columns.time, let begin = value(front, column),
      var end = value(back, column)
    {
      // A clock without a date that passed midnight.
      let isOfDay =
        ClockText(front[column].unquoted)?.day == nil
        && front[column].bytes.contains(UInt8(ascii: ":"))
      if isOfDay, end < begin { end += ClockText.secondsOfADay }
      times = RecordingOutline.Clock(column: column + 1, name: name, first: begin, last: end)
    }
    var rate: RecordingOutline.StatedRate?
    if let (column, name) = columns.rate, let said = value(front, column), said > 0,
      said == value(back, column)
    {
      rate = RecordingOutline.StatedRate(place: "column \(column + 1) (\(name))", hertz: said)
    }
    return (times, rate)
  }

  /// Of a number, or of a time of day with or without its date, in seconds.
  private static func time(_ cell: Cell) -> Double? {
    cell.isNumber ? Double(cell.text) : ClockText(cell.unquoted)?.seconds
  }

  /// The rate that a comment tells, as `# Sampling rate: 2000 Hz` does; nil for any other.
  static func statedRate(in comment: TextLine) -> RecordingOutline.StatedRate? {
    let text = String(decoding: comment.bytes.prefix(200), as: UTF8.self).lowercased()
    let words = text.split { !$0.isLetter }.map(String.init)
    let said = Set(words)
    let isOfSamples =
      !said.isDisjoint(with: ["sample", "samples", "sampling"])
      && !said.isDisjoint(with: ["rate", "frequency", "freq"])
    let isAlone = said == ["rate", "hz"] || said == ["rate", "khz"]
    guard isOfSamples || isAlone || ColumnName.isRate(text) else { return nil }
    let numbers = text.split { !$0.isNumber && $0 != "." }.compactMap { Double($0) }
    guard numbers.count == 1, numbers[0] > 0 else { return nil }
    return RecordingOutline.StatedRate(
      place: "line \(comment.number)", hertz: numbers[0] * (said.contains("khz") ? 1000 : 1))
  }
}

/// A time of day, `12:30:05.25`, with or without a date before it, `2024-01-31T` (ISO 8601).
struct ClockText {
  static let secondsOfADay = 86_400.0

  /// Days of the calendar from a fixed one; nil without a date.
  let day: Int?
  /// From the beginning of that day, or of the fixed one.
  let seconds: Double

  /// nil for anything else.
  init?(_ text: String) {
    let parts = text.split { $0 == "T" || $0 == " " }
    guard let clock = parts.last, parts.count <= 2 else { return nil }
    // A zone is the same in every row.
    let bare = clock.prefix { $0.isNumber || ":.,".contains($0) }.replacing(",", with: ".")
    let fields = bare.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
    // Of two fields nobody knows whether they are hours or minutes.
    guard fields.count == 3, fields.allSatisfy({ $0 != nil }) else { return nil }
    let time = fields.compactMap { $0 }.reduce(0) { 60 * $0 + $1 }
    guard parts.count == 2 else {
      (day, seconds) = (nil, time)
      return
    }
    let date = parts[0].split { $0 == "-" || $0 == "/" }.compactMap { Int($0) }
    guard date.count == 3, (1...12).contains(date[1]), (1...31).contains(date[2]),
      (1...9999).contains(date[0])
    else { return nil }
    // Years begin in March, so that the day that some lack is the last one.
    let (year, month) = date[1] > 2 ? (date[0], date[1] - 3) : (date[0] - 1, date[1] + 9)
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date[2]
    (day, seconds) = (days, Double(days) * Self.secondsOfADay + time)
  }
}
