import CVectorLoops
import Compute

extension Lowering {
  /// Convolutions and dense layers.
  func productBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .conv1DForward(let shape, let input, let kernel, let bias, let output):
      return try convolution(
        shape, .forward,
        Convolution.Tensors(
          input: try address(input), output: try address(output), kernelID: kernel,
          kernel: try address(kernel), bias: try address(bias)))
    case .conv1DBackwardInput(let shape, let outputGradient, let kernel, let inputGradient):
      return try convolution(
        shape, .backwardInput,
        Convolution.Tensors(
          input: try address(inputGradient), output: try address(outputGradient),
          kernelID: kernel, kernel: try address(kernel), bias: nil))
    case .conv1DBackwardKernel(
      let shape, let input, let outputGradient, let kernelGradient, let biasGradient):
      return try convolution(
        shape, .backwardKernel,
        Convolution.Tensors(
          input: try address(input), output: try address(outputGradient),
          kernelID: kernelGradient, kernel: try address(kernelGradient),
          bias: try address(biasGradient)))
    case .denseForward(let shape, let input, let kernel, let bias, let output):
      return try denseForward(shape, input, kernel, bias, output)
    case .denseBackwardInput(let shape, let outputGradient, let kernel, let inputGradient):
      let (dy, w, dx) = (try floats(outputGradient), try floats(kernel), try floats(inputGradient))
      let oneDNN = oneDNN
      return { (context) throws(DeviceError) in
        try oneDNN.multiply(
          transposeB: true, m: context.live * shape.rowsPerSample, n: shape.inputs,
          k: shape.outputs, dy, w, beta: 0, dx)
      }
    case .denseBackwardKernel(
      let shape, let input, let outputGradient, let kernelGradient, let biasGradient):
      return try denseBackwardKernel(
        shape, input, outputGradient, kernelGradient, biasGradient)
    default:
      throw misplaced(operation)
    }
  }

  func convolution(
    _ shape: Conv1DShape, _ direction: Convolution.Direction, _ tensors: Convolution.Tensors,
    accumulates: Bool = false
  ) throws(DeviceError) -> LaunchBody {
    let convolution = Convolution(
      oneDNN, shape, direction, tensors, isInference: program.id != .forwardBackward,
      accumulates: accumulates)
    convolutions.append(convolution)
    return { (context) throws(DeviceError) in try convolution.execute(live: context.live) }
  }

  private func denseForward(
    _ shape: DenseShape, _ input: TensorID, _ kernel: TensorID, _ bias: TensorID,
    _ output: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let (x, w) = (try floats(input), try floats(kernel))
    let (b, y) = (try floats(bias), try floats(output))
    let (oneDNN, threads) = (oneDNN, threads)
    return { (context) throws(DeviceError) in
      let rows = context.live * shape.rowsPerSample
      vl_fill_rows(threads, y, b, shape.outputs, rows)
      try oneDNN.multiply(m: rows, n: shape.outputs, k: shape.inputs, x, w, beta: 1, y)
    }
  }

  private func denseBackwardKernel(
    _ shape: DenseShape, _ input: TensorID, _ outputGradient: TensorID,
    _ kernelGradient: TensorID, _ biasGradient: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let (x, dy) = (try floats(input), try floats(outputGradient))
    let (dw, db) = (try floats(kernelGradient), try floats(biasGradient))
    let (oneDNN, threads, scratch) = (oneDNN, threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * shape.outputs)
    return { (context) throws(DeviceError) in
      let rows = context.live * shape.rowsPerSample
      try oneDNN.multiply(
        transposeA: true, m: shape.inputs, n: shape.outputs, k: rows, x, dy, beta: 0, dw)
      vl_column_sums(threads, db, dy, rows, shape.outputs, scratch.doubles)
    }
  }
}
