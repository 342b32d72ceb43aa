/// How a run came about, in `metrics.json`: what somebody needs to repeat it. Nil where a file of an
/// earlier version does not say.
public struct RunOrigin: Sendable, Codable, Equatable {
  /// Of semg-train.
  public var version: String?
  /// The program's name and its arguments, as they were given.
  public var commandLine: [String]?
  /// When the run began, in universal time: `2026-11-30T08:02:55Z`.
  public var date: String?
  /// Where the recordings lay, as it was given.
  public var dataDirectory: String?
  /// Of the recordings that were read: their paths below that directory, and their samples.
  public var dataFingerprint: String?
  /// `default`, or the options that say which recording is in which part.
  public var splitSource: String?

  public init(
    version: String? = nil, commandLine: [String]? = nil, date: String? = nil,
    dataDirectory: String? = nil, dataFingerprint: String? = nil, splitSource: String? = nil
  ) {
    self.version = version
    self.commandLine = commandLine
    self.date = date
    self.dataDirectory = dataDirectory
    self.dataFingerprint = dataFingerprint
    self.splitSource = splitSource
  }

  enum CodingKeys: String, CodingKey {
    case version, date
    case commandLine = "command_line"
    case dataDirectory = "data_directory"
    case dataFingerprint = "data_fingerprint"
    case splitSource = "split_source"
  }
}
