import Foundation

/// Finds what somebody who mistyped may have meant.
enum Suggestions {
  /// The candidate nearest to `word`: one that it is the beginning of, else the one with the fewest
  /// slips (an inserted, missing, replaced or swapped letter), at most one in three letters.
  static func nearest(to word: String, among candidates: [String]) -> String? {
    let typed = Array(word.lowercased())
    guard !typed.isEmpty else { return nil }
    let beginnings = candidates.filter { $0.lowercased().hasPrefix(word.lowercased()) }
    if typed.count >= 2, beginnings.count == 1 { return beginnings[0] }
    let ranked = candidates.map { (slips: slips(from: typed, to: Array($0.lowercased())), $0) }
    guard let best = ranked.min(by: { $0.slips < $1.slips }) else { return nil }
    return best.slips <= max(1, max(typed.count, best.1.count) / 3) ? best.1 : nil
  }

  /// For a path that leads nowhere: the same path with its first wrong component put right, if a
  /// sibling has a similar name.
  static func path(near path: String) -> String? {
    var known = path.hasPrefix("/") ? "/" : ""
    let components = path.split(separator: "/").map(String.init)
    for (index, component) in components.enumerated() {
      if FileManager.default.fileExists(atPath: known + component) {
        known += component + "/"
        continue
      }
      let siblings = try? FileManager.default.contentsOfDirectory(
        atPath: known.isEmpty ? "." : known)
      let candidates = (siblings ?? []).filter { !$0.hasPrefix(".") && $0 != component }.sorted()
      guard let near = nearest(to: component, among: candidates) else { return nil }
      let rest = components[(index + 1)...]
      let whole = ([known + near] + rest).joined(separator: "/")
      return FileManager.default.fileExists(atPath: whole) ? whole : known + near
    }
    return nil
  }

  /// Damerau's distance, restricted: letters inserted, left out, replaced, or neighbours swapped.
  static func slips(from a: [Character], to b: [Character]) -> Int {
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          cost = min(cost, rows[i - 1][j - 1] + 1)
        }
        row.append(cost)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}

/// " Did you mean …?", or nothing.
func didYouMean(_ suggestion: String?) -> String {
  suggestion.map { ". Did you mean \($0)?" } ?? ""
}
