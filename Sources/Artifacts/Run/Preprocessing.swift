import Foundation

/// `preprocessing.json`: everything between a recording and a network's input, so that nothing has
/// to be fitted again to predict.
public struct Preprocessing: Codable, Sendable, Equatable {
  public struct Filter: Codable, Sendable, Equatable {
    /// Edges of the band-pass as it was built, in hertz, and its order.
    public var lowHertz, highHertz: Double
    public var order: Int
    /// Nil without a notch.
    public var notchHertz: Double?
    public var notchQuality: Double?

    public init(
      lowHertz: Double, highHertz: Double, order: Int = 4, notchHertz: Double?,
      notchQuality: Double? = 30
    ) {
      self.lowHertz = lowHertz
      self.highHertz = highHertz
      self.order = order
      self.notchHertz = notchHertz
      self.notchQuality = notchQuality
    }

    enum CodingKeys: String, CodingKey {
      case order
      case lowHertz = "low_hertz"
      case highHertz = "high_hertz"
      case notchHertz = "notch_hertz"
      case notchQuality = "notch_quality"
    }
  }

  /// Of this layout; read by versions that know it.
  public var formatVersion = 1
  /// Hertz.
  public var sampleRate: Double
  /// Columns of a recording's file, counted from 1.
  public var channels: [Int]
  public var filter: Filter
  /// Samples.
  public var windowLength, windowStride: Int
  /// A channel's mean and population deviation over the training recordings: (x − mean) /
  /// (deviation + 1e-8).
  public var mean, deviation: [Double]
  /// Gesture numbers of the classes, ascending: the order of a network's outputs.
  public var gestures: [Int]
  /// `standard` or `published`.
  public var recipe: String
  /// A model's weight in the ensemble, by its name, as the training was told; nil for equal ones.
  public var ensembleWeights: [String: Double]?
  /// What the files' numbers are multiplied by when they are read; nil for 1.
  public var scale: Double?
  /// What the training recordings were like; nil in files of versions that did not say.
  public var recordings: RecordingProfile?

  public init(
    sampleRate: Double, channels: [Int], filter: Filter, windowLength: Int, windowStride: Int,
    mean: [Double], deviation: [Double], gestures: [Int], recipe: String,
    ensembleWeights: [String: Double]? = nil, scale: Double? = nil,
    recordings: RecordingProfile? = nil
  ) {
    self.sampleRate = sampleRate
    self.channels = channels
    self.filter = filter
    self.windowLength = windowLength
    self.windowStride = windowStride
    self.mean = mean
    self.deviation = deviation
    self.gestures = gestures
    self.recipe = recipe
    self.ensembleWeights = ensembleWeights
    self.scale = scale
    self.recordings = recordings
  }

  enum CodingKeys: String, CodingKey {
    case channels, filter, mean, deviation, gestures, recipe, scale, recordings
    case formatVersion = "format_version"
    case sampleRate = "sample_rate"
    case windowLength = "window_length"
    case windowStride = "window_stride"
    case ensembleWeights = "ensemble_weights"
  }

  /// The names a recipe can have.
  public static let recipes = ["standard", "published"]

  /// What contradicts itself in values that somebody may have edited; nil where all is well.
  var contradiction: (found: String, expected: String)? {
    if formatVersion != 1 { return ("format_version \(formatVersion)", "1") }
    guard sampleRate.isFinite, sampleRate > 0 else {
      return ("sample_rate \(sampleRate)", "a positive number")
    }
    if let contradiction = contradictionOfStatistics { return contradiction }
    guard windowLength > 0, windowStride > 0 else {
      return (
        "window_length \(windowLength) and window_stride \(windowStride)",
        "positive numbers of samples"
      )
    }
    guard gestures.count >= 2, zip(gestures, gestures.dropFirst()).allSatisfy({ $0 < $1 }),
      gestures[0] >= 0
    else { return ("gestures \(gestures)", "two or more from 0 on, ascending") }
    guard Self.recipes.contains(recipe) else {
      return ("recipe \"\(recipe)\"", Self.recipes.joined(separator: " or "))
    }
    if let contradiction = contradictionOfWeights { return contradiction }
    if let scale, !(scale.isFinite && scale > 0) { return ("scale \(scale)", "a positive number") }
    if recipe == Self.recipes[0],
      let channel = mean.indices.first(where: { abs(mean[$0]) > 30 * deviation[$0] })
    {
      // A band-pass leaves no mean.
      return (
        "mean \(mean[channel]) beside deviation \(deviation[channel]) of channel \(channel + 1)",
        "a mean near 0, as filtered signals have"
      )
    }
    return recordings?.contradiction(channels: channels.count)
      ?? filter.contradiction(sampleRate: sampleRate)
  }

