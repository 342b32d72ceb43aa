/// Σ|terms| of attention, estimated from norms: heads and samples are taken to be alike, so that a
/// batch of G = live·heads products of [T, K] matrices with norms ‖A‖ and ‖B‖ over the whole batch
/// has the norm ‖A‖·‖B‖/√G. A weighted mean over the keys (weights that sum to one) does not grow
/// what it averages.
struct AttentionTerms {
  private let values: ComparedValues
  private let shape: AttentionShape
  private let parameters: AttentionParameters
  private let activations: AttentionActivations
  private let rows: Double

  init(
    _ values: ComparedValues, _ shape: AttentionShape, _ parameters: AttentionParameters,
    _ activations: AttentionActivations
  ) {
    self.values = values
    self.shape = shape
    self.parameters = parameters
    self.activations = activations
    rows = Double(values.live * shape.time).squareRoot()
  }

  private func norm(_ id: TensorID) -> Double { values.norm(id) }

  private var dropped: Double { 1 / (1 - Double(shape.dropoutRate)).squareRoot() }

  func of(_ id: TensorID, _ forward: AttentionForward) -> Double {
    func projected(_ kernel: TensorID, _ bias: TensorID) -> Double {
      norm(forward.input) * norm(kernel) + rows * norm(bias)
    }
    switch id {
    case activations.query: return projected(parameters.queryKernel, parameters.queryBias)
    case activations.key: return projected(parameters.keyKernel, parameters.keyBias)
    case activations.value: return projected(parameters.valueKernel, parameters.valueBias)
    case activations.probabilities: return probabilityTerms
    case activations.context:
      return projected(parameters.valueKernel, parameters.valueBias) * dropped
    default:
      return norm(activations.context) * norm(parameters.outputKernel)
        + rows * norm(parameters.outputBias)
    }
  }

  /// exp(score) is off by as many roundings as the score's terms are large.
  private var probabilityTerms: Double {
    let typical =
      norm(activations.query) * norm(activations.key)
      / (values.count(activations.query) * values.count(activations.key)).squareRoot()
    return norm(activations.probabilities)
      * (1 + 2 * Double(shape.keySize).squareRoot() * typical)
  }

  func of(_ id: TensorID, _ backward: AttentionBackward) -> Double {
    let (input, gradients) = (norm(backward.input), backward.gradients)
    let groups = Double(values.live * shape.heads).squareRoot()
    let scale = 1 / Double(shape.keySize).squareRoot()
    let dContext = norm(backward.outputGradient) * norm(parameters.outputKernel)
    let weights = norm(activations.probabilities) * dropped
    let dValue = weights * dContext / groups
    // P∘(P' − ΣP∘P'): the factor P is about its root mean square.
    let dProbabilities = dContext * norm(activations.value) / groups * dropped
    let dScores =
      2 * dProbabilities * norm(activations.probabilities)
      / values.count(activations.probabilities).squareRoot()
    let dQuery = dScores * norm(activations.key) * scale / groups
    let dKey = dScores * norm(activations.query) * scale / groups
    switch id {
    case gradients.outputKernel: return norm(activations.context) * norm(backward.outputGradient)
    case gradients.outputBias: return rows * norm(backward.outputGradient)
    case gradients.queryKernel: return input * dQuery
    case gradients.queryBias: return rows * dQuery
    case gradients.keyKernel: return input * dKey
    case gradients.keyBias: return rows * dKey
    case gradients.valueKernel: return input * dValue
    case gradients.valueBias: return rows * dValue
    default:
      return dQuery * norm(parameters.queryKernel) + dKey * norm(parameters.keyKernel)
        + dValue * norm(parameters.valueKernel)
    }
  }
}
