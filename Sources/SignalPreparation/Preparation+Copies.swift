import Recordings
import SignalProcessing

extension Preparation {
  /// Finds recordings whose signals are nearly the same, as those of copies that were rounded, cut or
  /// scaled: in two parts or under two gestures they are a problem, else they are mentioned.
  ///
  /// - Parameters:
  ///   - split: the part of each of all recordings; `chosen` are those that were read.
  func findNearCopies(
    among recordings: [RecordingDescriptor], _ chosen: [Int], split: Split,
    _ filtered: inout FilteredRecordings
  ) {
    let marks = filtered.values.map { $0?.traits.mark }
    var copies: [(copy: String, original: String)] = []
    for (index, other) in Self.nearlyEqual(marks) {
      // The same samples are told as such.
      if filtered.fingerprints[index] == filtered.fingerprints[other] { continue }
      let (copy, original) = (recordings[chosen[index]], recordings[chosen[other]])
      if copy.gesture != original.gesture {
        for (wrong, twin) in [(copy, original), (original, copy)] {
          add(
            .nearlySameSignalOtherGesture(
              file: wrong.file, gesture: wrong.gesture, other: twin.file,
              otherGesture: twin.gesture), &filtered)
        }
        continue
      }
      guard let part = split.parts[chosen[index]], let otherPart = split.parts[chosen[other]],
        part != otherPart
      else {
        copies.append((copy.file, original.file))
        continue
      }
      // As with the same samples: a training recording is kept, then one of the test part.
      let order: [Part] = [.train, .test, .validation]
      let isKept = order.firstIndex(of: otherPart) ?? 0 < order.firstIndex(of: part) ?? 0
      let (leak, kept) = isKept ? (copy, original) : (original, copy)
      add(
        .nearlySameSignal(
          file: leak.file, part: isKept ? part : otherPart, other: kept.file,
          otherPart: isKept ? otherPart : part), &filtered)
    }
    guard let first = copies.first else { return }
    let others = copies.count > 1 ? " (and \(copies.count - 1) more)" : ""
    filtered.concerns.append(
      RecordingConcern(
        "\(first.copy)\(others): nearly the same signal as \(first.original), as a copy has that was "
          + "rounded, cut or scaled: they count twice"))
  }

  private func add(_ problem: RecordingError, _ filtered: inout FilteredRecordings) {
    if allowsMismatch {
      filtered.concerns.append(RecordingConcern("used by --allow-mismatch: \(problem)"))
    } else {
      filtered.problems.append(problem)
    }
  }

  /// The positions of marks that are nearly those of an earlier one, each with the first such.
  private static func nearlyEqual(_ marks: [SignalMark?]) -> [(index: Int, other: Int)] {
    var pairs: [(Int, Int)] = []
    for (index, mark) in marks.enumerated() {
      guard let mark else { continue }
      let other = marks[..<index].firstIndex { $0?.isNearly(mark) ?? false }
      if let other { pairs.append((index, other)) }
    }
    return pairs
  }
}
