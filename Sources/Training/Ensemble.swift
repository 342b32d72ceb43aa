/// Weighted mean of several models' probabilities.
public enum Ensemble {
  /// - Parameters:
  ///   - members: probabilities of each model, of one size.
  ///   - weights: one per model, or nil for equal ones.
  /// - Throws: `TrainingError.invalidEnsembleWeights`.
  public static func mean(
    _ members: [[Float]], weights: [Double]? = nil
  ) throws(TrainingError) -> [Float] {
    let weights = weights ?? Array(repeating: 1, count: members.count)
    let total = weights.reduce(0, +)
    guard weights.count == members.count, weights.allSatisfy({ $0.isFinite && $0 >= 0 }),
      total > 0
    else { throw .invalidEnsembleWeights("\(weights)") }
    guard let first = members.first else { return [] }
    return first.indices.map { index in
      var sum = 0.0
      for (member, weight) in zip(members, weights) { sum += Double(member[index]) * weight }
      return Float(sum / total)
    }
  }
}
