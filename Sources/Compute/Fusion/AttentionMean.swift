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
      attentionMean(at: index) ?? attentionMeanGradient(at: index)
    }
  }

  private func attentionMean(at index: Int) -> FusedPattern? {
    guard let op = operation(index, AttentionForward.self),
      let (next, average) = onlyReader(of: op.output, MeanOverTimeForward.self)
    else { return nil }
    return FusedPattern(
      kind: .attentionMean(
        AttentionMean(
          shape: op.shape, input: op.input, parameters: op.parameters, mean: average.output)),
      name: "attention_mean_forward", operations: [index, next], place: index,
      needs: Set(op.reads), produces: [average.output])
  }

  private func attentionMeanGradient(at index: Int) -> FusedPattern? {
    guard let op = operation(index, AttentionBackward.self),
      onlyReader(of: op.outputGradient) == index,
      let (before, average) = writer(of: op.outputGradient, MeanOverTimeBackward.self)
    else { return nil }
    return FusedPattern(
      kind: .attentionMeanGradient(
        AttentionMeanGradient(
          shape: op.shape, input: op.input, parameters: op.parameters,
          meanGradient: average.outputGradient, inputGradient: op.inputGradient,
          gradients: op.gradients)),
      name: "attention_mean_backward", operations: [before, index], place: index,
      needs: Set([op.input, average.outputGradient] + op.parameters.all),
      produces: Set(op.writes))
  }
}
