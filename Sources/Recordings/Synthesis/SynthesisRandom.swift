import Foundation

/// Random numbers for synthesis: SplitMix64, started from a seed and the names of what it is for,
/// so that what is drawn for one recording does not depend on how many others are made, nor in
/// which order.
struct SynthesisRandom {
  private var state: UInt64
  private var spare: Double?

  init(seed: UInt64, _ labels: Int...) {
    state = Self.mix(seed)
    for label in labels {
      state = Self.mix(state ^ (UInt64(bitPattern: Int64(label)) &+ 0x9E37_79B9_7F4A_7C15))
    }
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Uniform in 0..<1, of 53 bits.
  mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Double(Self.mix(state) >> 11) * 0x1p-53
  }

  mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

  /// Standard normal, by Box and Muller.
  mutating func normal() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    let radius = (-2 * log(1 - uniform())).squareRoot()
    let angle = 2 * Double.pi * uniform()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }

  /// A factor around 1 whose logarithm has the given deviation.
  mutating func factor(_ deviation: Double) -> Double { exp(deviation * normal()) }
}
