/// The samples of one file.
public struct Recording: Sendable {
  /// `[sampleCount, channelCount]`, row-major: one row per sample, in the file's units.
  public let samples: [Double]
  public let outline: RecordingOutline
  public let fingerprint: Fingerprint

  public var sampleCount: Int { outline.sampleCount }
  public var channelCount: Int { outline.channelCount }
  public var columnCount: Int { outline.columnCount }
  public var columnNames: [String]? { outline.columnNames }
  public var firstRowLine: Int { outline.firstRowLine }
  public var clock: RecordingOutline.Clock? { outline.clock }
  public var statedRate: RecordingOutline.StatedRate? { outline.statedRate }
  public var byteCount: Int { outline.byteCount }
}

/// What one file holds besides its samples.
public struct RecordingOutline: Sendable {
  public let sampleCount: Int
  public let channelCount: Int
  /// How many columns the file has, channels or not.
  public let columnCount: Int
  /// The names in the header line, one per column; nil where the file has none.
  public let columnNames: [String]?
  /// The line of the first sample, from 1.
  public let firstRowLine: Int
  /// What a column of times says; nil where there is none.
  public let clock: Clock?
  /// The sampling rate that the file names; nil where it names none.
  public let statedRate: StatedRate?
  /// The file's size.
  public let byteCount: Int

  /// The first and the last value of a column of times, in whatever unit.
  public struct Clock: Hashable, Sendable {
    /// From 1.
    public let column: Int
    /// nil where no header names it.
    public let name: String?
    public let first: Double
    public let last: Double

    /// Where it stands, for people.
    public var place: String { "column \(column)" + (name.map { " (\($0))" } ?? "") }
  }

  /// A sampling rate that stands in a comment or in every row.
  public struct StatedRate: Hashable, Sendable {
    /// Where it stands, for people.
    public let place: String
    public let hertz: Double
  }
}

/// How recordings are read.
public struct ReadOptions: Hashable, Sendable {
  /// The columns that are channels.
  public var channels: ChannelSelection
  /// The fewest samples a recording may have: what the filters need, or one window.
  public var minimumSamples: Int

  public init(channels: ChannelSelection = .firstEight, minimumSamples: Int = 1) {
    self.channels = channels
    self.minimumSamples = minimumSamples
  }
}
