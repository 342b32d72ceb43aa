import CVectorLoops
import Compute

extension Lowering {
  /// The plain form, every intermediate tensor written.
  func body(_ op: AttentionForward) throws(DeviceError) -> LaunchBody {
    let width = op.shape.heads * op.shape.keySize
    let (x, y, context) = (
      try floats(op.input), try floats(op.output), try floats(op.activations.context)
    )
    let projections = [
      (
        try floats(op.parameters.queryKernel), try floats(op.parameters.queryBias),
        try floats(op.activations.query)
      ),
      (
        try floats(op.parameters.keyKernel), try floats(op.parameters.keyBias),
        try floats(op.activations.key)
      ),
      (
        try floats(op.parameters.valueKernel), try floats(op.parameters.valueBias),
        try floats(op.activations.value)
      ),
    ]
    let (wo, bo) = (try floats(op.parameters.outputKernel), try floats(op.parameters.outputBias))
    var fixed = try plainAttention(op.shape)
    fixed.query = UnsafePointer(projections[0].2)
    fixed.key = UnsafePointer(projections[1].2)
    fixed.value = UnsafePointer(projections[2].2)
    fixed.probabilities = try floats(op.activations.probabilities)
    fixed.context = context
    let (oneDNN, threads, bound) = (oneDNN, threads, fixed)
    return { (step) throws(DeviceError) in
      let rows = step.live * op.shape.time
      for (kernel, bias, projected) in projections {
        vl_fill_rows(threads, projected, bias, width, rows)
        try oneDNN.multiply(
          m: rows, n: width, k: op.shape.channels, x, kernel, beta: 1, projected)
      }
      var attention = bound
      attention.random.step = step.iteration
      vl_attention_forward(threads, &attention, step.live)
      vl_fill_rows(threads, y, bo, op.shape.outputChannels, rows)
      try oneDNN.multiply(
        m: rows, n: op.shape.outputChannels, k: width, context, wo, beta: 1, y)
    }
  }

  func body(_ op: AttentionBackward) throws(DeviceError) -> LaunchBody {
    let (width, outputs) = (op.shape.heads * op.shape.keySize, op.shape.outputChannels)
    let (x, dy, dx) = (
      try floats(op.input), try floats(op.outputGradient), try floats(op.inputGradient)
    )
    let kernels = [
      try floats(op.parameters.queryKernel), try floats(op.parameters.keyKernel),
      try floats(op.parameters.valueKernel),
    ]
    let kernelGradients = [
      try floats(op.gradients.queryKernel), try floats(op.gradients.keyKernel),
      try floats(op.gradients.valueKernel),
    ]
    let biasGradients = [
      try floats(op.gradients.queryBias), try floats(op.gradients.keyBias),
      try floats(op.gradients.valueBias),
    ]
    let (wo, dwo, dbo) = (
      try floats(op.parameters.outputKernel), try floats(op.gradients.outputKernel),
      try floats(op.gradients.outputBias)
    )
    let context = try floats(op.activations.context)
    var fixed = try plainAttention(op.shape)
    fixed.query = UnsafePointer(try floats(op.activations.query))
    fixed.key = UnsafePointer(try floats(op.activations.key))
    fixed.value = UnsafePointer(try floats(op.activations.value))
    fixed.probabilities = try floats(op.activations.probabilities)
    let projected = program.capacity * op.shape.time * width
    let work = try pool.array(Float.self, count: 4 * projected)
    let projectedGradients = [work, work + projected, work + 2 * projected]
    let contextGradient = work + 3 * projected
    (fixed.d_query, fixed.d_key, fixed.d_value) = (work, work + projected, work + 2 * projected)
    fixed.d_context = UnsafePointer(contextGradient)
    let (oneDNN, threads, scratch, bound) = (oneDNN, threads, scratch, fixed)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * max(width, outputs))
    return { (step) throws(DeviceError) in
      let rows = step.live * op.shape.time
      try oneDNN.multiply(
        transposeB: true, m: rows, n: width, k: outputs, dy, wo, beta: 0, contextGradient)
      try oneDNN.multiply(
        transposeA: true, m: width, n: outputs, k: rows, context, dy, beta: 0, dwo)
      vl_column_sums(threads, dbo, dy, rows, outputs, scratch.doubles)
      var attention = bound
      attention.random.step = step.iteration
      vl_attention_backward(threads, &attention, step.live)
      for index in 0..<3 {
        let gradient = projectedGradients[index]
        try oneDNN.multiply(
          transposeA: true, m: op.shape.channels, n: width, k: rows, x, gradient, beta: 0,
          kernelGradients[index])
        vl_column_sums(threads, biasGradients[index], gradient, rows, width, scratch.doubles)
        try oneDNN.multiply(
          transposeB: true, m: rows, n: op.shape.channels, k: width, gradient, kernels[index],
          beta: index == 0 ? 0 : 1, dx)
      }
    }
  }

  private func plainAttention(_ shape: AttentionShape) throws(DeviceError) -> vl_attention {
    let parts = Int(threads)
    var result = vl_attention()
    result.time = shape.time
    result.heads = shape.heads
    result.key_size = shape.keySize
    result.scale = 1 / Float(shape.keySize).squareRoot()
    result.threshold = Philox.dropoutThreshold(rate: shape.dropoutRate)
    result.keep_scale = 1 / (1 - shape.dropoutRate)
    result.random = random(stream: shape.stream)
    result.rows = try pool.array(Float.self, count: parts * 2 * shape.time)
    result.lanes = try pool.array(UInt16.self, count: parts * (shape.time + 256))
    return result
  }
}
