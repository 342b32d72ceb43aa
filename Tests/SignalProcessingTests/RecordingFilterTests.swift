import Foundation
import SignalProcessing
import Testing

@Suite struct RecordingFilterTests {
  @Test func everyFixtureCaseIsRead() {
    #expect(ScipyCase.all.count == 10)
  }

  @Test(arguments: ScipyCase.all)
  func agreesWithSosfiltfilt(_ expected: ScipyCase) throws {
    let filtered = try expected.filter().filtered(expected.signal, channels: ScipyCase.channels)
    #expect(expected.error(of: filtered, from: expected.zeroPhase) < 1e-9)
  }

  /// The published pipeline's one quotient of eighth order loses digits of its own near half of the
  /// sampling rate, hence the wider bound at 512 Hz.
  @Test(arguments: ScipyCase.all.filter { [512, 1000, 2000].contains($0.rate) })
  func agreesWithPublishedFiltfilt(_ expected: ScipyCase) throws {
    let filtered = try expected.filter().filtered(expected.signal, channels: ScipyCase.channels)
    let error = expected.error(of: filtered, from: expected.published)
    #expect(error < (expected.rate == 512 ? 1e-6 : 1e-9))
  }

  @Test func designsTheBandThatFitsBelowHalfTheRate() throws {
    let at512 = try RecordingFilter(sampleRate: 512).bandHertz
    #expect(at512.lowerBound == 20)
    #expect(abs(at512.upperBound - 255.744) < 1e-9)
    let at2000 = try RecordingFilter(sampleRate: 2000).bandHertz
    #expect(at2000.lowerBound == 20 && at2000.upperBound == 450)
  }

  /// Whatever is filtered piece by piece is what the whole, extended at both ends, would be.
  @Test(arguments: [28, 255, 256, 257, 700])
  func theEndsAreMirroredToTheBit(samples: Int) throws {
    let filter = try RecordingFilter(sampleRate: 512)
    let signal = (0..<samples).map { (sample: Int) -> Double in
      Double((sample * 7919 + 13) % 1000) / 500 - 1
    }
    var expected = signal
    for stage in filter.stages {
      let (first, last) = (expected[0], expected[samples - 1])
      var extended: [Double] = []
      for index in 0..<stage.padding {
        extended.append(2 * first - expected[stage.padding - index])
      }
      extended += expected
      for index in 0..<stage.padding { extended.append(2 * last - expected[samples - 2 - index]) }
      for _ in 0..<2 {
        var pass = StreamingFilter(stage.series, channels: 1)
        pass.settle(on: [extended[0]])
        pass.process(&extended)
        extended.reverse()
      }
      expected = Array(extended.dropFirst(stage.padding).prefix(samples))
    }
    #expect(try filter.filtered(signal, channels: 1) == expected)
  }

  @Test func refusesANotchAtOrAboveHalfTheRate() {
    for rate in [100.0, 80] {
      #expect(
        throws: SignalProcessingError.notchAboveNyquist(notchHertz: 50, nyquistHertz: rate / 2)
      ) { try RecordingFilter(sampleRate: rate) }
    }
    #expect(throws: Never.self) {
      try RecordingFilter(FilterSettings(notchHertz: nil), sampleRate: 100)
    }
  }

  @Test func refusesRatesWithoutRoomForTheBand() {
    #expect(throws: SignalProcessingError.bandAboveNyquist(lowHertz: 20, nyquistHertz: 20)) {
      try RecordingFilter(FilterSettings(notchHertz: nil), sampleRate: 40)
    }
    for rate in [0, -512, .nan, .infinity] {
      #expect(throws: SignalProcessingError.self) { try RecordingFilter(sampleRate: rate) }
    }
    #expect(throws: SignalProcessingError.notPositive(setting: "notch's quality", value: 0)) {
      try RecordingFilter(FilterSettings(notchQuality: 0), sampleRate: 512)
    }
  }

  @Test func tellsBadDataFromBadSettings() {
    #expect(SignalProcessingError.recordingTooShort(samples: 27, required: 28).isBadData)
    #expect(!SignalProcessingError.notchAboveNyquist(notchHertz: 60, nyquistHertz: 50).isBadData)
  }

  @Test func refusesRecordingsNotLongerThanTheExtension() throws {
    let filter = try RecordingFilter(sampleRate: 512)
    for samples in [0, 1, 27] {
      #expect(throws: SignalProcessingError.recordingTooShort(samples: samples, required: 28)) {
        try filter.filtered([Double](repeating: 0, count: 2 * samples), channels: 2)
      }
    }
    #expect(try filter.filtered([Double](repeating: 0, count: 56), channels: 2).count == 56)
  }

  @Test(arguments: [1, 3, 7, 8, 9, 17])
  func filtersAChannelAsIfItWereAlone(channels: Int) throws {
    let filter = try RecordingFilter(sampleRate: 512)
    let signal = ScipyCase.signal(samples: 90, channels: channels)
    let together = try filter.filtered(signal, channels: channels)
    for channel in 0..<channels {
      let picked = stride(from: channel, to: signal.count, by: channels)
      let alone = try filter.filtered(picked.map { signal[$0] }, channels: 1)
      #expect(alone == picked.map { together[$0] })
    }
  }

  @Test func aLoadedAgainSignalIsFilteredAsANewOne() throws {
    let filter = try RecordingFilter(sampleRate: 512)
    var reused = SignalBlocks(channels: 9)
    for samples in [60, 200, 90] {
      let signal = ScipyCase.signal(samples: samples, channels: 9)
      signal.withUnsafeBufferPointer { reused.load($0) }
      try filter.apply(to: &reused)
      #expect(try reused.interleaved == filter.filtered(signal, channels: 9))
    }
  }

  @Test func keepsTheBandAndRemovesOffsetAndHum() throws {
    // 6 s of a 100 Hz signal, 50 Hz hum and an offset. The notch is 50/30 Hz wide and so settles
    // with a time constant of 0.2 s: the middle second is ten of them from either end.
    let filter = try RecordingFilter(sampleRate: 1000)
    func tone(_ hertz: Double, _ time: Int) -> Double {
      sin(2 * .pi * hertz * Double(time) / 1000)
    }
    let wanted = (0..<6000).map { tone(100, $0) }
    let signal = (0..<6000).map { wanted[$0] + tone(50, $0) + 5 }
    let filtered = try filter.filtered(signal, channels: 1)
    for time in 2500..<3500 {
      #expect(abs(filtered[time] - wanted[time]) < 1e-3)
    }
  }
}

@Suite struct UnsoundFilterTests {
  @Test(arguments: [(1e-7, 30), (0.99, 30), (50, 1e18), (50, 1e-300), (50, 0.1), (1e-300, 30)])
  func aNotchThatCannotBeComputedIsRefusedWhenItIsBuilt(notch: Double, quality: Double) {
    let settings = FilterSettings(notchHertz: notch, notchQuality: quality)
    let error = #expect(throws: SignalProcessingError.self) {
      try RecordingFilter(settings, sampleRate: 512)
    }
    #expect(error == .unsoundNotch(notchHertz: notch, quality: quality))
    #expect(error?.isBadData == false && error?.description.contains("--notch off") == true)
  }

  @Test(arguments: [1.0, 16.7, 50, 60, 255.9])
  func everyOtherNotchLeavesNumbers(notch: Double) throws {
    let filter = try RecordingFilter(FilterSettings(notchHertz: notch), sampleRate: 512)
    let output = try filter.filtered((0..<600).map { Double($0 % 7) - 3 }, channels: 1)
    #expect(output.allSatisfy { abs($0) < 100 })
  }
}
