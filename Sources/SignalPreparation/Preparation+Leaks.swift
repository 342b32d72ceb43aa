import Foundation
import Recordings

extension Preparation {
  /// Recordings that were read and whose samples are also in another part, be that one read or not.
  ///
  /// - Parameters:
  ///   - chosen: the positions of those that were read, `parts` their parts.
  ///   - fingerprints: theirs.
  func leaks(
    among recordings: [RecordingDescriptor], _ chosen: [Int], split: Split, parts: Set<Part>,
    _ fingerprints: [Fingerprint?]
  ) throws -> [RecordingError] {
    var all = [Fingerprint?](repeating: nil, count: recordings.count)
    for (index, fingerprint) in zip(chosen, fingerprints) { all[index] = fingerprint }
    let others = possibleCopies(of: chosen, among: recordings, split: split)
    // What else is wrong with these is no matter: they are not used.
    let found = try readRecordings(
      others.map { recordings[$0] }, options: readOptions, threads: threads
    ) { _, _ in }
    for (index, fingerprint) in zip(others, found.fingerprints) { all[index] = fingerprint }
    return try split.leaks(
      among: recordings, using: parts, fingerprints: all, options: readOptions)
  }

  /// The recordings of other parts whose files are as long as one of those chosen: no other can be
  /// a copy of one, and so only few have to be read.
  private func possibleCopies(
    of chosen: [Int], among recordings: [RecordingDescriptor], split: Split
  ) -> [Int] {
    let isChosen = Set(chosen)
    let others = recordings.indices.filter { split.parts[$0] != nil && !isChosen.contains($0) }
    guard !others.isEmpty else { return [] }
    let sizes = Set(chosen.compactMap { Self.byteCount(of: recordings[$0].file) })
    return others.filter { Self.byteCount(of: recordings[$0].file).map(sizes.contains) ?? false }
  }

  private static func byteCount(of file: String) -> Int? {
    var information = stat()
    return stat(file, &information) == 0 ? Int(information.st_size) : nil
  }

  /// Recordings, of those that nothing else is wrong with, of a gesture that is not in `classes`.
  func unknownGestures(
    _ items: [PreparationItem], _ filtered: FilteredRecordings, classes: [Int]
  ) -> [RecordingError] {
    let bad = Set(filtered.problems.compactMap(\.file))
    return items.compactMap { item in
      guard let gesture = item.gesture, !classes.contains(gesture), !bad.contains(item.file) else {
        return nil
      }
      return .unknownGesture(file: item.file, gesture: gesture, known: classes)
    }
  }
}
