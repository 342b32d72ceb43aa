/// How a recording is cut into windows: their length and the step from one start to the next.
public struct WindowGeometry: Hashable, Sendable, Codable {
  /// Samples a window.
  public let length: Int
  /// Samples from one window's start to the next one's.
  public let stride: Int

  public init(length: Int, stride: Int) {
    precondition(length > 0 && stride > 0, "windows of \(length) samples every \(stride)")
    self.length = length
    self.stride = stride
  }

  /// Windows of 0.4 s every 0.16 s, both rounded down to samples: 204 and 81 at 512 Hz.
  ///
  /// - Throws: ``SignalProcessingError`` below 6.25 Hz, where a step has no sample, and above 1 MHz.
  public init(sampleRate: Double) throws(SignalProcessingError) {
    guard sampleRate > 0, sampleRate.isFinite else {
      throw .notPositive(setting: "sampling rate", value: sampleRate)
    }
    guard (6.25...1e6).contains(sampleRate) else {
      throw .rateUnfitForWindows(rateHertz: sampleRate)
    }
    self.init(length: Int(0.4 * sampleRate), stride: Int(0.16 * sampleRate))
  }

  /// How many whole windows `samples` hold.
  public func count(in samples: Int) -> Int {
    samples < length ? 0 : (samples - length) / stride + 1
  }

  /// Where the windows of a recording of `samples` start.
  public func starts(in samples: Int) -> some Sequence<Int> {
    (0..<count(in: samples)).lazy.map { $0 * stride }
  }
}
