/// Mean and squared deviations of each channel, which can be merged over recordings.
///
/// Merging follows Chan, Golub and LeVeque (1983): no sum of squares of the samples themselves, so
/// an offset does not eat the digits. The result depends on the order of merging only in the last
/// bits; merge in one fixed order where the same bits are wanted.
public struct ChannelStatistics: Hashable, Sendable {
  /// Samples seen, the same for every channel.
  public private(set) var count = 0
  public private(set) var mean: [Double]
  /// Sum of (x − mean)² of each channel.
  private var squaredDeviations: [Double]

  public init(channels: Int) {
    mean = Array(repeating: 0, count: channels)
    squaredDeviations = mean
  }

  /// The statistics of one recording, in two passes.
  public init(_ signal: SignalBlocks) {
    self.init(channels: signal.channels)
    count = signal.samples
    guard count > 0 else { return }
    for group in 0..<signal.groups {
      signal.blocks[group].withUnsafeBufferPointer { part in
        var sum = SignalBlocks.Block.zero
        for block in part { sum += block }
        let centre = sum / Double(count)
        var squares = SignalBlocks.Block.zero
        for block in part { squares += (block - centre) * (block - centre) }
        for channel in 8 * group..<min(8 * group + 8, signal.channels) {
          mean[channel] = centre[channel - 8 * group]
          squaredDeviations[channel] = squares[channel - 8 * group]
        }
      }
    }
  }

  /// Takes in the samples that `other` has seen.
  public mutating func merge(_ other: ChannelStatistics) {
    precondition(mean.count == other.mean.count, "statistics of other channels")
    guard other.count > 0 else { return }
    let total = Double(count + other.count)
    let weight = Double(other.count) / total
    for channel in mean.indices {
      let difference = other.mean[channel] - mean[channel]
      mean[channel] += difference * weight
      squaredDeviations[channel] +=
        other.squaredDeviations[channel] + difference * difference * Double(count) * weight
    }
    count += other.count
  }

  /// The same with the channels in another order: channel c of the result is `order[c]` of this.
  public func reordered(_ order: [Int]) -> ChannelStatistics {
    var result = self
    result.mean = order.map { mean[$0] }
    result.squaredDeviations = order.map { squaredDeviations[$0] }
    return result
  }

  /// The population's standard deviation of each channel; zero where no sample was seen.
  public var deviation: [Double] {
    squaredDeviations.map { count > 0 ? ($0 / Double(count)).squareRoot() : 0 }
  }
}

/// Scaling of each channel to zero mean and unit deviation, (x − mean) / (deviation + 1e-8).
public struct Standardization: Hashable, Sendable, Codable {
  public var mean: [Double]
  public var deviation: [Double]

  /// Added to the deviation, so that a silent channel gives zeros and no NaN.
  public static let epsilon = 1e-8

  public init(mean: [Double], deviation: [Double]) {
    precondition(mean.count == deviation.count, "as many means as deviations")
    self.mean = mean
    self.deviation = deviation
  }

  public init(_ statistics: ChannelStatistics) {
    self.init(mean: statistics.mean, deviation: statistics.deviation)
  }

  public var channels: Int { mean.count }

  /// Standardizes interleaved samples `[T, C]` in place, computing in double precision.
  public func apply(to values: UnsafeMutableBufferPointer<Float>) {
    precondition(values.count % channels == 0, "no whole samples of \(channels) channels")
    let factor = deviation.map { 1 / ($0 + Self.epsilon) }
    if channels == 8 {
      var (mean8, factor8) = (SIMD8<Double>(), SIMD8<Double>())
      for channel in 0..<8 { (mean8[channel], factor8[channel]) = (mean[channel], factor[channel]) }
      for start in stride(from: 0, to: values.count, by: 8) {
        var block = SIMD8<Double>()
        for lane in 0..<8 { block[lane] = Double(values[start + lane]) }
        block = (block - mean8) * factor8
        for lane in 0..<8 { values[start + lane] = Float(block[lane]) }
      }
    } else {
      for index in values.indices {
        let channel = index % channels
        values[index] = Float((Double(values[index]) - mean[channel]) * factor[channel])
      }
    }
  }
}
