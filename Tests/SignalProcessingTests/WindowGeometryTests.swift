import SignalProcessing
import Testing

@Suite struct WindowGeometryTests {
  @Test func followsTheSamplingRate() throws {
    #expect(try WindowGeometry(sampleRate: 512) == WindowGeometry(length: 204, stride: 81))
    #expect(try WindowGeometry(sampleRate: 1000) == WindowGeometry(length: 400, stride: 160))
    #expect(try WindowGeometry(sampleRate: 2000) == WindowGeometry(length: 800, stride: 320))
  }

  @Test func countsWholeWindowsOnly() throws {
    let geometry = try WindowGeometry(sampleRate: 512)
    let counts = [0: 0, 203: 0, 204: 1, 284: 1, 285: 2, 2560: 30]
    for (samples, count) in counts {
      #expect(geometry.count(in: samples) == count)
      #expect(Array(geometry.starts(in: samples)) == (0..<count).map { 81 * $0 })
    }
  }

  @Test func lastWindowEndsWithinTheRecording() {
    let geometry = WindowGeometry(length: 5, stride: 3)
    for samples in 0..<40 {
      let starts = Array(geometry.starts(in: samples))
      #expect(starts.allSatisfy { $0 + 5 <= samples })
      if let last = starts.last { #expect(last + 3 + 5 > samples) }
    }
  }

  @Test func refusesRatesThatLeaveNoStep() {
    for rate in [0, -1, 6, 1e300, .nan, .infinity] {
      #expect(throws: SignalProcessingError.self) { try WindowGeometry(sampleRate: rate) }
    }
  }
}
