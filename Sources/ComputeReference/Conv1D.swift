import Compute

// Conv1D over [B, T, C] with a kernel [K, C, O]:
// output[b, t, o] = bias[o] + Σ_{k, c} kernel[k, c, o] · input[b, t + k·dilation − leftPadding, c].
// All three functions visit the same (t, k) → source pairs; sources outside the window are zeros.

extension Conv1DShape {
  /// Where tap `k` of output step `t` reads, or nil in the padding.
  fileprivate func source(_ t: Int, _ k: Int) -> Int? {
    let s = t + k * dilation - leftPadding
    return s >= 0 && s < time ? s : nil
  }
}

func conv1DForward(
  _ shape: Conv1DShape, _ live: Int, input: [Double], kernel: [Double], bias: [Double],
  output: inout [Double]
) {
  let (T, C, O) = (shape.time, shape.inputChannels, shape.outputChannels)
  for b in 0..<live {
    for t in 0..<T {
      for o in 0..<O {
        var sum = bias[o]
        for k in 0..<shape.taps {
          guard let s = shape.source(t, k) else { continue }
          for c in 0..<C {
            sum += kernel[(k * C + c) * O + o] * input[(b * T + s) * C + c]
          }
        }
        output[(b * T + t) * O + o] = sum
      }
    }
  }
}

/// inputGradient[b, s, c] = Σ_{t, k: source(t, k) = s} Σ_o kernel[k, c, o] · outputGradient[b, t, o]
func conv1DBackwardInput(
  _ shape: Conv1DShape, _ live: Int, outputGradient: [Double], kernel: [Double],
  inputGradient: inout [Double]
) {
  let (T, C, O) = (shape.time, shape.inputChannels, shape.outputChannels)
  for i in 0..<live * T * C { inputGradient[i] = 0 }
  for b in 0..<live {
    for t in 0..<T {
      for k in 0..<shape.taps {
        guard let s = shape.source(t, k) else { continue }
        for c in 0..<C {
          var sum = 0.0
          for o in 0..<O {
            sum += kernel[(k * C + c) * O + o] * outputGradient[(b * T + t) * O + o]
          }
          inputGradient[(b * T + s) * C + c] += sum
        }
      }
    }
  }
}

/// kernelGradient[k, c, o] = Σ_{b, t} input[b, source(t, k), c] · outputGradient[b, t, o],
/// biasGradient[o] = Σ_{b, t} outputGradient[b, t, o]
func conv1DBackwardKernel(
  _ shape: Conv1DShape, _ live: Int, input: [Double], outputGradient: [Double],
  kernelGradient: inout [Double], biasGradient: inout [Double]
) {
  let (T, C, O) = (shape.time, shape.inputChannels, shape.outputChannels)
  for i in kernelGradient.indices { kernelGradient[i] = 0 }
  for o in 0..<O { biasGradient[o] = 0 }
  for b in 0..<live {
    for t in 0..<T {
      for o in 0..<O { biasGradient[o] += outputGradient[(b * T + t) * O + o] }
      for k in 0..<shape.taps {
        guard let s = shape.source(t, k) else { continue }
        for c in 0..<C {
          for o in 0..<O {
            kernelGradient[(k * C + c) * O + o] +=
              input[(b * T + s) * C + c] * outputGradient[(b * T + t) * O + o]
          }
        }
      }
    }
  }
}
