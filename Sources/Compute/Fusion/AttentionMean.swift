/// Attention of which only the mean over time is used: what its short form reads and writes.
public struct AttentionMean: Sendable {
  public var shape: AttentionShape
  public var input: TensorID
  public var parameters: AttentionParameters
  /// `[B, O]`.
  public var mean: TensorID

  public init(
    shape: AttentionShape, input: TensorID, parameters: AttentionParameters, mean: TensorID
  ) {
    (self.shape, self.input, self.parameters, self.mean) = (shape, input, parameters, mean)
  }
}

/// The same backward.
public struct AttentionMeanGradient: Sendable {
  public var shape: AttentionShape
  public var input: TensorID
  public var parameters: AttentionParameters
  /// `[B, O]`.
  public var meanGradient: TensorID
  public var inputGradient: TensorID
  public var gradients: AttentionParameters
}

extension FusionFinder {
  func attentionMeans() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      switch self[index] {
      case .attentionForward(let shape, let input, let parameters, _, let output):
        guard let next = onlyReader(of: output),
          case .meanOverTimeForward(_, _, let mean) = self[next]
        else { return nil }
        return FusedPattern(
          kind: .attentionMean(
            AttentionMean(shape: shape, input: input, parameters: parameters, mean: mean)),
          name: "attention_mean_forward", operations: [index, next], place: index,
          needs: Set([input] + parameters.all), produces: [mean])
      case .attentionBackward(
        let shape, let input, let outputGradient, let parameters, _, let inputGradient,
        let gradients):
        guard let before = writer[outputGradient], onlyReader(of: outputGradient) == index,
          case .meanOverTimeBackward(_, let meanGradient, _) = self[before]
        else { return nil }
        return FusedPattern(
          kind: .attentionMeanGradient(
            AttentionMeanGradient(
              shape: shape, input: input, parameters: parameters, meanGradient: meanGradient,
              inputGradient: inputGradient, gradients: gradients)),
          name: "attention_mean_backward", operations: [before, index], place: index,
          needs: Set([input, meanGradient] + parameters.all),
          produces: Set([inputGradient] + gradients.all))
      default: return nil
      }
    }
  }
}
