import Compute
import Foundation

// Multi-head self-attention. For each sample b and head h, with q, k, v [T, K] the projections of
// the input X [T, C]:
//   S[t, s] = Σ_j q[t, j]·k[s, j] / √K,  P = softmax over s,  D = dropout(P),
//   context[t, j] = Σ_s D[t, s]·v[s, j],  output = Σ_h context·Wo + bo.
// Tensors with heads lie as [B, T, H, K] and [B, H, T, T].

extension AttentionShape {
  fileprivate var projection: DenseShape {
    DenseShape(rowsPerSample: time, inputs: channels, outputs: heads * keySize)
  }
  fileprivate var outputProjection: DenseShape {
    DenseShape(rowsPerSample: time, inputs: heads * keySize, outputs: outputChannels)
  }
  /// Index of (b, t, h, 0) in `[B, T, H, K]`.
  fileprivate func row(_ b: Int, _ t: Int, _ h: Int) -> Int {
    ((b * time + t) * heads + h) * keySize
  }
  /// Index of (b, h, t, 0) in `[B, H, T, T]`.
  fileprivate func weights(_ b: Int, _ h: Int, _ t: Int) -> Int {
    ((b * heads + h) * time + t) * time
  }
}

/// Probabilities before dropout, from query and key.
func attentionProbabilities(
  _ shape: AttentionShape, _ live: Int, query: [Double], key: [Double],
  probabilities: inout [Double]
) {
  let (T, K) = (shape.time, shape.keySize)
  for b in 0..<live {
    for h in 0..<shape.heads {
      for t in 0..<T {
        var scores = Array(repeating: 0.0, count: T)
        for s in 0..<T {
          for j in 0..<K {
            scores[s] += query[shape.row(b, t, h) + j] * key[shape.row(b, s, h) + j]
          }
          scores[s] /= Double(K).squareRoot()
        }
        let row = softmaxRow(scores[...])
        for s in 0..<T { probabilities[shape.weights(b, h, t) + s] = row[s] }
      }
    }
  }
}

/// context[b, t, h, j] = Σ_s D[b, h, t, s]·value[b, s, h, j]
func attentionContext(
  _ shape: AttentionShape, _ context: RunContext, probabilities: [Double], value: [Double],
  output: inout [Double]
) {
  let (T, K) = (shape.time, shape.keySize)
  for b in 0..<context.live {
    for h in 0..<shape.heads {
      for t in 0..<T {
        for j in 0..<K { output[shape.row(b, t, h) + j] = 0 }
        for s in 0..<T {
          let i = shape.weights(b, h, t) + s
          let weight = probabilities[i] * shape.dropoutFactor(i, context)
          for j in 0..<K {
            output[shape.row(b, t, h) + j] += weight * value[shape.row(b, s, h) + j]
          }
        }
      }
    }
  }
}

extension AttentionShape {
  fileprivate func dropoutFactor(_ element: Int, _ context: RunContext) -> Double {
    dropoutRate > 0
      ? dropout.factor(element: element, iteration: context.iteration, key: context.key) : 1
  }
}

/// Gradients of query, key and value from that of the context:
/// v' = Dᵀ·g, P' = factor ∘ (g·vᵀ), S' = P ∘ (P' − Σ_s P∘P'), q' = S'·k/√K, k' = S'ᵀ·q/√K.
func attentionCoreBackward(
  _ shape: AttentionShape, _ context: RunContext, query: [Double], key: [Double],
  value: [Double], probabilities: [Double], contextGradient: [Double],
  queryGradient: inout [Double], keyGradient: inout [Double], valueGradient: inout [Double]
) {
  let (T, K) = (shape.time, shape.keySize)
  let scale = 1 / Double(K).squareRoot()
  for b in 0..<context.live {
    for h in 0..<shape.heads {
      for t in 0..<T {
        let g = shape.row(b, t, h)
        var weightGradients = Array(repeating: 0.0, count: T)
        var weightedSum = 0.0
        for s in 0..<T {
          let i = shape.weights(b, h, t) + s
          let factor = shape.dropoutFactor(i, context)
          for j in 0..<K {
            valueGradient[shape.row(b, s, h) + j] +=
              probabilities[i] * factor * contextGradient[g + j]
            weightGradients[s] += factor * contextGradient[g + j] * value[shape.row(b, s, h) + j]
          }
          weightedSum += probabilities[i] * weightGradients[s]
        }
        for s in 0..<T {
          let scoreGradient =
            probabilities[shape.weights(b, h, t) + s] * (weightGradients[s] - weightedSum)
          for j in 0..<K {
            queryGradient[g + j] += scoreGradient * scale * key[shape.row(b, s, h) + j]
            keyGradient[shape.row(b, s, h) + j] += scoreGradient * scale * query[g + j]
          }
        }
      }
    }
  }
}

