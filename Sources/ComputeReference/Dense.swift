import Compute

// Dense over rows: output[r, o] = bias[o] + Σ_i input[r, i] · kernel[i, o], rows = live · rowsPerSample.

func denseForward(
  _ shape: DenseShape, _ live: Int, input: [Double], kernel: [Double], bias: [Double],
  output: inout [Double]
) {
  let (I, O) = (shape.inputs, shape.outputs)
  for r in 0..<live * shape.rowsPerSample {
    for o in 0..<O {
      var sum = bias[o]
      for i in 0..<I { sum += input[r * I + i] * kernel[i * O + o] }
      output[r * O + o] = sum
    }
  }
}

func denseBackwardInput(
  _ shape: DenseShape, _ live: Int, outputGradient: [Double], kernel: [Double],
  inputGradient: inout [Double]
) {
  let (I, O) = (shape.inputs, shape.outputs)
  for r in 0..<live * shape.rowsPerSample {
    for i in 0..<I {
      var sum = 0.0
      for o in 0..<O { sum += outputGradient[r * O + o] * kernel[i * O + o] }
      inputGradient[r * I + i] = sum
    }
  }
}

func denseBackwardKernel(
  _ shape: DenseShape, _ live: Int, input: [Double], outputGradient: [Double],
  kernelGradient: inout [Double], biasGradient: inout [Double]
) {
  let (I, O) = (shape.inputs, shape.outputs)
  for i in kernelGradient.indices { kernelGradient[i] = 0 }
  for o in 0..<O { biasGradient[o] = 0 }
  for r in 0..<live * shape.rowsPerSample {
    for o in 0..<O {
      biasGradient[o] += outputGradient[r * O + o]
      for i in 0..<I { kernelGradient[i * O + o] += input[r * I + i] * outputGradient[r * O + o] }
    }
  }
}
