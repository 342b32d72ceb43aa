// Σ|terms| of attention, estimated from norms: heads and samples are taken to be alike, so that a
// batch of G = live·heads products of [T, K] matrices with norms ‖A‖ and ‖B‖ over the whole batch
// has the norm ‖A‖·‖B‖/√G. A weighted mean over the keys (weights that sum to one) does not grow
// what it averages.

extension ComparisonBound {
  func attentionTerms(of id: TensorID, writtenBy operation: Operation) -> Double {
    switch operation {
    case .attentionForward(let shape, let input, let parameters, let activations, let output):
      let rows = Double(live * shape.time).squareRoot()
      func projected(_ kernel: TensorID, _ bias: TensorID) -> Double {
        norm(input) * norm(kernel) + rows * norm(bias)
      }
      switch id {
      case activations.query: return projected(parameters.queryKernel, parameters.queryBias)
      case activations.key: return projected(parameters.keyKernel, parameters.keyBias)
      case activations.value: return projected(parameters.valueKernel, parameters.valueBias)
      case activations.probabilities: return probabilityTerms(shape, activations)
      case activations.context:
        return projected(parameters.valueKernel, parameters.valueBias) * dropped(shape)
      case output:
        return norm(activations.context) * norm(parameters.outputKernel)
          + rows * norm(parameters.outputBias)
      default: return norm(id)
      }
    case .attentionBackward(
      let shape, let input, let dOutput, let parameters, let activations, let dInput,
      let gradients):
      return backwardTerms(
        of: id, shape, input, dOutput, parameters, activations, dInput, gradients)
    default:
      return norm(id)
    }
  }

  private func dropped(_ shape: AttentionShape) -> Double {
    1 / (1 - Double(shape.dropoutRate)).squareRoot()
  }

  /// exp(score) is off by as many roundings as the score's terms are large.
  private func probabilityTerms(
    _ shape: AttentionShape, _ activations: AttentionActivations
  ) -> Double {
    let typical =
      norm(activations.query) * norm(activations.key)
      / (count(activations.query) * count(activations.key)).squareRoot()
    return norm(activations.probabilities)
      * (1 + 2 * Double(shape.keySize).squareRoot() * typical)
  }

  private func backwardTerms(
    of id: TensorID, _ shape: AttentionShape, _ input: TensorID, _ dOutput: TensorID,
    _ parameters: AttentionParameters, _ activations: AttentionActivations, _ dInput: TensorID,
    _ gradients: AttentionParameters
  ) -> Double {
    let rows = Double(live * shape.time).squareRoot()
    let groups = Double(live * shape.heads).squareRoot()
    let scale = 1 / Double(shape.keySize).squareRoot()
    let dContext = norm(dOutput) * norm(parameters.outputKernel)
    let weights = norm(activations.probabilities) * dropped(shape)
    let dValue = weights * dContext / groups
    // P∘(P' − ΣP∘P'): the factor P is about its root mean square.
    let dProbabilities = dContext * norm(activations.value) / groups * dropped(shape)
    let dScores =
      2 * dProbabilities * norm(activations.probabilities)
      / count(activations.probabilities).squareRoot()
    let dQuery = dScores * norm(activations.key) * scale / groups
    let dKey = dScores * norm(activations.query) * scale / groups
    switch id {
    case gradients.outputKernel: return norm(activations.context) * norm(dOutput)
    case gradients.outputBias: return rows * norm(dOutput)
    case gradients.queryKernel: return norm(input) * dQuery
    case gradients.queryBias: return rows * dQuery
    case gradients.keyKernel: return norm(input) * dKey
    case gradients.keyBias: return rows * dKey
    case gradients.valueKernel: return norm(input) * dValue
    case gradients.valueBias: return rows * dValue
    case dInput:
      return dQuery * norm(parameters.queryKernel) + dKey * norm(parameters.keyKernel)
        + dValue * norm(parameters.valueKernel)
    default: return norm(id)
    }
  }
}
