/// What the recordings of a training were like, in `preprocessing.json`: so that others can be told
/// from them before anything is predicted.
public struct RecordingProfile: Codable, Sendable, Equatable {
  /// The channels' names in their order, as the header has them; nil where there was none.
  public var channelNames: [String]?
  /// How many columns the files had, channels or not.
  public var columns: Int
  /// Each channel's usual deviation after the filters: the median of the recordings'.
  public var deviation: [Double]
  /// The lowest and the highest level of a recording: the geometric mean, over the channels, of its
  /// deviation in units of the usual one.
  public var level: [Double]
  /// The lowest and the highest roughness of a recording: the root mean square of the steps between
  /// samples over the deviation, the median of its channels. It follows the sampling rate.
  public var roughness: [Double]
  /// The mean correlation of each pair of channels, in the order (1, 2), (1, 3), …, (2, 3), …; nil
  /// where it does not tell the channels apart.
  public var correlation: [Double]?
  /// The lowest and the highest that a channel's deviation, in units of the usual one, was of its
  /// recording's level; nil in files of versions that did not say.
  public var balance: [Double]?
  /// The lowest likeness (Pearson's r) of a recording's correlation to that mean.
  public var likeness: Double?

  public init(
    channelNames: [String]?, columns: Int, deviation: [Double], level: [Double],
    roughness: [Double], balance: [Double]? = nil, correlation: [Double]? = nil,
    likeness: Double? = nil
  ) {
    self.channelNames = channelNames
    self.columns = columns
    self.deviation = deviation
    self.level = level
    self.roughness = roughness
    self.balance = balance
    self.correlation = correlation
    self.likeness = likeness
  }

  enum CodingKeys: String, CodingKey {
    case columns, level, roughness, balance, correlation, likeness
    case channelNames = "channel_names"
    case deviation = "usual_deviation"
  }

  /// What contradicts itself in values that somebody may have edited; nil where all is well.
  func contradiction(channels: Int) -> (found: String, expected: String)? {
    if let channelNames, channelNames.count != channels {
      return ("\(channelNames.count) recordings.channel_names", "\(channels), one per channel")
    }
    guard deviation.count == channels, deviation.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      return (
        "recordings.usual_deviation \(deviation)", "\(channels) finite numbers of at least 0"
      )
    }
    for (name, range) in [
      ("level", level), ("roughness", roughness), ("balance", balance ?? [1, 1]),
    ] {
      guard range.count == 2, range.allSatisfy({ $0.isFinite && $0 >= 0 }), range[0] <= range[1]
      else { return ("recordings.\(name) \(range)", "the lowest and the highest, finite") }
    }
    guard columns >= channels else {
      return ("recordings.columns \(columns)", "at least \(channels), the number of channels")
    }
    guard let correlation else { return nil }
    guard correlation.count == channels * (channels - 1) / 2,
      correlation.allSatisfy({ abs($0) <= 1 }), let likeness, abs(likeness) <= 1
    else {
      return (
        "recordings.correlation and likeness that do not fit",
        "\(channels * (channels - 1) / 2) numbers from -1 to 1, and one"
      )
    }
    return nil
  }
}
