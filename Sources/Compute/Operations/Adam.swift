/// Adam as Keras computes it: `m += (g − m)(1 − β₁)`, `v += (g² − v)(1 − β₂)`,
/// `w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)`, t from 1. The learning rate and t come from the
/// epoch's table. The first `decayedCount` elements of the arena carry L2: g gains `2·l2·w` first.
///
/// Keras raises β to t after rounding it to single precision, whatever the type of the weights, but
/// takes 1 − β in double (`keras/src/optimizers/adam.py`: `ops.cast` of a Python number, and the
/// number itself). At t = 1 the first rounding changes a step by 7·10⁻⁶ of itself, so it is part of
/// what is computed: βᵗ from `Double(beta)`, 1 − β from `beta.decimalValue`.
public struct AdamSettings: Hashable, Sendable {
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  public var l2: Float

  public init(beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-7, l2: Float) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.l2 = l2
  }
}

/// One pass over the whole parameter arena. `decayed` counts the leading tensors of
/// `parameters` that carry L2. All four lists are in the arena's order.
public struct Adam: PlanOperation {
  public static let kind = Operation.Kind.adam
  public static let phase = Operation.Phase.update
  public static let reports = false
  public var settings: AdamSettings
  public var decayed: Int
  public var parameters, gradients, firstMoments, secondMoments: [TensorID]

  public init(
    _ settings: AdamSettings, decayed: Int, parameters: [TensorID], gradients: [TensorID],
    firstMoments: [TensorID], secondMoments: [TensorID]
  ) {
    self.settings = settings
    self.decayed = decayed
    self.parameters = parameters
    self.gradients = gradients
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
  }

  public var reads: [TensorID] { parameters + gradients + firstMoments + secondMoments }
  public var writes: [TensorID] { parameters + firstMoments + secondMoments }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    var terms = values.norm(id)
    if let index = firstMoments.firstIndex(of: id) { terms += values.norm(gradients[index]) }
    var scale = values.scale(of: id, terms: terms)
    // A step is small beside the weights: its own size counts.
    if parameters.contains(id) { scale.reference = values.change(of: id) }
    return scale
  }
}
