import Artifacts
import Compute
import Recordings
import SignalProcessing

/// How recordings become standardized samples: read, filtered, cut into windows.
public struct Preparation: Sendable {
  /// Where the mean and the deviation of each channel come from.
  public enum StatisticsSource: Sendable {
    /// From the filtered samples of the training part.
    case filteredTraining
    /// From the training part's samples as they were read, before any filter: what the published
    /// pipeline does.
    case rawTraining
    /// From an earlier training run.
    case given(Standardization)
  }

  public let channels: ChannelSelection
  public let filter: RecordingFilter
  public let windows: WindowGeometry
  /// How many threads read and filter.
  public let threads: Int
  /// Whether bad recordings are left out and reported instead of stopping everything.
  public let skipsBadRecordings: Bool
  /// What the files' numbers are multiplied by.
  public let scale: Double
  /// Whether recordings that are not what the others are, or what a model was trained on, are used
  /// nevertheless.
  public let allowsMismatch: Bool
  /// Whether somebody said which columns are the channels.
  public let choosesChannels: Bool

  /// - Throws: ``SignalProcessingError`` where the rate, the band and the notch contradict each
  ///   other.
  public init(
    sampleRate: Double = 512, channels: ChannelSelection = .firstEight,
    filters: FilterSettings = FilterSettings(), threads: Int, skipsBadRecordings: Bool = false,
    scale: Double = 1, allowsMismatch: Bool = false, choosesChannels: Bool = false
  ) throws(SignalProcessingError) {
    self.channels = channels
    filter = try RecordingFilter(filters, sampleRate: sampleRate)
    windows = try WindowGeometry(sampleRate: sampleRate)
    self.threads = threads
    self.skipsBadRecordings = skipsBadRecordings
    self.scale = scale
    self.allowsMismatch = allowsMismatch
    self.choosesChannels = choosesChannels
  }

  /// The fewest samples that can be filtered and hold a window.
  public var minimumSamples: Int { max(filter.minimumSamples, windows.length) }

  var readOptions: ReadOptions {
    ReadOptions(channels: channels, minimumSamples: minimumSamples)
  }

  /// Prepares the recordings of a split.
  ///
  /// The result depends on nothing but the recordings' content and the settings: not on the number
  /// of threads, nor on which of them was faster.
  ///
  /// - Parameters:
  ///   - recordings: what was found, sorted by path.
  ///   - split: the part of each; those without a part are not read.
  ///   - parts: the parts to read. Statistics can only be fitted where the training part is one.
  ///   - classes: the gestures that a network knows, ascending; by default those of the training
  ///     part, and then each part has to have each of them.
  ///   - trained: what a model was trained on, for the recordings to be compared with; without it
  ///     they are compared with each other.
  ///   - problems: what is known to be wrong already, to be reported with what is found.
  /// - Throws: `RecordingProblems` with all that is wrong, unless bad recordings are skipped, and
  ///   where a part then lacks a gesture. ``PreparationError`` for what no skipping helps against.
  public func prepare(
    _ recordings: [RecordingDescriptor], split: Split, parts: Set<Part> = Set(Part.allCases),
    classes: [Int]? = nil, statistics: StatisticsSource, trained: Preprocessing? = nil,
    problems: [RecordingError] = []
  ) throws -> PreparedRecordings {
    let chosen = recordings.indices.filter { split.parts[$0].map(parts.contains) ?? false }
    let items = chosen.map { PreparationItem(recordings[$0], part: split.parts[$0]) }
    var filtered = try read(items, source: statistics)
    compare(items, &filtered, trained: trained)
    filtered.problems += try leaks(
      among: recordings, chosen, split: split, parts: parts, filtered.fingerprints)
    try findRepeats(
      among: chosen.map { recordings[$0] }, parts: chosen.map { split.parts[$0] }, &filtered)
    findNearCopies(among: recordings, chosen, split: split, &filtered)
    if let classes { filtered.problems += unknownGestures(items, filtered, classes: classes) }
    let unusable = Set(filtered.problems.compactMap(\.file))
    let left = split.leavingOut(chosen.filter { unusable.contains(recordings[$0].file) })
    var found = problems + filtered.problems
    if skipsBadRecordings, !unusable.isEmpty, classes == nil {
      found += left.problems(with: recordings).filter { !found.contains($0) }
    }
    try RecordingProblems.check(found, skipping: skipsBadRecordings)
    for index in items.indices where unusable.contains(items[index].file) {
      filtered.values[index] = nil
    }
    return try assemble(
      items, filtered, classes: classes ?? left.gestures(of: recordings), source: statistics,
      skipped: RecordingProblems(found).problems)
  }
}

/// What no leaving out of recordings helps against.
public enum PreparationError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The statistics are of another number of channels than the recordings.
  case channelsDiffer(found: Int, expected: Int)
  /// Statistics were to be fitted and no training recording was read.
  case nothingToFitStatistics
  /// More samples than a window's start can name.
  case tooManySamples(Int)
  /// The recordings take more memory than there is.
  case outOfMemory(bytes: Int, room: MemoryRoom)

  public var description: String {
    switch self {
    case .channelsDiffer(let found, let expected):
      "found \(found == 1 ? "1 channel" : "\(found) channels") chosen, expected \(expected) as in training; see --channels"
    case .nothingToFitStatistics:
      "found no training recording to fit the mean and deviation of each channel to"
    case .tooManySamples(let count):
      "found \(count) samples in all recordings together, expected fewer than \(Int32.max); "
        + "train on fewer recordings at once"
    case .outOfMemory(let bytes, let room):
      "the recordings take \(bytes / 1_000_000) MB of memory more, \(room); take fewer recordings "
        + "at once, or shorter ones"
    }
  }
}