extension ReferencePlan {
  func attentionForward(
    _ shape: AttentionShape, _ context: RunContext, input: TensorID,
    parameters p: AttentionParameters, activations a: AttentionActivations, output: TensorID
  ) {
    for (kernel, bias, result) in [
      (p.queryKernel, p.queryBias, a.query), (p.keyKernel, p.keyBias, a.key),
      (p.valueKernel, p.valueBias, a.value),
    ] {
      denseForward(
        shape.projection, context.live, input: self[input].values, kernel: self[kernel].values,
        bias: self[bias].values, output: &self[result].values)
    }
    attentionProbabilities(
      shape, context.live, query: self[a.query].values, key: self[a.key].values,
      probabilities: &self[a.probabilities].values)
    attentionContext(
      shape, context, probabilities: self[a.probabilities].values, value: self[a.value].values,
      output: &self[a.context].values)
    denseForward(
      shape.outputProjection, context.live, input: self[a.context].values,
      kernel: self[p.outputKernel].values, bias: self[p.outputBias].values,
      output: &self[output].values)
  }

  func attentionBackward(
    _ shape: AttentionShape, _ context: RunContext, input: TensorID, outputGradient: TensorID,
    parameters p: AttentionParameters, activations a: AttentionActivations,
    inputGradient: TensorID, gradients d: AttentionParameters
  ) {
    let live = context.live
    let zeros = Array(repeating: 0.0, count: self[a.query].values.count)
    var contextGradient = zeros
    denseBackwardInput(
      shape.outputProjection, live, outputGradient: self[outputGradient].values,
      kernel: self[p.outputKernel].values, inputGradient: &contextGradient)
    denseBackwardKernel(
      shape.outputProjection, live, input: self[a.context].values,
      outputGradient: self[outputGradient].values,
      kernelGradient: &self[d.outputKernel].values, biasGradient: &self[d.outputBias].values)

    var (queryGradient, keyGradient, valueGradient) = (zeros, zeros, zeros)
    attentionCoreBackward(
      shape, context, query: self[a.query].values, key: self[a.key].values,
      value: self[a.value].values, probabilities: self[a.probabilities].values,
      contextGradient: contextGradient, queryGradient: &queryGradient,
      keyGradient: &keyGradient, valueGradient: &valueGradient)

    var parts: [[Double]] = []
    for (kernel, kernelGradient, biasGradient, gradient) in [
      (p.queryKernel, d.queryKernel, d.queryBias, queryGradient),
      (p.keyKernel, d.keyKernel, d.keyBias, keyGradient),
      (p.valueKernel, d.valueKernel, d.valueBias, valueGradient),
    ] {
      denseBackwardKernel(
        shape.projection, live, input: self[input].values, outputGradient: gradient,
        kernelGradient: &self[kernelGradient].values, biasGradient: &self[biasGradient].values)
      var part = Array(repeating: 0.0, count: self[inputGradient].values.count)
      denseBackwardInput(
        shape.projection, live, outputGradient: gradient, kernel: self[kernel].values,
        inputGradient: &part)
      parts.append(part)
    }
    add(live * shape.time * shape.channels, inputs: parts, output: &self[inputGradient].values)
  }
}
