import Compute

// Operations that bring tensors together or take them apart: concatenate, add, scale the channels.

/// Inputs [B, T, Cᵢ] side by side along the channels.
func concatenateForward(
  _ rows: Int, _ channels: [Int], inputs: [[Double]], output: inout [Double]
) {
  let total = channels.reduce(0, +)
  for r in 0..<rows {
    var start = r * total
    for (input, C) in zip(inputs, channels) {
      for c in 0..<C { output[start + c] = input[r * C + c] }
      start += C
    }
  }
}

/// The part of the output's gradient that belongs to the input whose channels begin at `first`.
func concatenateBackward(
  _ rows: Int, _ channels: [Int], part: Int, outputGradient: [Double],
  inputGradient: inout [Double]
) {
  let total = channels.reduce(0, +)
  let first = channels[..<part].reduce(0, +)
  for r in 0..<rows {
    for c in 0..<channels[part] {
      inputGradient[r * channels[part] + c] = outputGradient[r * total + first + c]
    }
  }
}

func add(_ count: Int, inputs: [[Double]], output: inout [Double]) {
  for i in 0..<count { output[i] = inputs.reduce(0) { $0 + $1[i] } }
}

/// output[b, t, c] = input[b, t, c] · scale[b, c]
func scaleChannelsForward(
  _ shape: SequenceShape, _ live: Int, input: [Double], scale: [Double], output: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for t in 0..<T {
      for c in 0..<C {
        let i = (b * T + t) * C + c
        output[i] = input[i] * scale[b * C + c]
      }
    }
  }
}

/// inputGradient = outputGradient · scale, scaleGradient[b, c] = Σ_t input · outputGradient
func scaleChannelsBackward(
  _ shape: SequenceShape, _ live: Int, input: [Double], scale: [Double],
  outputGradient: [Double], inputGradient: inout [Double], scaleGradient: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for c in 0..<C {
      var sum = 0.0
      for t in 0..<T {
        let i = (b * T + t) * C + c
        sum += input[i] * outputGradient[i]
        inputGradient[i] = outputGradient[i] * scale[b * C + c]
      }
      scaleGradient[b * C + c] = sum
    }
  }
}
