// Σ|terms| of the normalizations, computed element by element: the terms of x − mean are |x| and
// |mean|, since the mean carries a rounding in proportion to itself.

extension ComparisonBound {
  func normalizationTerms(of id: TensorID, writtenBy operation: Operation) -> Double {
    switch operation {
    case .batchNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance,
      let movingMean, let movingVariance):
      switch id {
      case output:
        return affineTerms(
          groups(shape, acrossBatch: true), shape, input, gamma, beta, mean, variance)
      case mean: return norm(input) / Double(live * shape.time).squareRoot()
      case variance: return meanSquares(shape, input, acrossBatch: true)
      case movingMean: return norm(id) + norm(input) / Double(live * shape.time).squareRoot()
      case movingVariance: return norm(id) + meanSquares(shape, input, acrossBatch: true)
      default: return norm(id)
      }
    case .batchNormInference(
      let shape, let input, let gamma, let beta, let movingMean, let movingVariance, _):
      return affineTerms(
        groups(shape, acrossBatch: true), shape, input, gamma, beta, movingMean, movingVariance)
    case .layerNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance):
      switch id {
      case output:
        return affineTerms(
          groups(shape, acrossBatch: false), shape, input, gamma, beta, mean, variance)
      case mean: return norm(input) / Double(shape.channels).squareRoot()
      default: return norm(variance) + meanSquares(shape, input, acrossBatch: false)
      }
    case .batchNormBackward(
      let shape, let input, let dOutput, let gamma, let mean, let variance, let dInput,
      let dGamma, _):
      let sums = backwardTerms(
        groups(shape, acrossBatch: true), shape, input, dOutput, gamma, mean, variance)
      return id == dInput ? sums.input : id == dGamma ? sums.gamma : sums.beta
    case .layerNormBackward(
      let shape, let input, let dOutput, let gamma, let mean, let variance, let dInput,
      let dGamma, _):
      let sums = backwardTerms(
        groups(shape, acrossBatch: false), shape, input, dOutput, gamma, mean, variance)
      return id == dInput ? sums.input : id == dGamma ? sums.gamma : sums.beta
    default:
      return norm(id)
    }
  }

  /// Elements that share a mean, as lists of (index, channel).
  private func groups(
    _ shape: NormalizationShape, acrossBatch: Bool
  ) -> [[(index: Int, channel: Int)]] {
    let (rows, channels) = (live * shape.time, shape.channels)
    return acrossBatch
      ? (0..<channels).map { c in (0..<rows).map { ($0 * channels + c, c) } }
      : (0..<rows).map { r in (0..<channels).map { (r * channels + $0, $0) } }
  }

  /// ‖|γ|·(|x| + |mean|)/deviation + |β|‖
  private func affineTerms(
    _ groups: [[(index: Int, channel: Int)]], _ shape: NormalizationShape, _ input: TensorID,
    _ gamma: TensorID, _ beta: TensorID, _ mean: TensorID, _ variance: TensorID
  ) -> Double {
    let (x, gamma, beta) = (Array(values(input)), Array(values(gamma)), Array(values(beta)))
    let (mean, variance) = (Array(values(mean)), Array(values(variance)))
    var squares = 0.0
    for (group, elements) in groups.enumerated() {
      let deviation = (variance[group] + Double(shape.epsilon)).squareRoot()
      for (i, c) in elements {
        let sum = abs(gamma[c]) * (abs(x[i]) + abs(mean[group])) / deviation + abs(beta[c])
        squares += sum * sum
      }
    }
    return squares.squareRoot()
  }

  /// ‖Σ x²/N‖ over the groups that share a mean: the terms of the variance.
  private func meanSquares(
    _ shape: NormalizationShape, _ input: TensorID, acrossBatch: Bool
  ) -> Double {
    let x = Array(values(input))
    return groups(shape, acrossBatch: acrossBatch).reduce(0) { total, elements in
      let mean = elements.reduce(0) { $0 + x[$1.index] * x[$1.index] } / Double(elements.count)
      return total + mean * mean
    }.squareRoot()
  }

  /// With h = |g|, times |γ| first in layer normalization, and n = (|x| + |mean|)/deviation:
  /// γ' = Σ|g|·n, β' = Σ|g|, x' = |γ|/deviation·(h + mean(h) + n·mean(h·n)).
  private func backwardTerms(
    _ groups: [[(index: Int, channel: Int)]], _ shape: NormalizationShape, _ input: TensorID,
    _ gradient: TensorID, _ gamma: TensorID, _ mean: TensorID, _ variance: TensorID
  ) -> (input: Double, gamma: Double, beta: Double) {
    let (x, g) = (Array(values(input)), Array(values(gradient)))
    let (gamma, mean, variance) = (
      Array(values(gamma)), Array(values(mean)), Array(values(variance))
    )
    var gammaSums = Array(repeating: 0.0, count: shape.channels)
    var betaSums = gammaSums
    var squares = 0.0
    for (group, elements) in groups.enumerated() {
      let deviation = (variance[group] + Double(shape.epsilon)).squareRoot()
      func normalized(_ i: Int) -> Double { (abs(x[i]) + abs(mean[group])) / deviation }
      var (sum, weightedSum) = (0.0, 0.0)
      for (i, c) in elements {
        betaSums[c] += abs(g[i])
        gammaSums[c] += abs(g[i]) * normalized(i)
        sum += abs(g[i] * gamma[c]) / Double(elements.count)
        weightedSum += abs(g[i] * gamma[c]) * normalized(i) / Double(elements.count)
      }
      for (i, c) in elements {
        let term = (abs(g[i] * gamma[c]) + sum + normalized(i) * weightedSum) / deviation
        squares += term * term
      }
    }
    func norm(_ sums: [Double]) -> Double { sums.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    return (squares.squareRoot(), norm(gammaSums), norm(betaSums))
  }
}
