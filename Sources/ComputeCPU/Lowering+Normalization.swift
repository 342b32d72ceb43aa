import CVectorLoops
import Compute

extension Lowering {
  func normalizationBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .batchNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance,
      let movingMean, let movingVariance):
      return try batchNormForward(
        shape, input, gamma, beta, output, mean, variance, movingMean, movingVariance)
    case .batchNormInference(
      let shape, let input, let gamma, let beta, let movingMean, let movingVariance, let output):
      let (x, y, threads) = (try floats(input), try floats(output), threads)
      let (g, b) = (try floats(gamma), try floats(beta))
      let (m, v) = (try floats(movingMean), try floats(movingVariance))
      let factor = try pool.array(Float.self, count: shape.channels)
      return { context in
        vl_batch_factors(factor, g, v, shape.epsilon, shape.channels)
        vl_batch_norm_apply(
          threads, y, x, m, factor, b, context.live * shape.time, shape.channels)
      }
    case .layerNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance):
      let (x, y, threads) = (try floats(input), try floats(output), threads)
      let (g, b) = (try floats(gamma), try floats(beta))
      let (m, v) = (try floats(mean), try floats(variance))
      return { context in
        vl_layer_norm_forward(
          threads, y, m, v, x, g, b, shape.epsilon, context.live * shape.time, shape.channels)
      }
    default:
      return try normalizationBackward(operation)
    }
  }

  private func normalizationBackward(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .batchNormBackward(
      let shape, let input, let outputGradient, let gamma, let mean, let variance,
      let inputGradient, let gammaGradient, let betaGradient),
      .layerNormBackward(
        let shape, let input, let outputGradient, let gamma, let mean, let variance,
        let inputGradient, let gammaGradient, let betaGradient):
      let (x, dy, g) = (try floats(input), try floats(outputGradient), try floats(gamma))
      let (m, v) = (try floats(mean), try floats(variance))
      let (dx, dg, db) = (
        try floats(inputGradient), try floats(gammaGradient), try floats(betaGradient)
      )
      let (threads, scratch) = (threads, scratch)
      try scratch.reserve(Double.self, count: Int(threads) * 2 * shape.channels)
      if case .batchNormBackward = operation {
        let factors = try pool.array(Float.self, count: 3 * shape.channels)
        return { context in
          vl_batch_norm_backward(
            threads, dx, dg, db, x, dy, g, m, v, shape.epsilon, context.live * shape.time,
            shape.channels, scratch.doubles, factors)
        }
      }
      let rows = try pool.array(Float.self, count: Int(threads) * 2 * shape.channels)
      return { context in
        vl_layer_norm_backward(
          threads, dx, dg, db, x, dy, g, m, v, shape.epsilon, context.live * shape.time,
          shape.channels, scratch.doubles, rows)
      }
    default:
      throw misplaced(operation)
    }
  }

  private func batchNormForward(
    _ shape: NormalizationShape, _ input: TensorID, _ gamma: TensorID, _ beta: TensorID,
    _ output: TensorID, _ mean: TensorID, _ variance: TensorID, _ movingMean: TensorID,
    _ movingVariance: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let (x, y) = (try floats(input), try floats(output))
    let (g, b) = (try floats(gamma), try floats(beta))
    let (m, v) = (try floats(mean), try floats(variance))
    let (mm, mv) = (try floats(movingMean), try floats(movingVariance))
    let (threads, scratch) = (threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * shape.channels)
    let factor = try pool.array(Float.self, count: shape.channels)
    return { context in
      let rows = context.live * shape.time
      vl_batch_statistics(threads, m, v, x, rows, shape.channels, scratch.doubles)
      vl_move_statistics(mm, mv, m, v, shape.momentum.decimalValue, shape.channels)
      vl_batch_factors(factor, g, v, shape.epsilon, shape.channels)
      vl_batch_norm_apply(threads, y, x, m, factor, b, rows, shape.channels)
    }
  }
}
