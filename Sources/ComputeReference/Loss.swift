import Compute
import Foundation

// Softmax and categorical cross-entropy from logits.

/// exp(xᵢ − max) / Σ exp(x − max)
func softmaxRow(_ row: ArraySlice<Double>) -> [Double] {
  let largest = row.max() ?? 0
  let powers = row.map { exp($0 - largest) }
  let sum = powers.reduce(0, +)
  return powers.map { $0 / sum }
}

func softmax(_ classes: Int, _ live: Int, logits: [Double], probabilities: inout [Double]) {
  for b in 0..<live {
    let row = softmaxRow(logits[b * classes..<(b + 1) * classes])
    for c in 0..<classes { probabilities[b * classes + c] = row[c] }
  }
}

/// With targets smoothed to y·(1 − smoothing) + smoothing/classes, which sum to one:
/// loss = Σ_b weight[b]·(−Σ_c target·log p)/live, its gradient weight[b]/live·(p − target).
func softmaxCrossEntropy(
  _ shape: LossShape, _ live: Int, logits: [Double], targets: [Double], sampleWeights: [Double],
  probabilities: inout [Double], logitsGradient: ((Int, Double) -> Void)?
) -> ReferencePlan.PreciseResult {
  let C = shape.classes
  let smoothing = shape.smoothing.decimalValue
  softmax(C, live, logits: logits, probabilities: &probabilities)
  var result = ReferencePlan.PreciseResult(loss: 0, penalty: 0, hits: 0)
  for b in 0..<live {
    let row = logits[b * C..<(b + 1) * C]
    let largest = row.max() ?? 0
    let logSum = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
    for c in 0..<C {
      let target = targets[b * C + c] * (1 - smoothing) + smoothing / Double(C)
      result.loss += sampleWeights[b] * target * (logSum - logits[b * C + c]) / Double(live)
      logitsGradient?(
        b * C + c, sampleWeights[b] * (probabilities[b * C + c] - target) / Double(live))
    }
    let predicted = firstMaximum(probabilities[b * C..<(b + 1) * C])
    result.hits += predicted == firstMaximum(targets[b * C..<(b + 1) * C]) ? 1 : 0
  }
  return result
}

/// Offset of the first of the largest values.
private func firstMaximum(_ row: ArraySlice<Double>) -> Int {
  var best = row.startIndex
  for i in row.indices where row[i] > row[best] { best = i }
  return best - row.startIndex
}
