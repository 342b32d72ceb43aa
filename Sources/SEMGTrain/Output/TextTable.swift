/// Columns of text, the first aligned to the left and the others to the right.
struct TextTable {
  private var rows: [[String]]
  /// How wide the columns are at least.
  private let leastWidths: [Int]

  init(header: [String], widths: [Int] = []) { (rows, leastWidths) = ([header], widths) }

  mutating func append(_ row: [String]) { rows.append(row) }

  /// The lines, without a last line feed.
  var text: String { Self.lines(rows, widths).joined(separator: "\n") }

  /// The same below the header.
  var textWithoutHeader: String { Self.lines(rows, widths).dropFirst().joined(separator: "\n") }

  /// How wide each column is.
  private var widths: [Int] {
    var widths = leastWidths
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column < widths.count {
          widths[column] = max(widths[column], cell.count)
        } else {
          widths.append(cell.count)
        }
      }
    }
    return widths
  }

  private static func lines(_ rows: [[String]], _ widths: [Int]) -> [String] {
    rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }
      let line = cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }

  // MARK: Within a terminal

  /// Rows that a terminal shows of a long table.
  private static let mostRows = 40
  /// Pieces that a wide table is cut into; with more, nobody finds a row's cells.
  private static let mostBlocks = 3

  /// The lines, none of them wider than `width`: a wide table falls apart into blocks below each
  /// other, or is turned where it has more columns than rows; a long one is cut, with a count.
  ///
  /// - Parameter width: of the terminal; nil where there is none, and the whole table is wanted.
  func text(within width: Int?) -> String {
    guard let width else { return text }
    guard let blocks = blocks(within: width) else { return list(within: width) }
    if blocks.count > Self.mostBlocks, rows.count < widths.count / 2 {
      return turned.text(within: width)
    }
    let (shown, more) = (Array(rows.prefix(Self.mostRows + 1)), rows.count - 1 - Self.mostRows)
    let texts = blocks.map { columns in
      let part = shown.map { row in columns.map { $0 < row.count ? row[$0] : "" } }
      return Self.lines(part, columns.map { widths[$0] }).joined(separator: "\n")
    }
    return texts.joined(separator: "\n\n") + Self.rest(more)
  }

  /// Whether the table falls apart into more pieces than anybody can read.
  func isTooWide(for width: Int?) -> Bool {
    guard let width else { return false }
    return (blocks(within: width)?.count ?? .max) > Self.mostBlocks
  }

  private static func rest(_ count: Int) -> String {
    count > 0 ? "\n… and \(count) more; --json lists all" : ""
  }

  /// The columns of each piece, the first column in all of them; nil where two columns do not fit.
  private func blocks(within width: Int) -> [[Int]]? {
    let widths = widths
    guard let first = widths.first else { return [] }
    var (blocks, used) = ([[0]], first)
    for column in widths.indices.dropFirst() {
      let needed = 2 + widths[column]
      guard first + needed <= width else { return nil }
      if used + needed > width {
        blocks.append([0])
        used = first
      }
      blocks[blocks.count - 1].append(column)
      used += needed
    }
    return blocks
  }

  private var turned: TextTable {
    let columns = rows.map(\.count).max() ?? 0
    let all = (0..<columns).map { column in rows.map { column < $0.count ? $0[column] : "" } }
    var table = TextTable(header: all.first ?? [])
    for row in all.dropFirst() { table.append(row) }
    return table
  }

  /// A line a cell, below the row's first.
  private func list(within width: Int) -> String {
    let header = rows.first ?? []
    let lines = rows.dropFirst().prefix(Self.mostRows).flatMap { row in
      row.enumerated().map { column, cell in
        let name = column < header.count ? header[column].trimmingPrefix { $0 == " " } : ""
        return Self.cut(column == 0 ? cell : "  \(name) \(cell)", to: width)
      }
    }
    return lines.joined(separator: "\n") + Self.rest(rows.count - 1 - Self.mostRows)
  }

  private static func cut(_ line: String, to width: Int) -> String {
    line.count <= width ? line : line.prefix(max(0, width - 1)) + "…"
  }
}

/// Numbers for people.
enum Figure {
  /// `84.6 %`
  static func percent(_ share: Double) -> String { fixed(100 * share, 1) + " %" }

  /// A number with so many decimals.
  static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let digits = String(Int64(scaled))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + digits }
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }

  /// A number without needless decimals: `512`, `49.5`.
  static func plain(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
  }

  /// `1:02:03`, `2:03`.
  static func time(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e7 else { return "?" }
    let whole = Int(seconds.rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    let tail = (rest < 10 ? "0" : "") + String(rest)
    guard hours > 0 else { return "\(minutes):\(tail)" }
    return "\(hours):" + (minutes < 10 ? "0" : "") + "\(minutes):\(tail)"
  }

  /// `1.2 GB`, `35 MB`.
  static func bytes(_ count: Int) -> String {
    switch count {
    case 1_000_000_000...: fixed(Double(count) / 1e9, 1) + " GB"
    case 1_000_000...: fixed(Double(count) / 1e6, 0) + " MB"
    case 1_000...: fixed(Double(count) / 1e3, 0) + " kB"
    default: "\(count) bytes"
    }
  }

  /// `1 recording`, `2 recordings`.
  static func count(_ number: Int, _ noun: String) -> String {
    number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
  }
}
