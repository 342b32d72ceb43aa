import Compute

// Layer normalization over [B, T, C]: mean and population variance of the channels of each time
// step, [B, T] each.

/// output = γ·(x − mean)/√(variance + ε) + β
func layerNormForward(
  _ shape: NormalizationShape, _ live: Int, input: [Double], gamma: [Double], beta: [Double],
  output: inout [Double], mean: inout [Double], variance: inout [Double]
) {
  let C = shape.channels
  for r in 0..<live * shape.time {
    var sum = 0.0
    for c in 0..<C { sum += input[r * C + c] }
    mean[r] = sum / Double(C)
    var squares = 0.0
    for c in 0..<C {
      let centred = input[r * C + c] - mean[r]
      squares += centred * centred
    }
    variance[r] = squares / Double(C)
    let deviation = (variance[r] + shape.epsilon.decimalValue).squareRoot()
    for c in 0..<C {
      output[r * C + c] = gamma[c] * (input[r * C + c] - mean[r]) / deviation + beta[c]
    }
  }
}

/// With x̂ the normalized input and h = g·γ: γ' = Σ_rows g·x̂, β' = Σ_rows g,
/// x' = (h − mean_c(h) − x̂·mean_c(h·x̂)) / √(variance + ε).
func layerNormBackward(
  _ shape: NormalizationShape, _ live: Int, input: [Double], outputGradient: [Double],
  gamma: [Double], mean: [Double], variance: [Double], inputGradient: inout [Double],
  gammaGradient: inout [Double], betaGradient: inout [Double]
) {
  let C = shape.channels
  for c in 0..<C { (gammaGradient[c], betaGradient[c]) = (0, 0) }
  for r in 0..<live * shape.time {
    let deviation = (variance[r] + shape.epsilon.decimalValue).squareRoot()
    var (sum, weightedSum) = (0.0, 0.0)
    for c in 0..<C {
      let normalized = (input[r * C + c] - mean[r]) / deviation
      let gradient = outputGradient[r * C + c]
      gammaGradient[c] += gradient * normalized
      betaGradient[c] += gradient
      sum += gradient * gamma[c]
      weightedSum += gradient * gamma[c] * normalized
    }
    for c in 0..<C {
      let normalized = (input[r * C + c] - mean[r]) / deviation
      inputGradient[r * C + c] =
        (outputGradient[r * C + c] * gamma[c] - sum / Double(C)
          - normalized * weightedSum / Double(C)) / deviation
    }
  }
}
