import Compute
import Foundation

/// The host's draws: a sequence of Philox words of one stream and step. Our own bounded integers
/// and shuffles, so that a seed gives the same epoch whatever the standard library does.
struct PhiloxGenerator {
  private let key: SIMD2<UInt32>
  private let stream: UInt32
  private let step: UInt64
  private var block: UInt32 = 0
  private var words = SIMD4<UInt32>()
  private var used = 4

  init(seed: UInt64, stream: UInt32, step: UInt64) {
    key = Philox.key(seed: seed)
    self.stream = stream
    self.step = step
  }

  mutating func next() -> UInt32 {
    if used == 4 {
      words = Philox.bits(
        counter: Philox.counter(block: block, stream: stream, step: step), key: key)
      block += 1
      used = 0
    }
    used += 1
    return words[used - 1]
  }

  /// Uniform in [0, 1) with 53 bits.
  mutating func uniform() -> Double {
    let high = UInt64(next() >> 5)
    let low = UInt64(next() >> 6)
    return Double(high << 26 | low) / 9_007_199_254_740_992
  }

  /// Uniform below `bound`, without bias (Lemire, 2019).
  mutating func below(_ bound: Int) -> Int {
    let bound = UInt32(bound)
    let threshold = (0 &- bound) % bound
    while true {
      let product = next().multipliedFullWidth(by: bound)
      if product.low >= threshold { return Int(product.high) }
    }
  }

  /// A random permutation of 0 ..< count (Fisher–Yates).
  mutating func permutation(_ count: Int) -> [Int] {
    var result = Array(0..<count)
    shuffle(&result)
    return result
  }

  mutating func shuffle<Element>(_ values: inout [Element]) {
    guard values.count > 1 else { return }
    for last in stride(from: values.count - 1, to: 0, by: -1) {
      values.swapAt(last, below(last + 1))
    }
  }

  /// Beta(α, α) by Jöhnk's rejection, which is quick for α below 1.
  mutating func beta(_ alpha: Double) -> Double {
    while true {
      let x = pow(uniform(), 1 / alpha)
      let y = pow(uniform(), 1 / alpha)
      if x + y <= 1 && x + y > 0 { return x / (x + y) }
    }
  }
}
