import CVectorLoops
import Compute

extension Lowering {
  func body(_ op: Conv1DForward) throws(DeviceError) -> LaunchBody {
    try convolution(
      op.shape, .forward,
      Convolution.Tensors(
        input: try address(op.input), output: try address(op.output), kernelID: op.kernel,
        kernel: try address(op.kernel), bias: try address(op.bias)))
  }

  func body(_ op: Conv1DBackwardInput) throws(DeviceError) -> LaunchBody {
    try convolution(
      op.shape, .backwardInput,
      Convolution.Tensors(
        input: try address(op.inputGradient), output: try address(op.outputGradient),
        kernelID: op.kernel, kernel: try address(op.kernel), bias: nil))
  }

  func body(_ op: Conv1DBackwardKernel) throws(DeviceError) -> LaunchBody {
    try convolution(
      op.shape, .backwardKernel,
      Convolution.Tensors(
        input: try address(op.input), output: try address(op.outputGradient),
        kernelID: op.kernelGradient, kernel: try address(op.kernelGradient),
        bias: try address(op.biasGradient)))
  }

  func body(_ op: DenseForward) throws(DeviceError) -> LaunchBody {
    let (x, w) = (try floats(op.input), try floats(op.kernel))
    let (b, y) = (try floats(op.bias), try floats(op.output))
    let (oneDNN, threads) = (oneDNN, threads)
    return { (context) throws(DeviceError) in
      let rows = context.live * op.shape.rowsPerSample
      vl_fill_rows(threads, y, b, op.shape.outputs, rows)
      try oneDNN.multiply(m: rows, n: op.shape.outputs, k: op.shape.inputs, x, w, beta: 1, y)
    }
  }

  func body(_ op: DenseBackwardInput) throws(DeviceError) -> LaunchBody {
    let (dy, w, dx) = (
      try floats(op.outputGradient), try floats(op.kernel), try floats(op.inputGradient)
    )
    let oneDNN = oneDNN
    return { (context) throws(DeviceError) in
      try oneDNN.multiply(
        transposeB: true, m: context.live * op.shape.rowsPerSample, n: op.shape.inputs,
        k: op.shape.outputs, dy, w, beta: 0, dx)
    }
  }

  func body(_ op: DenseBackwardKernel) throws(DeviceError) -> LaunchBody {
    let (x, dy) = (try floats(op.input), try floats(op.outputGradient))
    let (dw, db) = (try floats(op.kernelGradient), try floats(op.biasGradient))
    let (oneDNN, threads, scratch) = (oneDNN, threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * op.shape.outputs)
    return { (context) throws(DeviceError) in
      let rows = context.live * op.shape.rowsPerSample
      try oneDNN.multiply(
        transposeA: true, m: op.shape.inputs, n: op.shape.outputs, k: rows, x, dy, beta: 0, dw)
      vl_column_sums(threads, db, dy, rows, op.shape.outputs, scratch.doubles)
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

}
