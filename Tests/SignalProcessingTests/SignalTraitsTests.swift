import Foundation
import SignalProcessing
import Testing

/// What tells a signal from a counter, a constant, a clipped channel and other signals.
@Suite struct SignalTraitsTests {
  /// Noise between −1 and 1, the same on every run, to 10⁻⁶ as a file has it.
  private static func noise(_ count: Int, seed: UInt64 = 1) -> [Double] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return ((Double(state >> 33) / Double(1 << 30) - 1) * 1e6).rounded() / 1e6
    }
  }

  private func health(_ values: [Double]) -> ChannelHealth {
    values.withUnsafeBufferPointer { ChannelHealth($0, channel: 0, channels: 1) }
  }

  @Test func noiseIsAlive() {
    let noise = Self.noise(600)
    let found = health(noise)
    #expect(found.unchangedShare < 0.01)
    #expect(found.clippedShare == 0)
    #expect(found.peak == nil)
    #expect(abs((found.risingShare ?? 0) - 0.5) < 0.1)
    #expect(found.lowest == noise.min() && found.highest == noise.max())
    let mean = noise.reduce(0, +) / 600
    let squares = noise.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    #expect(abs(found.deviation - (squares / 600).squareRoot()) < 1e-12)
  }

  @Test func timesAndCountersRise() {
    let count = 300
    let counters: [(Int) -> Double] = [
      { 1.7e9 + Double($0) / 512 }, { -Double($0) }, { Double($0 % 8) }, { Double($0 / 4) },
    ]
    for counter in counters {
      #expect((health((0..<count).map(counter)).risingShare ?? 0) > 0.85)
    }
    // Too few steps to say: a label that changes twice.
    #expect(health((0..<count).map { Double($0 / 100) }).risingShare == nil)
  }

  @Test func aConstantNeverChanges() {
    let found = health([Double](repeating: 0.1, count: 300))
    #expect(found.unchangedShare == 1)
    #expect(found.deviation == 0)
    #expect(found.peak == nil)
    #expect(health([1]).unchangedShare == 1)
  }

  @Test func clippedSamplesAreCountedAndCoarseOnesAreNot() {
    let noise = Self.noise(1000)
    // Uniform noise between ±1: a fifth lies beyond ±0.8, nearly a half of it beside another.
    let share = health(noise.map { min(max($0, -0.8), 0.8) }).clippedShare
    #expect((0.01...0.1).contains(share))
    // Nearly all samples are at a limit, three quarters of them beside another at the same one.
    #expect((0.65...0.8).contains(health(noise.map { min(max(50 * $0, -1), 1) }).clippedShare))
    #expect(health(noise.map { (3 * $0).rounded() }).clippedShare == 0)
  }

  @Test func anOutlierIsFoundWhereItIs() throws {
    for (value, least) in [(1e6, 5e5), (-40.0, 30)] {
      var noise = Self.noise(300)
      noise[123] = value
      let peak = try #require(health(noise).peak)
      #expect(peak.sample == 123)
      #expect(peak.value == value)
      #expect(peak.distance > least && peak.distance < 10 * least)
    }
    // Mostly equal samples, as at rest on a coarse instrument, with bursts.
    let sparse = (0..<1000).map { sample -> Double in
      if sample % 50 == 0 { return 60 }
      return sample % 4 == 0 ? Double(sample % 3 - 1) : 0
    }
    #expect((health(sparse).peak?.distance ?? 0) < 300)
  }

  /// By sorting, which the search for the middle does without.
  @Test func theMiddleIsWhatSortingFinds() throws {
    for count in [300, 301, 302] {
      for scale in [1e-12, 1, 1e9] {
        var values = Self.noise(count, seed: UInt64(count)).map { scale * ($0 - 0.3) }
        values[7] = 1e3 * scale
        values[8] = -0.0
        let found = try #require(health(values).peak)
        let middle = values.sorted()[count / 2]
        let usual = 1.4826 * values.map { abs($0 - middle) }.sorted()[count / 2]
        #expect(found.distance == abs(values[7] - middle) / usual)
      }
    }
  }

  @Test func channelsInBlocksAreLookedAtAsThoseInRows() {
    for channels in [1, 7, 8, 9, 17] {
      let rows = Self.noise(64 * channels, seed: UInt64(channels))
      let expected = rows.withUnsafeBufferPointer { ChannelHealth.all(of: $0, channels: channels) }
      #expect(ChannelHealth.all(of: SignalBlocks(rows, channels: channels)) == expected)
    }
  }

  private func signal(_ channels: [[Double]]) -> SignalBlocks {
    let values = channels[0].indices.flatMap { sample in channels.map { $0[sample] } }
    return SignalBlocks(values, channels: channels.count)
  }

  @Test(arguments: [4, 8, 11])
  func shapeIsWhatItsDefinitionsSay(count: Int) {
    let common = Self.noise(400, seed: 99)
    let channels: [[Double]] = (0..<count).map { channel in
      let own = Self.noise(400, seed: UInt64(channel + 1))
      let share = 0.2 * Double(channel)
      return (0..<400).map { share * common[$0] + own[$0] + 3 }
    }
    let shape = SignalShape(signal(channels))
    func product(_ first: Int, _ second: Int) -> Double {
      let (a, b) = (channels[first], channels[second])
      let (meanA, meanB) = (a.reduce(0, +) / 400, b.reduce(0, +) / 400)
      var sum = 0.0
      for sample in 0..<400 { sum += (a[sample] - meanA) * (b[sample] - meanB) }
      return sum / 400
    }
    var pair = 0
    for first in 0..<count {
      let deviation = product(first, first).squareRoot()
      #expect(abs(shape.deviation[first] - deviation) < 1e-12)
      for second in first + 1..<count {
        let r: Double = product(first, second) / deviation / product(second, second).squareRoot()
        #expect(abs(shape.correlation[pair] - r) < 1e-10)
        pair += 1
      }
    }
    #expect(shape.correlation.count == pair)
    #expect(SignalShape.likeness(shape.correlation, shape.correlation) > 1 - 1e-12)
    let order = Array((0..<count).reversed())
    let reversed = SignalShape(signal(order.map { channels[$0] }))
    #expect(shape.reordered(order).deviation == reversed.deviation)
    let correlation = shape.reordered(order).correlation
    for pair in correlation.indices {
      let difference: Double = correlation[pair] - reversed.correlation[pair]
      #expect(abs(difference) < 1e-12)
    }
  }

  @Test func roughnessFollowsTheSamplingRate() {
    let wave = { (step: Double) in
      SignalShape(self.signal([(0..<2000).map { sin(Double($0) * step) }])).roughness
    }
    #expect(abs(wave(0.2) / wave(0.1) - 2) < 0.01)
    #expect(SignalShape(signal([[1, 1, 1]])).roughness == 0)
  }

  @Test func statisticsAreReordered() {
    let channels = (0..<3).map { channel in Self.noise(50, seed: UInt64(channel)).map { $0 + 1 } }
    let order = [2, 0, 1]
    let found = ChannelStatistics(signal(channels)).reordered(order)
    #expect(found == ChannelStatistics(signal(order.map { channels[$0] })))
  }
}
