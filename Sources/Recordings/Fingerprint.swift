/// 128 bits of a recording's samples: the same samples give the same fingerprint, others almost
/// never do. Fast and unkeyed: whoever acts on equality compares the samples.
public struct Fingerprint: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  /// What ``hexadecimal`` wrote; nil for any other text.
  public init?(hexadecimal text: String) {
    guard text.utf8.count == 32, text.utf8.allSatisfy({ $0.isHexadecimalDigit }),
      let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
    else { return nil }
    self.init(high: high, low: low)
  }

  /// Thirty-two digits, as a file keeps it.
  public var hexadecimal: String {
    [high, low].map { part in
      let digits = String(part, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  /// Of `samples`, bit for bit, and their arrangement in `channelCount` channels.
  init(_ samples: UnsafeBufferPointer<Double>, channelCount: Int) {
    // Two chains of folded 64 × 64 products; the constants are digits of pi.
    var high: UInt64 = 0x243F_6A88_85A3_08D3 ^ UInt64(channelCount)
    var low: UInt64 = 0x1319_8A2E_0370_7344 ^ UInt64(samples.count)
    // Two samples per step, one for each factor, so that the chains are half as long.
    for pair in stride(from: 0, to: samples.count - 1, by: 2) {
      let first = samples[pair].bitPattern
      let second = samples[pair + 1].bitPattern
      high = Self.fold(high ^ first, second ^ 0xA409_3822_299F_31D1)
      low = Self.fold(low ^ second, first &+ 0x082E_FA98_EC4E_6C89)
    }
    if samples.count % 2 == 1 {
      high = Self.fold(high ^ samples[samples.count - 1].bitPattern, 0x4528_21E6_38D0_1377)
    }
    self.high = high
    self.low = low
  }

  /// Of numbers in their order: the bytes of a file, or the bits of weights.
  public init(ofNumbers numbers: some Sequence<UInt32>) {
    var (high, low) = (UInt64(0xC0AC_29B7_C97C_50DD), UInt64(0x3F84_D5B5_B547_0917))
    for number in numbers {
      high = Self.fold(high ^ UInt64(number), low ^ 0x9216_D5D9_8979_FB1B)
      low = Self.fold(low &+ UInt64(number), 0xD131_0BA6_98DF_B5AC)
    }
    self.init(high: high, low: low)
  }

  /// Of things by their names, as recordings by their paths: what is in each, and what it is called.
  public init(of contents: [String: Fingerprint]) {
    var (high, low) = (Self.fold(UInt64(contents.count), 0xEC4E_6C89_0821_E638), UInt64(0))
    for (name, content) in contents.sorted(by: { $0.key < $1.key }) {
      for byte in name.utf8 { high = Self.fold(high ^ UInt64(byte), 0xD013_77BE_5466_CF34) }
      high = Self.fold(high ^ content.high, content.low ^ 0xE90C_6CC0_AC29_B7C9)
      low = Self.fold(low ^ content.low, high ^ 0x7C50_DD3F_84D5_B5B5)
    }
    self.init(high: high, low: low)
  }

  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}

extension UInt8 {
  fileprivate var isHexadecimalDigit: Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
      || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
  }
}
