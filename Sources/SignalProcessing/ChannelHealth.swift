/// What one channel of a recording is like before any filter: whether it is alive, within its
/// instrument's range, and a signal at all.
public struct ChannelHealth: Hashable, Sendable {
  /// A sample that stands far out.
  public struct Peak: Hashable, Sendable {
    /// Its position, from 0.
    public let sample: Int
    public let value: Double
    /// Its distance from the median over the usual distance: 1.4826 times the median one, which is
    /// the deviation of a normal signal and not moved by the peak itself; where that is 0, the mean one.
    public let distance: Double
  }

  public let mean: Double
  /// The population's standard deviation.
  public let deviation: Double
  public let lowest: Double
  public let highest: Double
  /// The share of steps from one sample to the next that change nothing; 1 for a constant.
  public let unchangedShare: Double
  /// Of the steps that change something, the share that go up, or down, whichever is more; a half
  /// for a signal, 1 for a time or a counter. Nil where fewer than 16 steps change anything.
  public let risingShare: Double?
  /// The share of samples that stand at the lowest or highest value beside another that does.
  public let clippedShare: Double
  /// The sample that is farthest from the mean, where it is far out.
  public let peak: Peak?
  /// The samples of the first stretch in which it stands still for as long as was asked about, and
  /// the share of all samples that lie in such stretches; nil for none, and for a channel of few
  /// values, which may well rest.
  public private(set) var stillStretch: Range<Int>?
  public private(set) var stillShare = 0.0
  /// Whether its values are few: a quiet channel of a coarse instrument. Told where a hundredth of its
  /// steps change nothing; false elsewhere.
  public let isCoarse: Bool

  /// Of `values`, which has every channel's samples interleaved `[T, C]`; at least one sample.
  ///
  /// - Parameter still: samples without a change that are told as a still stretch.
  public init(
    _ values: UnsafeBufferPointer<Double>, channel: Int, channels: Int, still: Int = .max
  ) {
    let count = values.count / channels
    let at = { (sample: Int) in values[sample * channels + channel] }
    var (sum, low, high, rising, falling) = (0.0, at(0), at(0), 0, 0)
    var last = at(0)
    // Where the value came to be what it is, and the stretches that were still.
    var (start, stillSamples, firstStill) = (0, 0, Range<Int>?.none)
    func end(at sample: Int) {
      if sample - start >= still {
        stillSamples += sample - start
        firstStill = firstStill ?? start..<sample
      }
      start = sample
    }
    for sample in 0..<count {
      let value = at(sample)
      if value != last { end(at: sample) }
      sum += value
      low = value < low ? value : low
      high = value > high ? value : high
      rising += value > last ? 1 : 0
      falling += value < last ? 1 : 0
      last = value
    }
    end(at: count)
    let mean = sum / Double(count)
    var (squares, distances) = (0.0, 0.0)
    for sample in 0..<count {
      let distance = at(sample) - mean
      squares += distance * distance
      distances += abs(distance)
    }
    let steps = max(1, count - 1)
    (self.mean, lowest, highest) = (mean, low, high)
    deviation = low == high ? 0 : (squares / Double(count)).squareRoot()
    unchangedShare = count > 1 ? 1 - Double(rising + falling) / Double(steps) : 1
    risingShare =
      rising + falling < 16 ? nil : Double(max(rising, falling)) / Double(rising + falling)
    // The rest is only worked out where it can be of interest: most channels pass here.
    let equalSteps = count - 1 - rising - falling
    (clippedShare, isCoarse) =
      equalSteps * 100 < count && firstStill == nil
      ? (0, false) : Self.clippedShare(count: count, low: low, high: high, at)
    if !isCoarse, low < high {
      (stillStretch, stillShare) = (firstStill, Double(stillSamples) / Double(count))
    }
    let farthest = max(high - mean, mean - low)
    peak =
      farthest * Double(count) > 20 * distances
      ? Self.peak(
        count: count, mean: mean, meanDistance: distances / Double(count), at) : nil
  }

  /// The channels of a recording, `[T, C]` interleaved.
  public static func all(
    of values: UnsafeBufferPointer<Double>, channels: Int, still: Int = .max
  ) -> [ChannelHealth] {
    (0..<channels).map { ChannelHealth(values, channel: $0, channels: channels, still: still) }
  }

  /// The channels of a recording that lies in blocks, as it was loaded: before any filter.
  public static func all(of signal: SignalBlocks, still: Int = .max) -> [ChannelHealth] {
    (0..<signal.channels).map { channel in
      signal.blocks[channel / 8].withUnsafeBufferPointer { blocks in
        blocks.withMemoryRebound(to: Double.self) {
          ChannelHealth($0, channel: channel % 8, channels: 8, still: still)
        }
      }
    }
  }

  private static func clippedShare(
    count: Int, low: Double, high: Double, _ at: (Int) -> Double
  ) -> (share: Double, isCoarse: Bool) {
    guard low < high else { return (0, false) }
    var (clipped, run, smallestStep) = (0, 1, Double.infinity)
    for sample in 1...count {
      let previous = at(sample - 1)
      if sample < count, at(sample) == previous {
        run += 1
        continue
      }
      if sample < count { smallestStep = min(smallestStep, abs(at(sample) - previous)) }
      if run > 1, previous == low || previous == high { clipped += run }
      run = 1
    }
    let share = Double(clipped) / Double(count)
    // A quiet channel of a coarse instrument has few values, and its extremes are among them.
    let isCoarse = (high - low) / smallestStep < 16
    return (isCoarse && share < 0.9 ? 0 : share, isCoarse)
  }

  private static func peak(
    count: Int, mean: Double, meanDistance: Double, _ at: (Int) -> Double
  ) -> Peak? {
    let middle = middle(of: count, at)
    let median = 1.4826 * self.middle(of: count) { abs(at($0) - middle) }
    // Where most samples are equal, as at rest on a coarse instrument, the median says nothing.
    let usual = median > 0 ? median : meanDistance
    let sample = (0..<count).max { abs(at($0) - mean) < abs(at($1) - mean) }
    guard let sample else { return nil }
    return Peak(sample: sample, value: at(sample), distance: abs(at(sample) - middle) / usual)
  }

  /// The value that would stand in the middle if all were sorted; of two the higher. It is found byte
  /// by byte, from the highest: sorting would need a copy, which a recording of hours has no room for.
  private static func middle(of count: Int, _ at: (Int) -> Double) -> Double {
    var (known, rank) = (UInt64(0), count / 2)
    for shift in stride(from: 56, through: 0, by: -8) {
      var counts = [Int](repeating: 0, count: 256)
      // The bits above those that are looked at now; none at first.
      let mask = shift == 56 ? 0 : UInt64.max << UInt64(shift + 8)
      for sample in 0..<count {
        let key = key(at(sample))
        if key & mask == known { counts[Int(truncatingIfNeeded: key >> UInt64(shift)) & 0xFF] += 1 }
      }
      var byte = 0
      while byte < 255, rank >= counts[byte] {
        rank -= counts[byte]
        byte += 1
      }
      known |= UInt64(byte) << UInt64(shift)
    }
    return value(known)
  }

  /// A number that is ordered as the value is.
  private static func key(_ value: Double) -> UInt64 {
    let bits = value.bitPattern
    return bits >> 63 == 1 ? ~bits : bits | 1 << 63
  }

  private static func value(_ key: UInt64) -> Double {
    Double(bitPattern: key >> 63 == 1 ? key & ~(1 << 63) : ~key)
  }
}
