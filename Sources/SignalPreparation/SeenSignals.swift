import Recordings
import SignalProcessing

/// The recordings that a training saw, known again also where they were rounded, cut, scaled or
/// written anew.
public struct SeenSignals: Sendable {
  private let seen: SeenRecordings
  private let marks: [(mark: SignalMark, part: Part)]

  /// - Parameter files: the splits of the trainings, one for each run.
  /// - Throws: `SplitFileProblems` for damaged ones.
  public init(_ files: [SplitFile]) throws(SplitFileProblems) {
    seen = try SeenRecordings(files)
    // What was trained on first: that is what is told of a signal that was seen in two parts.
    marks = seen.marks.compactMap { mark, part in SignalMark(text: mark).map { ($0, part) } }
      .sorted { $0.part == .train && $1.part != .train }
  }

  /// The part that a recording was of, as ``SeenRecordings/part(ofPath:content:)``.
  public func part(of recording: PreparedRecording) -> Part? {
    let exact = seen.part(ofPath: recording.path, content: recording.fingerprint)
    guard exact == nil, let mark = recording.mark else { return exact }
    return marks.first { $0.mark.isNearly(mark) }?.part
  }

  /// Whether a recording has the path of one that the training knew, and another signal.
  public func isNamesake(_ recording: PreparedRecording) -> Bool {
    guard
      let entry = seen.namesake(ofPath: recording.path, content: recording.fingerprint),
      part(of: recording) == nil
    else { return false }
    guard let mark = recording.mark, let then = entry.mark.flatMap(SignalMark.init(text:)) else {
      return true
    }
    return !then.isNearly(mark)
  }
}
