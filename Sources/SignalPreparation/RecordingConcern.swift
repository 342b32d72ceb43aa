import Recordings

/// Something about a recording that does not keep it from being used, and that has to be said.
public struct RecordingConcern: Hashable, Sendable {
  public enum Weight: Int, Hashable, Sendable {
    /// What was done with it, as was asked for.
    case note
    /// What may be wrong.
    case warning
    /// What leaves no confident answer.
    case forbidsAnswer
  }

  /// Without the recording's path, which goes before it.
  public let text: String
  public let weight: Weight
  /// What concerns of one kind have in common where their texts differ in figures.
  let kind: String

  init(_ text: String, _ weight: Weight = .warning, kind: String? = nil) {
    self.text = text
    self.weight = weight
    self.kind = kind ?? text
  }
}

extension RecordingConcern {
  /// What is said of all recordings together, then of each: those of one kind in one sentence, in the
  /// order of the first recording that it is about.
  static func sentences(
    _ ofAll: [RecordingConcern], _ ofEach: [(file: String, concerns: [RecordingConcern])],
    _ isMeant: (Weight) -> Bool
  ) -> [String] {
    var files: [String: [String]] = [:]
    var order: [RecordingConcern] = []
    for (file, concerns) in ofEach {
      for concern in concerns where isMeant(concern.weight) {
        if files[concern.kind] == nil { order.append(concern) }
        files[concern.kind, default: []].append(file)
      }
    }
    return ofAll.filter { isMeant($0.weight) }.map(\.text)
      + order.map { concern in
        let named = files[concern.kind] ?? []
        let others = named.count > 1 ? " (and \(named.count - 1) more)" : ""
        return shownPath(named.first ?? "") + "\(others): \(concern.text)"
      }
  }
}

extension RecordingsToPredict {
  /// What may be wrong with the recordings, a sentence a kind.
  public var warnings: [String] { sentences { $0 != .note } }

  /// What was done as was asked for, in the same way.
  public var notes: [String] { sentences { $0 == .note } }

  private func sentences(_ isMeant: (RecordingConcern.Weight) -> Bool) -> [String] {
    RecordingConcern.sentences([], entries.map { ($0.file, $0.concerns) }, isMeant)
  }
}

extension PreparedRecordings {
  /// What may be wrong with the recordings, a sentence a kind.
  public var warnings: [String] { sentences { $0 != .note } }

  /// What was done as was asked for, in the same way.
  public var notes: [String] { sentences { $0 == .note } }

  private func sentences(_ isMeant: (RecordingConcern.Weight) -> Bool) -> [String] {
    RecordingConcern.sentences(
      concerns, recordings.map { ($0.file, $0.concerns) }, isMeant)
  }
}
