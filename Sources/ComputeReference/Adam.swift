import Compute

/// One step of Adam on one tensor, `t` from 1: g gains 2·l2·w where the tensor is decayed, then
/// `m += (g − m)(1 − β₁)`, `v += (g² − v)(1 − β₂)`,
/// `w −= rate·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)`. Which roundings of β are Keras's: `AdamSettings`.
func adam(
  _ settings: AdamSettings, t: Int, learningRate: Double, decays: Bool, gradient: [Double],
  parameter: inout [Double], firstMoment: inout [Double], secondMoment: inout [Double]
) {
  let (beta1, beta2) = (settings.beta1.decimalValue, settings.beta2.decimalValue)
  let rate = settings.stepSize(learningRate: learningRate, iteration: t)
  for i in parameter.indices {
    let g = gradient[i] + (decays ? 2 * settings.l2.decimalValue * parameter[i] : 0)
    firstMoment[i] += (g - firstMoment[i]) * (1 - beta1)
    secondMoment[i] += (g * g - secondMoment[i]) * (1 - beta2)
    parameter[i] -=
      rate * firstMoment[i] / (secondMoment[i].squareRoot() + settings.epsilon.decimalValue)
  }
}
