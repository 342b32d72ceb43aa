/// Which columns of a file are channels, in the order in which they become channels.
public struct ChannelSelection: Hashable, Sendable, CustomStringConvertible {
  /// Column numbers, from 1; at least one, none twice.
  public let columns: [Int]

  /// Columns 1 to 8.
  public static let firstEight = ChannelSelection(1...8)

  public var count: Int { columns.count }

  /// The highest column, which a file must have.
  public var highest: Int { columns.max() ?? 0 }

  init(_ range: ClosedRange<Int>) { columns = Array(range) }

  /// These columns in this order.
  ///
  /// - Returns: nil for none, and where one is below 1, above 4096, or there twice.
  public init?(columns: [Int]) {
    guard !columns.isEmpty, Set(columns).count == columns.count,
      columns.allSatisfy((1...4096).contains)
    else { return nil }
    self.columns = columns
  }

  /// Reads `1-8`, `1,3,5-7` and the like.
  ///
  /// - Returns: nil where `text` is not a list of columns and ranges of columns from 1 to 4096, or
  ///   names a column twice.
  public init?(_ text: String) {
    var columns: [Int] = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = item.split(separator: "-", omittingEmptySubsequences: false).map {
        Int($0.trimmingPrefix(" "))
      }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1],
        first >= 1, first <= last, last <= 4096
      else { return nil }
      columns.append(contentsOf: first...last)
    }
    guard !columns.isEmpty, Set(columns).count == columns.count else { return nil }
    self.columns = columns
  }

  /// `1-8` for a run of columns, `1,3` for others, `1-4,6-8` for several.
  public var description: String {
    var runs: [ClosedRange<Int>] = []
    for column in columns {
      if let last = runs.last, column == last.upperBound + 1 {
        runs[runs.count - 1] = last.lowerBound...column
      } else {
        runs.append(column...column)
      }
    }
    return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}
