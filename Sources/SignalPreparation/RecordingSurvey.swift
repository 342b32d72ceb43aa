import Recordings
import SignalProcessing

/// What the recordings of a data directory are like, without any use of them.
public struct RecordingSurvey: Sendable {
  /// One channel over all recordings that could be read.
  public struct Channel: Sendable, Equatable {
    /// From 1.
    public let column: Int
    public let name: String?
    /// The median, the lowest and the highest of the recordings' deviations after the filters.
    public let deviation, lowest, highest: Double
    /// In how many recordings it never changes, is clipped, has an outlier, or is in another unit.
    public let flat, clipped, outliers, otherUnits: Int
  }

  public let channels: [Channel]
  /// Samples of each recording; nil for those that could not be read.
  public let samples: [Int?]
  /// What a training would refuse, by what is in the files.
  public let problems: [RecordingError]
  /// What a training would warn of, a sentence each.
  public let warnings: [String]
}

extension Preparation {
  /// Reads and filters all of `recordings` and compares them with each other.
  ///
  /// - Throws: what stops all reading; what is wrong with a recording is in the result.
  public func survey(
    _ recordings: [RecordingDescriptor], split: Split
  ) throws -> RecordingSurvey {
    let items = zip(recordings, split.parts).map { PreparationItem($0, part: $1) }
    var filtered = try read(items, source: .filteredTraining)
    let comparison = compare(items, &filtered, trained: nil)
    // As a training finds them: what is in no part is not used, unless all of it is in none.
    let isDivided = split.parts.contains { $0 != nil }
    let divided = isDivided ? split : Split(parts: recordings.map { _ in Part.train })
    let all = Array(recordings.indices)
    filtered.problems += try leaks(
      among: recordings, all, split: divided, parts: Set(Part.allCases), filtered.fingerprints)
    try findRepeats(among: recordings, parts: divided.parts, &filtered)
    findNearCopies(among: recordings, all, split: divided, &filtered)
    let traits = filtered.values.compactMap { $0?.traits }
    let channels = channels.columns.enumerated().map { channel, column in
      let deviations = traits.map { $0.shape.deviation[channel] }
      return RecordingSurvey.Channel(
        column: column, name: comparison?.reference.names?[channel],
        deviation: comparison?.reference.deviation[channel] ?? 0, lowest: deviations.min() ?? 0,
        highest: deviations.max() ?? 0, flat: traits.count { $0.isDead(channel) },
        clipped: traits.count { $0.health[channel].clippedShare >= RecordingLimits.clipped },
        outliers: traits.count { $0.hasOutlier(channel) },
        otherUnits: comparison.map { comparison in
          traits.count { comparison.isOff($0, channel) }
        } ?? 0)
    }
    return RecordingSurvey(
      channels: channels, samples: filtered.values.map { $0?.traits.samples },
      problems: filtered.problems,
      warnings: RecordingConcern.sentences(
        filtered.concerns,
        zip(items, filtered.values).map { ($0.file, $1?.concerns ?? []) }, { $0 != .note }))
  }
}
