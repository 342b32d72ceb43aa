/// Σ|terms| of the normalizations, computed element by element: the terms of x − mean are |x| and
/// |mean|, since the mean carries a rounding in proportion to itself.
struct NormalizationTerms {
  private let values: ComparedValues
  private let shape: NormalizationShape
  /// Elements that share a mean, as lists of (index, channel).
  private let groups: [[(index: Int, channel: Int)]]

  /// - Parameter acrossBatch: whether a channel's elements share a mean, or those of a time step.
  init(_ values: ComparedValues, _ shape: NormalizationShape, acrossBatch: Bool) {
    self.values = values
    self.shape = shape
    let (rows, channels) = (values.live * shape.time, shape.channels)
    groups =
      acrossBatch
      ? (0..<channels).map { c in (0..<rows).map { ($0 * channels + c, c) } }
      : (0..<rows).map { r in (0..<channels).map { (r * channels + $0, $0) } }
  }

  /// ‖Σ|x|/N‖, bounded by Cauchy–Schwarz.
  func mean(_ input: TensorID) -> Double {
    values.norm(input) / Double(groups[0].count).squareRoot()
  }

  /// ‖|γ|·(|x| + |mean|)/deviation + |β|‖
  func affine(
    _ input: TensorID, _ gamma: TensorID, _ beta: TensorID, _ mean: TensorID, _ variance: TensorID
  ) -> Double {
    let (x, gamma, beta) = (Array(values[input]), Array(values[gamma]), Array(values[beta]))
    let (mean, variance) = (Array(values[mean]), Array(values[variance]))
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
  func meanSquares(_ input: TensorID) -> Double {
    let x = Array(values[input])
    return groups.reduce(0) { total, elements in
      let mean = elements.reduce(0) { $0 + x[$1.index] * x[$1.index] } / Double(elements.count)
      return total + mean * mean
    }.squareRoot()
  }

  /// With h = |g|, times |γ| first in layer normalization, and n = (|x| + |mean|)/deviation:
  /// γ' = Σ|g|·n, β' = Σ|g|, x' = |γ|/deviation·(h + mean(h) + n·mean(h·n)).
  func backward(
    _ input: TensorID, _ gradient: TensorID, _ gamma: TensorID, _ mean: TensorID,
    _ variance: TensorID
  ) -> (input: Double, gamma: Double, beta: Double) {
    let (x, g) = (Array(values[input]), Array(values[gradient]))
    let (gamma, mean, variance) = (
      Array(values[gamma]), Array(values[mean]), Array(values[variance])
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
