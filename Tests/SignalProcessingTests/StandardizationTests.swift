import Foundation
import SignalProcessing
import Testing

@Suite struct StandardizationTests {
  @Test(arguments: ScipyCase.all)
  func agreesWithNumPy(_ expected: ScipyCase) {
    let statistics = ChannelStatistics(
      SignalBlocks(expected.signal, channels: ScipyCase.channels))
    for channel in 0..<ScipyCase.channels {
      #expect(abs(statistics.mean[channel] - expected.inputMean[channel]) < 1e-14)
      #expect(abs(statistics.deviation[channel] - expected.inputDeviation[channel]) < 1e-14)
    }
  }

  @Test(arguments: [1, 3, 8, 11])
  func mergedPartsEqualTheWhole(channels: Int) {
    // An offset a million times the deviation, which sums of squares would not survive.
    let signal = ScipyCase.signal(samples: 100, channels: channels).map { $0 + 1e5 }
    let whole = ChannelStatistics(SignalBlocks(signal, channels: channels))
    var merged = ChannelStatistics(channels: channels)
    for range in [0..<1, 1..<1, 1..<38, 38..<100] {
      let part = Array(signal[range.lowerBound * channels..<range.upperBound * channels])
      merged.merge(ChannelStatistics(SignalBlocks(part, channels: channels)))
    }
    #expect(merged.count == 100)
    for channel in 0..<channels {
      #expect(abs(merged.mean[channel] - whole.mean[channel]) < 1e-9)
      #expect(abs(merged.deviation[channel] / whole.deviation[channel] - 1) < 1e-8)
    }
  }

  @Test(arguments: [1, 3, 8, 11])
  func scalesToZeroMeanAndUnitDeviation(channels: Int) {
    let signal = ScipyCase.signal(samples: 500, channels: channels)
    let statistics = ChannelStatistics(SignalBlocks(signal, channels: channels))
    let standardization = Standardization(statistics)
    var values = signal.map { Float($0) }
    values.withUnsafeMutableBufferPointer { standardization.apply(to: $0) }
    for (index, value) in values.enumerated() {
      let (mean, deviation) =
        (statistics.mean[index % channels], statistics.deviation[index % channels])
      let expected = (Double(Float(signal[index])) - mean) / (deviation + 1e-8)
      #expect(abs(Double(value) - expected) <= 1e-7 * abs(expected) + 1e-15)
    }
    let after = ChannelStatistics(SignalBlocks(values.map { Double($0) }, channels: channels))
    for channel in 0..<channels {
      #expect(abs(after.mean[channel]) < 1e-6 && abs(after.deviation[channel] - 1) < 1e-6)
    }
  }

  @Test func aSilentChannelBecomesZeros() {
    let standardization = Standardization(mean: [0.5], deviation: [0])
    var values: [Float] = [0.5, 0.5]
    values.withUnsafeMutableBufferPointer { standardization.apply(to: $0) }
    #expect(values == [0, 0])
  }

  @Test(arguments: [1, 8, 9])
  func findsSamplesBeyondALimit(channels: Int) {
    var signal = ScipyCase.signal(samples: 13, channels: channels)
    for (index, value) in [(3 * channels, -7.0), (5 * channels - 1, 8), (0, 1e300)] {
      let limit = abs(value).nextDown
      #expect(!SignalBlocks(signal, channels: channels).exceeds(limit))
      signal[index] = value
      #expect(SignalBlocks(signal, channels: channels).exceeds(limit))
      #expect(!SignalBlocks(signal, channels: channels).exceeds(abs(value)))
    }
    #expect(!SignalBlocks(channels: channels).exceeds(0))
  }

  @Test(arguments: [1, 8, 9])
  func blocksGiveBackWhatTheyTook(channels: Int) {
    let signal = ScipyCase.signal(samples: 13, channels: channels)
    #expect(SignalBlocks(signal, channels: channels).interleaved == signal)
    let narrow = signal.map { Float($0) }
    var blocks = SignalBlocks(channels: channels)
    signal.withUnsafeBufferPointer { blocks.load($0) }
    #expect(blocks.interleaved == signal)
    narrow[(3 * channels)...].withUnsafeBufferPointer { blocks.load($0) }
    #expect(blocks.interleaved == narrow[(3 * channels)...].map { Double($0) })
    narrow.withUnsafeBufferPointer { blocks.load($0) }
    var back = [Float](repeating: .nan, count: narrow.count)
    back.withUnsafeMutableBufferPointer { blocks.write(to: $0) }
    #expect(back == narrow)
  }
}
