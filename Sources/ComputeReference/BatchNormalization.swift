import Compute

// Batch normalization over [B, T, C]: statistics of each channel over the live batch and time, the
// variance divided by the count (Keras), also in the moving variance.

/// output = γ·(x − mean)/√(variance + ε) + β; moving = moving·momentum + batch·(1 − momentum).
func batchNormForward(
  _ shape: NormalizationShape, _ live: Int, input: [Double], gamma: [Double], beta: [Double],
  output: inout [Double], mean: inout [Double], variance: inout [Double],
  movingMean: inout [Double], movingVariance: inout [Double]
) {
  let C = shape.channels
  let rows = live * shape.time
  let momentum = shape.momentum.decimalValue
  for c in 0..<C {
    var sum = 0.0
    for r in 0..<rows { sum += input[r * C + c] }
    mean[c] = sum / Double(rows)
    var squares = 0.0
    for r in 0..<rows {
      let centred = input[r * C + c] - mean[c]
      squares += centred * centred
    }
    variance[c] = squares / Double(rows)
    movingMean[c] = movingMean[c] * momentum + mean[c] * (1 - momentum)
    movingVariance[c] = movingVariance[c] * momentum + variance[c] * (1 - momentum)
  }
  batchNormInference(
    shape, live, input: input, gamma: gamma, beta: beta, movingMean: mean,
    movingVariance: variance, output: &output)
}

/// output = γ·(x − movingMean)/√(movingVariance + ε) + β
func batchNormInference(
  _ shape: NormalizationShape, _ live: Int, input: [Double], gamma: [Double], beta: [Double],
  movingMean: [Double], movingVariance: [Double], output: inout [Double]
) {
  let C = shape.channels
  for r in 0..<live * shape.time {
    for c in 0..<C {
      let deviation = (movingVariance[c] + shape.epsilon.decimalValue).squareRoot()
      output[r * C + c] = gamma[c] * (input[r * C + c] - movingMean[c]) / deviation + beta[c]
    }
  }
}

/// With x̂ the normalized input and N = live·T: γ' = Σ g·x̂, β' = Σ g,
/// x' = γ/√(variance + ε) · (g − β'/N − x̂·γ'/N).
func batchNormBackward(
  _ shape: NormalizationShape, _ live: Int, input: [Double], outputGradient: [Double],
  gamma: [Double], mean: [Double], variance: [Double], inputGradient: inout [Double],
  gammaGradient: inout [Double], betaGradient: inout [Double]
) {
  let C = shape.channels
  let rows = live * shape.time
  for c in 0..<C {
    let deviation = (variance[c] + shape.epsilon.decimalValue).squareRoot()
    var (gammaSum, betaSum) = (0.0, 0.0)
    for r in 0..<rows {
      let normalized = (input[r * C + c] - mean[c]) / deviation
      gammaSum += outputGradient[r * C + c] * normalized
      betaSum += outputGradient[r * C + c]
    }
    for r in 0..<rows {
      let normalized = (input[r * C + c] - mean[c]) / deviation
      inputGradient[r * C + c] =
        gamma[c] / deviation
        * (outputGradient[r * C + c] - betaSum / Double(rows)
          - normalized * gammaSum / Double(rows))
    }
    gammaGradient[c] = gammaSum
    betaGradient[c] = betaSum
  }
}
