/// The generator behind CPython's `random.Random(seed)`: MT19937 (Matsumoto and Nishimura 1998),
/// seeded by `init_by_array` with the seed's 32-bit words, so that a seed gives the same splits as
/// a Python program's.
public struct MersenneTwister: Sendable {
  private static let size = 624
  private static let middle = 397
  private var state: [UInt32]
  private var index = MersenneTwister.size

  /// As `random.Random(seed)` for an integer seed.
  public init(seed: UInt64) {
    let high = UInt32(truncatingIfNeeded: seed >> 32)
    let low = UInt32(truncatingIfNeeded: seed)
    state = Self.initialState(key: high == 0 ? [low] : [low, high])
  }

  /// `init_by_array` of the reference implementation.
  private static func initialState(key: [UInt32]) -> [UInt32] {
    var state = [UInt32](repeating: 0, count: size)
    state[0] = 19_650_218
    for i in 1..<size {
      state[i] = 1_812_433_253 &* (state[i - 1] ^ state[i - 1] >> 30) &+ UInt32(i)
    }
    var i = 1
    var j = 0
    func advance() {
      i += 1
      if i == size {
        state[0] = state[size - 1]
        i = 1
      }
    }
    for _ in 0..<max(size, key.count) {
      let previous = state[i - 1] ^ state[i - 1] >> 30
      state[i] = (state[i] ^ previous &* 1_664_525) &+ key[j] &+ UInt32(j)
      j = (j + 1) % key.count
      advance()
    }
    for _ in 1..<size {
      let previous = state[i - 1] ^ state[i - 1] >> 30
      state[i] = (state[i] ^ previous &* 1_566_083_941) &- UInt32(i)
      advance()
    }
    state[0] = 0x8000_0000
    return state
  }

  /// The next 32 bits.
  public mutating func next() -> UInt32 {
    if index == Self.size { twist() }
    var word = state[index]
    index += 1
    word ^= word >> 11
    word ^= word << 7 & 0x9D2C_5680
    word ^= word << 15 & 0xEFC6_0000
    return word ^ word >> 18
  }

  private mutating func twist() {
    for i in 0..<Self.size {
      let joined =
        (state[i] & 0x8000_0000) | (state[(i + 1) % Self.size] & 0x7FFF_FFFF)
      state[i] =
        state[(i + Self.middle) % Self.size] ^ joined >> 1 ^ (joined & 1 == 0 ? 0 : 0x9908_B0DF)
    }
    index = 0
  }

  /// As `_randbelow_with_getrandbits(bound)`: uniform in `0..<bound`, by rejection.
  public mutating func below(_ bound: UInt32) -> UInt32 {
    precondition(bound > 0, "a range to draw from has at least one element")
    let unused = UInt32(bound.leadingZeroBitCount)
    while true {
      let drawn = next() >> unused
      if drawn < bound { return drawn }
    }
  }

  /// As `shuffle(elements)`.
  public mutating func shuffle<Element>(_ elements: inout [Element]) {
    for i in elements.indices.dropFirst().reversed() {
      elements.swapAt(i, Int(below(UInt32(i + 1))))
    }
  }
}
