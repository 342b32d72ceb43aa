import Networks

extension Network {
  /// Finds kernels whose values are all the same: no training begins or ends with such ones, and what
  /// comes out of them says nothing about what went in.
  ///
  /// - Parameter file: where the weights were read from, for messages.
  /// - Throws: `CommandFailure` (65).
  func checkTrained(_ weights: NetworkWeights, file: String) throws {
    for (spec, values) in zip(self.weights, weights.values) {
      guard case .glorotUniform = spec.initializer, values.count > 1, let first = values.first,
        values.allSatisfy({ $0 == first })
      else { continue }
      throw CommandFailure(
        .badData,
        "\(file): found \(first) in all of the weights \(spec.name), expected those of a trained "
          + "network; train again, or take another copy of the file")
    }
  }
}
