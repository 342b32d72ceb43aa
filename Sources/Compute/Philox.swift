/// Philox4x32-10: a counter-based generator (Salmon et al., "Parallel random numbers: as easy as
/// 1, 2, 3", SC 2011). The same counter and key give the same bits on every backend.
public enum Philox {
  /// Ten rounds of Philox4x32.
  public static func bits(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>
  ) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for round in 0..<10 {
      if round > 0 {
        k = k &+ SIMD2(0x9E37_79B9, 0xBB67_AE85)
      }
      let (high0, low0) = c.x.multipliedFullWidth(by: 0xD251_1F53)
      let (high1, low1) = c.z.multipliedFullWidth(by: 0xCD9E_8D57)
      c = SIMD4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0)
    }
    return c
  }

  /// The key made of a 64-bit seed: low word, high word.
  public static func key(seed: UInt64) -> SIMD2<UInt32> {
    SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  }

  /// The counter of a block of elements: (block, stream, step low, step high).
  public static func counter(block: UInt32, stream: UInt32, step: UInt64) -> SIMD4<UInt32> {
    SIMD4(
      block, stream, UInt32(truncatingIfNeeded: step), UInt32(truncatingIfNeeded: step >> 32))
  }

  /// The 16-bit lane of an element: eight to a block, word `lane / 2`, low half first.
  public static func lane(
    element: Int, stream: UInt32, step: UInt64, key: SIMD2<UInt32>
  ) -> UInt32 {
    let block = bits(
      counter: counter(block: UInt32(element / 8), stream: stream, step: step), key: key)
    let word = block[(element % 8) / 2]
    return element % 2 == 0 ? word & 0xFFFF : word >> 16
  }

  /// Elements whose lane is at least this are kept by dropout.
  public static func dropoutThreshold(rate: Float) -> UInt32 {
    UInt32((Double(rate) * 65_536).rounded())
  }
}
