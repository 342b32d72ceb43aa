import ComputeCases

/// What a fixture keeps of a tensor that another program computed, see
/// `Tests/ComputeTests/Fixtures/keras_digest.py`: all of it where it is small, else its norm, inner
/// products with seeded sign vectors, and a few elements.
public struct TensorDigest: Decodable, Sendable {
  public var values: [Double]?
  public var count: Int?
  public var norm: Double?
  public var projections: [Double]?
  public var elements: [[Double]]?

  /// ‖expected‖
  public var expectedNorm: Double {
    values.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() } ?? norm ?? .nan
  }

  public var elementCount: Int { values?.count ?? count ?? 0 }

  /// ‖found − expected‖: exact for a small tensor, else the larger of an unbiased estimate from the
  /// projections, the difference of the norms, and that of any kept element. NaN where the counts
  /// differ.
  public func error(of found: [Double]) -> Double {
    guard found.count == elementCount else { return .nan }
    if let values {
      return zip(values, found).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    guard let norm, let projections, let elements else { return .nan }
    var squares = 0.0
    for (index, expected) in projections.enumerated() {
      let seed = SeededValues.seed("projection \(index)")
      var sum = 0.0
      for (i, value) in found.enumerated() {
        sum += SeededValues.isNegative(seed: seed, index: i) ? -value : value
      }
      squares += (sum - expected) * (sum - expected)
    }
    let estimate = (squares / Double(projections.count)).squareRoot()
    let ownNorm = found.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let worst = elements.map { abs(found[Int($0[0])] - $0[1]) }.max() ?? 0
    if [estimate, ownNorm, worst].contains(where: \.isNaN) { return .nan }
    return max(estimate, abs(ownNorm - norm), worst)
  }
}
