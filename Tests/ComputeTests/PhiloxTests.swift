import Compute
import Testing

@Suite struct PhiloxTests {
  /// The known answers that Random123 publishes for philox4x32 with 10 rounds (`kat_vectors`).
  @Test(arguments: [
    (
      SIMD4<UInt32>(repeating: 0), SIMD2<UInt32>(repeating: 0),
      SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
    ),
    (
      SIMD4<UInt32>(repeating: .max), SIMD2<UInt32>(repeating: .max),
      SIMD4<UInt32>(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
    ),
    (
      SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
      SIMD2<UInt32>(0xa409_3822, 0x299f_31d0),
      SIMD4<UInt32>(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
    ),
  ])
  func equalsThePublishedKnownAnswers(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>, expected: SIMD4<UInt32>
  ) {
    #expect(Philox.bits(counter: counter, key: key) == expected)
  }

  @Test func keyAndCounterHoldTheirWordsLowFirst() {
    #expect(Philox.key(seed: 0x0123_4567_89AB_CDEF) == SIMD2(0x89AB_CDEF, 0x0123_4567))
    #expect(
      Philox.counter(block: 3, stream: 5, step: 0x0000_0007_0000_0009) == SIMD4(3, 5, 9, 7))
  }

  @Test func lanesAreTheHalvesOfABlockLowFirst() {
    let key = Philox.key(seed: 42)
    let block = Philox.bits(counter: SIMD4(2, 256, 11, 0), key: key)
    for element in 0..<8 {
      let word = block[element / 2]
      let expected = element % 2 == 0 ? word & 0xFFFF : word >> 16
      #expect(Philox.lane(element: 16 + element, stream: 256, step: 11, key: key) == expected)
    }
  }

  @Test func normalsHaveTheMomentsOfTheStandardNormal() {
    let key = Philox.key(seed: 7)
    let count = 40_000
    let values = (0..<count).map { Philox.normal(element: $0, stream: 9, step: 1, key: key) }
    func moment(_ power: Int) -> Double {
      values.reduce(0) { sum, x in sum + (0..<power).reduce(1) { p, _ in p * x } } / Double(count)
    }
    // Five standard errors each: √(1, 2, 15, 96)/√n.
    #expect(abs(moment(1)) < 5 / 200)
    #expect(abs(moment(2) - 1) < 5 * 1.5 / 200)
    #expect(abs(moment(3)) < 5 * 3.9 / 200)
    #expect(abs(moment(4) - 3) < 5 * 9.8 / 200)
  }

  @Test func thresholdsRoundToTheNearestLane() {
    #expect(Philox.dropoutThreshold(rate: 0) == 0)
    #expect(Philox.dropoutThreshold(rate: 0.5) == 32_768)
    #expect(Philox.dropoutThreshold(rate: 0.3) == 19_661)
  }
}
