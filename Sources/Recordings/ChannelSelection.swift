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

  /// `1-8` for a run of columns, else `1,3,5`.
  public var description: String {
    let isRun = zip(columns, columns.dropFirst()).allSatisfy { $1 == $0 + 1 }
    guard isRun, columns.count > 1, let first = columns.first, let last = columns.last else {
      return columns.map(String.init).joined(separator: ",")
    }
    return "\(first)-\(last)"
  }
}