  /// What a model's weight in the ensemble may be, if it is not 0: sums of such weights, and
  /// quotients, keep their digits.
  public static let ensembleWeightRange = 1e-6...1e6

  private var contradictionOfWeights: (found: String, expected: String)? {
    guard let ensembleWeights else { return nil }
    for (model, weight) in ensembleWeights.sorted(by: { $0.key < $1.key })
    where weight != 0 && !Self.ensembleWeightRange.contains(weight) {
      return ("an ensemble weight of \(weight) for \(model)", "0, or a number from 1e-6 to 1e6")
    }
    guard ensembleWeights.values.contains(where: { $0 > 0 }) else {
      return ("no ensemble weight above 0", "one or more")
    }
    return nil
  }

  /// Samples beyond it are refused when they are read, so no mean and no deviation of any lies there.
  private static let largest = 1e15
  /// Of a deviation: far below any instrument's noise, in any unit.
  private static let smallest = 1e-15

  /// What the channels and their statistics contradict.
  private var contradictionOfStatistics: (found: String, expected: String)? {
    guard !channels.isEmpty, Set(channels).count == channels.count,
      channels.allSatisfy({ $0 >= 1 })
    else { return ("channels \(channels)", "different columns, counted from 1") }
    guard mean.count == channels.count, deviation.count == channels.count else {
      return (
        "\(mean.count) means and \(deviation.count) deviations", "\(channels.count) of each"
      )
    }
    if let wrong = mean.first(where: { !(abs($0) <= Self.largest) }) {
      return ("a mean of \(wrong)", "numbers up to \(Self.largest)")
    }
    if let wrong = deviation.first(where: { !($0 >= Self.smallest && $0 <= Self.largest) }) {
      return ("a deviation of \(wrong)", "positive numbers, \(Self.smallest) to \(Self.largest)")
    }
    return nil
  }
}

extension Preprocessing.Filter {
  /// What cannot be built, or is not what we build.
  fileprivate func contradiction(sampleRate: Double) -> (found: String, expected: String)? {
    guard order == 4 else { return ("filter.order \(order)", "4") }
    guard lowHertz > 0 else { return ("filter.low_hertz \(lowHertz)", "a positive number") }
    guard lowHertz < highHertz else {
      return ("filter.low_hertz \(lowHertz)", "less than filter.high_hertz, \(highHertz)")
    }
    // The filter's edges are kept where it can be computed; others would not be what is applied.
    guard lowHertz >= 0.000999 * sampleRate / 2 else {
      return ("filter.low_hertz \(lowHertz)", "\(0.001 * sampleRate / 2) or more")
    }
    let half = "less than \(sampleRate / 2), half of sample_rate"
    guard highHertz < sampleRate / 2 else { return ("filter.high_hertz \(highHertz)", half) }
    if let notchHertz {
      guard notchHertz >= 1 else {
        return ("filter.notch_hertz \(notchHertz)", "1 or more, or none")
      }
      guard notchHertz < sampleRate / 2 else { return ("filter.notch_hertz \(notchHertz)", half) }
    }
    if let notchQuality, !(0.01...1e6).contains(notchQuality) {
      return ("filter.notch_quality \(notchQuality)", "a number from 0.01 to 1000000")
    }
    return nil
  }
}
