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

  public init(
    sampleRate: Double, channels: [Int], filter: Filter, windowLength: Int, windowStride: Int,
    mean: [Double], deviation: [Double], gestures: [Int], recipe: String
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
  }

  enum CodingKeys: String, CodingKey {
    case channels, filter, mean, deviation, gestures, recipe
    case formatVersion = "format_version"
    case sampleRate = "sample_rate"
    case windowLength = "window_length"
    case windowStride = "window_stride"
  }

  /// The names a recipe can have.
  public static let recipes = ["standard", "published"]

  /// What contradicts itself in values that somebody may have edited; nil where all is well.
  var contradiction: (found: String, expected: String)? {
    if formatVersion != 1 { return ("format_version \(formatVersion)", "1") }
    guard sampleRate.isFinite, sampleRate > 0 else {
      return ("sample_rate \(sampleRate)", "a positive number")
    }
    guard !channels.isEmpty, Set(channels).count == channels.count,
      channels.allSatisfy({ $0 >= 1 })
    else { return ("channels \(channels)", "different columns, counted from 1") }
    guard mean.count == channels.count, deviation.count == channels.count else {
      return (
        "\(mean.count) means and \(deviation.count) deviations", "\(channels.count) of each"
      )
    }
    guard mean.allSatisfy(\.isFinite), deviation.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      return ("statistics that are no numbers", "finite means, deviations of at least 0")
    }
    guard windowLength > 0, windowStride > 0 else {
      return (
        "window_length \(windowLength) and window_stride \(windowStride)",
        "positive numbers of samples"
      )
    }
    guard gestures.count >= 2, zip(gestures, gestures.dropFirst()).allSatisfy({ $0 < $1 }) else {
      return ("gestures \(gestures)", "two or more, ascending")
    }
    guard Self.recipes.contains(recipe) else {
      return ("recipe \"\(recipe)\"", Self.recipes.joined(separator: " or "))
    }
    return filter.contradiction(sampleRate: sampleRate)
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
    let half = "less than \(sampleRate / 2), half of sample_rate"
    guard highHertz < sampleRate / 2 else { return ("filter.high_hertz \(highHertz)", half) }
    if let notchHertz {
      guard notchHertz > 0 else {
        return ("filter.notch_hertz \(notchHertz)", "a positive number, or none")
      }
      guard notchHertz < sampleRate / 2 else { return ("filter.notch_hertz \(notchHertz)", half) }
    }
    if let notchQuality, notchQuality <= 0 {
      return ("filter.notch_quality \(notchQuality)", "a positive number")
    }
    return nil
  }
}
