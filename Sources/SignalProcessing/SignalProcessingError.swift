/// What can be wrong with a recording or with the settings of a filter.
public enum SignalProcessingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A setting, named in words, is not a positive, finite number.
  case notPositive(setting: String, value: Double)
  /// The sampling rate gives windows without a sample between their starts, or absurdly long ones.
  case rateUnfitForWindows(rateHertz: Double)
  /// The sampling rate leaves no room for a pass band below half of it.
  case bandAboveNyquist(lowHertz: Double, nyquistHertz: Double)
  /// The notch lies at or above half of the sampling rate, where no filter can be.
  case notchAboveNyquist(notchHertz: Double, nyquistHertz: Double)
  /// The notch is so low, or so narrow, that no such filter can be computed with.
  case unsoundNotch(notchHertz: Double, quality: Double)
  /// The recording has not one sample more than the filter's extension of it mirrors.
  case recordingTooShort(samples: Int, required: Int)

  /// Whether the recording is at fault; otherwise the settings contradict each other.
  public var isBadData: Bool {
    if case .recordingTooShort = self { true } else { false }
  }

  public var description: String {
    switch self {
    case .notPositive(let setting, let value):
      "the \(setting) is \(value); expected a positive number"
    case .rateUnfitForWindows(let rate):
      "windows of 0.4 s every 0.16 s need a sampling rate from 6.25 Hz to 1 MHz, found \(rate) Hz"
    case .bandAboveNyquist(let low, let nyquist):
      "a pass band from \(low) Hz does not fit below \(nyquist) Hz, half of the sampling rate; "
        + "give the recordings' true rate with --sample-rate"
    case .notchAboveNyquist(let notch, let nyquist):
      "a notch at \(notch) Hz needs a sampling rate above \(2 * notch) Hz, and half of the rate "
        + "given is \(nyquist) Hz; use --notch off, or give the true rate with --sample-rate"
    case .unsoundNotch(let notch, let quality):
      "a notch at \(notch) Hz with a quality of \(quality) cannot be computed; mains hum is at 50 "
        + "or 60 Hz: give its frequency with --notch, from 1 Hz, or --notch off"
    case .recordingTooShort(let samples, let required):
      "\(samples) samples are too few to filter; expected at least \(required)"
    }
  }
}
