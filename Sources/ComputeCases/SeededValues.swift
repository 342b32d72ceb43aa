/// Numbers that depend on a name and an index alone, so that Swift and the Python generators of
/// fixtures make the same ones without a file between them.
public enum SeededValues {
  /// FNV-1a of the name's UTF-8 bytes.
  public static func seed(_ name: String) -> UInt64 {
    name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }

  /// Value `index` of a sequence, uniform in [−1, 1): the upper 24 bits of SplitMix64, so that it is
  /// exact in single precision.
  public static func uniform(seed: UInt64, index: Int) -> Float {
    Float(bits(seed: seed, index: index) >> 40) / 8_388_608 - 1
  }

  public static func uniform(name: String, count: Int) -> [Float] {
    let seed = seed(name)
    return (0..<count).map { uniform(seed: seed, index: $0) }
  }

  /// A fair coin.
  public static func isNegative(seed: UInt64, index: Int) -> Bool {
    bits(seed: seed, index: index) >> 63 == 1
  }

  /// A class drawn evenly for each of `count` samples.
  public static func labels(name: String, count: Int, classes: Int) -> [Int] {
    let seed = seed(name)
    return (0..<count).map { Int(bits(seed: seed, index: $0) >> 33) % classes }
  }

  /// SplitMix64's output after `index + 1` steps from `seed`.
  static func bits(seed: UInt64, index: Int) -> UInt64 {
    var z = seed &+ 0x9E37_79B9_7F4A_7C15 &* UInt64(index + 1)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// What a case's input tensor holds before the run.
public enum Fill: Sendable, Hashable {
  /// Uniform in ±the value.
  case uniform(Float)
  case between(Float, Float)
  /// Multiples of half the value in ±it: full of ties, and of a few bits where it is a power of two.
  case coarse(Float)
  /// A one in each row of this many classes.
  case oneHot(Int)
  /// Whole numbers from zero up to, not including, the value.
  case places(Int)

  /// `count` values that depend on the tensor's name alone.
  public func values(name: String, count: Int) -> [Float] {
    let uniform = SeededValues.uniform(name: name, count: count)
    switch self {
    case .uniform(let limit): return uniform.map { $0 * limit }
    case .between(let low, let high): return uniform.map { low + (high - low) * (0.5 * $0 + 0.5) }
    case .coarse(let limit): return uniform.map { ($0 * 2).rounded() / 2 * limit }
    case .places(let limit):
      return uniform.map { ((0.5 * $0 + 0.5) * Float(limit)).rounded(.down) }
    case .oneHot(let classes):
      return (0..<count).map { index in
        let row = index / classes
        let label = Int(SeededValues.bits(seed: SeededValues.seed(name), index: row) >> 33)
        return index % classes == label % classes ? 1 : 0
      }
    }
  }
}
