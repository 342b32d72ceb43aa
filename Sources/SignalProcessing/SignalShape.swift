/// What a filtered recording is like, apart from what it shows: how strong each channel is, how
/// quickly the channels change, and how they hang together.
public struct SignalShape: Hashable, Sendable {
  /// The population's standard deviation of each channel; 0 for one a thousand million times weaker
  /// than the strongest: what rounding leaves of a constant in a filter.
  public let deviation: [Double]
  /// The root mean square of the steps from one sample to the next over the deviation, the median of
  /// the channels that are not silent; it follows the sampling rate. 0 where all are silent.
  public let roughness: Double
  /// Pearson's r of each pair of channels, in the order (0, 1), (0, 2), …, (1, 2), …; 0 where one is
  /// silent. Empty where that is not worked out: below 4 and above 16 channels.
  public let correlation: [Double]
  /// Pairs of channels that are one signal: their correlation is 1 or −1, but for rounding. The lower
  /// channel first.
  public let twins: [Twins]

  public struct Twins: Hashable, Sendable {
    public let first, second: Int
  }

  /// A correlation from which on two channels are one signal. Found in real recordings: 0.996.
  static let sameSignal = 0.9999

  /// The numbers of channels whose correlation is worked out: among fewer, no order of them shows in
  /// it; for more, the work would outgrow the filters'.
  static let correlated = 4...16

  public init(_ signal: SignalBlocks) {
    let statistics = ChannelStatistics(signal)
    let strongest = statistics.deviation.max() ?? 0
    let deviation = statistics.deviation.map { $0 > 1e-9 * strongest ? $0 : 0 }
    self.deviation = deviation
    roughness = Self.roughness(signal, deviation: deviation)
    correlation =
      Self.correlated.contains(signal.channels)
      ? Self.correlation(signal, mean: statistics.mean, deviation: deviation) : []
    twins =
      correlation.isEmpty
      ? Self.equalChannels(signal, deviation: deviation)
      : zip(Self.pairs(of: signal.channels), correlation).compactMap { pair, correlation in
        abs(correlation) >= Self.sameSignal ? Twins(first: pair.0, second: pair.1) : nil
      }
  }

  /// Neighbours among the channels sorted by deviation that are the same sample by sample.
  private static func equalChannels(_ signal: SignalBlocks, deviation: [Double]) -> [Twins] {
    let sorted = deviation.indices.sorted { (deviation[$0], $0) < (deviation[$1], $1) }
    return zip(sorted, sorted.dropFirst()).filter { first, second in
      deviation[first] > 0 && deviation[first] == deviation[second]
        && (0..<signal.samples).allSatisfy { signal[$0, first] == signal[$0, second] }
    }.map { Twins(first: $0, second: $1) }
  }

  /// How alike two correlations are: Pearson's r of the pairs' values.
  public static func likeness(_ a: [Double], _ b: [Double]) -> Double {
    precondition(a.count == b.count, "correlations of other channels")
    let count = Double(max(1, a.count))
    let (meanA, meanB) = (a.reduce(0, +) / count, b.reduce(0, +) / count)
    var (product, squaresA, squaresB) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      product += (x - meanA) * (y - meanB)
      squaresA += (x - meanA) * (x - meanA)
      squaresB += (y - meanB) * (y - meanB)
    }
    let scale = (squaresA * squaresB).squareRoot()
    return scale > 0 ? product / scale : 0
  }

  /// Its channels in another order: channel c of the result is `order[c]` of this.
  public func reordered(_ order: [Int]) -> SignalShape {
    SignalShape(
      deviation: order.map { deviation[$0] }, roughness: roughness,
      correlation: correlation.isEmpty
        ? []
        : Self.pairs(of: order.count).map { first, second in
          let (low, high) = (min(order[first], order[second]), max(order[first], order[second]))
          return correlation[Self.position(of: low, high, among: order.count)]
        },
      twins: twins.map { pair in
        let places = [pair.first, pair.second].compactMap(order.firstIndex).sorted()
        return Twins(first: places.first ?? pair.first, second: places.last ?? pair.second)
      })
  }

  private init(deviation: [Double], roughness: Double, correlation: [Double], twins: [Twins]) {
    (self.deviation, self.roughness, self.correlation) = (deviation, roughness, correlation)
    self.twins = twins
  }

  private static func pairs(of channels: Int) -> [(Int, Int)] {
    (0..<channels).flatMap { first in (first + 1..<channels).map { (first, $0) } }
  }

  private static func position(of low: Int, _ high: Int, among channels: Int) -> Int {
    low * channels - low * (low + 1) / 2 + high - low - 1
  }

  private static func roughness(_ signal: SignalBlocks, deviation: [Double]) -> Double {
    var ratios: [Double] = []
    for group in 0..<signal.groups {
      let part = signal.blocks[group]
      var squares = SignalBlocks.Block.zero
      for (last, next) in zip(part, part.dropFirst()) { squares += (next - last) * (next - last) }
      for channel in 8 * group..<min(8 * group + 8, signal.channels) where deviation[channel] > 0 {
        let step = (squares[channel - 8 * group] / Double(max(1, part.count - 1))).squareRoot()
        ratios.append(step / deviation[channel])
      }
    }
    return ratios.isEmpty ? 0 : ratios.sorted()[ratios.count / 2]
  }

  private static func correlation(
    _ signal: SignalBlocks, mean: [Double], deviation: [Double]
  ) -> [Double] {
    let count = signal.samples
    var products = [[Double]](
      repeating: [Double](repeating: 0, count: 8 * signal.groups), count: signal.channels)
    for channel in 0..<signal.channels {
      let own = signal.blocks[channel / 8]
      for group in channel / 8..<signal.groups {
        var sum = SignalBlocks.Block.zero
        for (a, b) in zip(own, signal.blocks[group]) { sum += b * a[channel % 8] }
        for lane in 0..<8 { products[channel][8 * group + lane] = sum[lane] }
      }
    }
    return pairs(of: signal.channels).map { first, second in
      let scale = deviation[first] * deviation[second]
      guard scale > 0 else { return 0 }
      return (products[first][second] / Double(count) - mean[first] * mean[second]) / scale
    }
  }
}
