import Compute

/// Values of a network's variables, parallel to `Network.weights`.
public struct NetworkWeights: Sendable, Equatable {
  public var values: [[Float]]

  public init(values: [[Float]]) { self.values = values }

  /// Glorot uniform kernels, zero biases, ones for scales and moving variances: Keras's defaults.
  /// Each tensor draws from a Philox stream of its own.
  public init(initializing network: Network, seed: UInt64) {
    let key = Philox.key(seed: seed)
    values = network.weights.enumerated().map { index, weight in
      switch weight.initializer {
      case .zeros: return Array(repeating: 0, count: weight.elementCount)
      case .ones: return Array(repeating: 1, count: weight.elementCount)
      case .glorotUniform(let fanIn, let fanOut):
        let limit = (6 / Double(fanIn + fanOut)).squareRoot()
        let stream = RandomStream.initialWeights + UInt32(index)
        return (0..<weight.elementCount).map { element in
          let block = Philox.bits(
            counter: Philox.counter(block: UInt32(element / 4), stream: stream, step: 0), key: key)
          let uniform = (Double(block[element % 4] >> 8) + 0.5) / 16_777_216
          return Float((2 * uniform - 1) * limit)
        }
      }
    }
  }
}

/// Adam's state for a network: moments parallel to the trainable ones of `Network.weights`.
public struct OptimizerState: Sendable, Equatable {
  /// Steps taken.
  public var iterations: Int
  public var firstMoments: [[Float]]
  public var secondMoments: [[Float]]

  public init(iterations: Int, firstMoments: [[Float]], secondMoments: [[Float]]) {
    self.iterations = iterations
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
  }
}
