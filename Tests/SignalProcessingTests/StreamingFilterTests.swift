import SignalProcessing
import Testing

@Suite struct StreamingFilterTests {
  @Test(arguments: ScipyCase.all)
  func agreesWithSosfilt(_ expected: ScipyCase) throws {
    var filter = try expected.filter().streaming(channels: ScipyCase.channels)
    var signal = expected.signal
    filter.process(&signal)
    #expect(expected.error(of: signal, from: expected.streamed) < 1e-9)
  }

  @Test(arguments: ScipyCase.all)
  func agreesWithSosfiltWhenSettledOnTheFirstSample(_ expected: ScipyCase) throws {
    var filter = try expected.filter().streaming(channels: ScipyCase.channels)
    var signal = expected.signal
    filter.settle(on: Array(signal[..<ScipyCase.channels]))
    filter.process(&signal)
    #expect(expected.error(of: signal, from: expected.streamedFromSettled) < 1e-9)
  }

  @Test(arguments: [1, 2, 7, 64])
  func givesTheSameBitsHoweverTheSignalIsCut(chunk: Int) throws {
    let channels = 9
    let whole = ScipyCase.signal(samples: 130, channels: channels)
    var filter = try RecordingFilter(sampleRate: 512).streaming(channels: channels)
    var expected = whole
    filter.process(&expected)

    filter.reset()
    var pieces: [Double] = []
    for start in stride(from: 0, to: whole.count, by: chunk * channels) {
      var piece = Array(whole[start..<min(start + chunk * channels, whole.count)])
      filter.process(&piece)
      pieces += piece
    }
    #expect(pieces == expected)
  }

  @Test func anEmptyChunkChangesNothing() throws {
    var filter = try RecordingFilter(sampleRate: 512).streaming(channels: 2)
    var empty: [Double] = []
    filter.process(&empty)
    #expect(empty.isEmpty)
  }

  @Test func settledOnAConstantItAnswersWithTheFixedGain() throws {
    // The band-pass stops a constant; after settling there is no transient at all.
    var filter = try RecordingFilter(sampleRate: 512).streaming(channels: 1)
    filter.settle(on: [3])
    var signal = [Double](repeating: 3, count: 50)
    filter.process(&signal)
    #expect(signal.allSatisfy { abs($0) < 1e-12 })
  }
}
