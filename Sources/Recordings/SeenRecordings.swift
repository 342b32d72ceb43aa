/// The recordings that a training saw, known again by what is in them, or, where that is not
/// recorded, by their paths.
public struct SeenRecordings: Sendable {
  private var byContent: [Fingerprint: Part] = [:]
  private var byPath: [String: (part: Part, content: Fingerprint?)] = [:]
  /// What the recordings of all parts were, those of the test part too.
  private var known: [String: SplitFile.Entry] = [:]
  /// Marks of the signals that were seen, with their parts; see ``RecordingContent/mark``.
  public private(set) var marks: [(mark: String, part: Part)] = []

  /// - Parameter files: the splits of the trainings, one for each run.
  /// - Throws: `SplitFileProblems` for damaged ones.
  public init(_ files: [SplitFile]) throws(SplitFileProblems) {
    for file in files {
      let entries = try file.entries
      for entry in entries { known[entry.path] = entry }
      for entry in entries where entry.part != .test {
        // What was trained on in any of them was trained on.
        if byPath[entry.path]?.part != .train { byPath[entry.path] = (entry.part, entry.content) }
        if let mark = entry.mark { marks.append((mark, entry.part)) }
        if let content = entry.content, byContent[content] != .train {
          byContent[content] = entry.part
        }
      }
    }
  }

  /// The part that a recording was of: `.train` where the weights came from it, `.validation` where
  /// it chose the best epoch, nil where it is new to the training.
  ///
  /// A path alone is no proof where both contents are known and differ: the next person's
  /// recordings have the same names.
  ///
  /// - Parameters:
  ///   - path: relative to its data directory.
  ///   - content: of its samples; nil where that is not known.
  public func part(ofPath path: String, content: Fingerprint?) -> Part? {
    if let content, let part = byContent[content] { return part }
    guard let known = byPath[path] else { return nil }
    return known.content == nil || content == nil ? known.part : nil
  }

  /// What the training knew by a path, where that had other samples; nil where it had the same, or
  /// nothing says.
  public func namesake(ofPath path: String, content: Fingerprint?) -> SplitFile.Entry? {
    guard let content, let entry = known[path], let then = entry.content, then != content else {
      return nil
    }
    return entry
  }
}
