/// 128 bits of a recording's samples: the same samples give the same fingerprint, others almost
/// never do. Fast and unkeyed: whoever acts on equality compares the samples.
public struct Fingerprint: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  /// Of `samples`, bit for bit, and their arrangement in `channelCount` channels.
  init(_ samples: UnsafeBufferPointer<Double>, channelCount: Int) {
    // Two chains of folded 64 × 64 products; the constants are digits of pi.
    var high: UInt64 = 0x243F_6A88_85A3_08D3 ^ UInt64(channelCount)
    var low: UInt64 = 0x1319_8A2E_0370_7344 ^ UInt64(samples.count)
    for sample in samples {
      high = Self.fold(high ^ sample.bitPattern, 0xA409_3822_299F_31D1)
      low = Self.fold(low &+ sample.bitPattern, 0x082E_FA98_EC4E_6C89)
    }
    self.high = high
    self.low = low
  }

  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}
