/// The settings of the filters that a recording passes before it is cut into windows.
public struct FilterSettings: Hashable, Sendable, Codable {
  /// Lower edge of the pass band; movement artefacts lie below it.
  public var lowHertz = 20.0
  /// Upper edge of the pass band; surface EMG has little above it.
  public var highHertz = 450.0
  /// The mains frequency to take out, or none.
  public var notchHertz: Double? = 50
  /// Centre of the notch divided by its bandwidth.
  public var notchQuality = 30.0

  public init(
    lowHertz: Double = 20, highHertz: Double = 450, notchHertz: Double? = 50,
    notchQuality: Double = 30
  ) {
    (self.lowHertz, self.highHertz) = (lowHertz, highHertz)
    (self.notchHertz, self.notchQuality) = (notchHertz, notchQuality)
  }
}

/// The filters of one sampling rate: a Butterworth band-pass of order 4, then a notch, each applied
/// forward and backward.
public struct RecordingFilter: Sendable {
  public let settings: FilterSettings
  public let sampleRate: Double
  /// The pass band as it was designed: the settings' edges, kept below half of the sampling rate.
  public let bandHertz: ClosedRange<Double>
  /// The filters in their order.
  public let stages: [ZeroPhaseFilter]

  /// - Throws: ``SignalProcessingError`` when the rate leaves no room for the band or the notch.
  public init(
    _ settings: FilterSettings = FilterSettings(), sampleRate: Double
  ) throws(SignalProcessingError) {
    for (name, value) in [
      ("sampling rate", sampleRate), ("lower edge of the pass band", settings.lowHertz),
      ("upper edge of the pass band", settings.highHertz),
      ("notch's frequency", settings.notchHertz ?? 1), ("notch's quality", settings.notchQuality),
    ] {
      guard value > 0, value.isFinite else { throw .notPositive(setting: name, value: value) }
    }
    let nyquist = sampleRate / 2
    let low = max(0.001, min(settings.lowHertz / nyquist, 0.99))
    let high = max(low + 0.01, min(settings.highHertz / nyquist, 0.999))
    guard high < 1 else {
      throw .bandAboveNyquist(lowHertz: settings.lowHertz, nyquistHertz: nyquist)
    }
    // Three times the number of coefficients of the filter as one quotient: 9 and 3.
    var stages = [
      ZeroPhaseFilter(.butterworthBandPass(low: low, high: high), padding: 27)
    ]
    if let notch = settings.notchHertz {
      guard notch < nyquist else {
        throw .notchAboveNyquist(notchHertz: notch, nyquistHertz: nyquist)
      }
      let series = SecondOrderSections.notch(
        frequency: notch / nyquist, quality: settings.notchQuality)
      // A notch as wide as all frequencies together is none.
      let isNarrow = notch / settings.notchQuality < nyquist
      guard notch >= Self.lowestNotch, isNarrow, series.isSound else {
        throw .unsoundNotch(notchHertz: notch, quality: settings.notchQuality)
      }
      stages.append(ZeroPhaseFilter(series, padding: 9))
    }
    self.settings = settings
    self.sampleRate = sampleRate
    bandHertz = low * nyquist...high * nyquist
    self.stages = stages
  }

  /// Hertz. No mains hums below it, and near zero a notch's coefficients lose their digits.
  public static let lowestNotch = 1.0

  /// The fewest samples a recording must have.
  public var minimumSamples: Int { (stages.map(\.padding).max() ?? 0) + 1 }

  /// Filters every channel in place.
  ///
  /// - Throws: ``SignalProcessingError/recordingTooShort(samples:required:)`` below
  ///   ``minimumSamples``.
  public func apply(to signal: inout SignalBlocks) throws(SignalProcessingError) {
    guard signal.samples >= minimumSamples else {
      throw .recordingTooShort(samples: signal.samples, required: minimumSamples)
    }
    for stage in stages { try stage.apply(to: &signal) }
  }

  /// Filters interleaved samples `[T, C]`.
  public func filtered(
    _ samples: [Double], channels: Int
  ) throws(SignalProcessingError) -> [Double] {
    var signal = SignalBlocks(samples, channels: channels)
    try apply(to: &signal)
    return signal.interleaved
  }

  /// The same filters applied forward only, for a signal that is still arriving. They delay it, and
  /// a network trained on zero-phase signals has not seen that.
  public func streaming(channels: Int) -> StreamingFilter {
    StreamingFilter(SecondOrderSections(stages.flatMap(\.series.sections)), channels: channels)
  }
}
