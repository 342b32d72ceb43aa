import CVectorLoops
import Compute

extension Lowering {
  func body(_ op: BatchNormForward) throws(DeviceError) -> LaunchBody {
    let (x, y) = (try floats(op.input), try floats(op.output))
    let (g, b) = (try floats(op.gamma), try floats(op.beta))
    let (m, v) = (try floats(op.mean), try floats(op.variance))
    let (mm, mv) = (try floats(op.movingMean), try floats(op.movingVariance))
    let (threads, scratch) = (threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * op.shape.channels)
    let factor = try pool.array(Float.self, count: op.shape.channels)
    return { context in
      let rows = context.live * op.shape.time
      vl_batch_statistics(threads, m, v, x, rows, op.shape.channels, scratch.doubles)
      vl_move_statistics(mm, mv, m, v, op.shape.momentum.decimalValue, op.shape.channels)
      vl_batch_factors(factor, g, v, op.shape.epsilon, op.shape.channels)
      vl_batch_norm_apply(threads, y, x, m, factor, b, rows, op.shape.channels)
    }
  }

  func body(_ op: BatchNormInference) throws(DeviceError) -> LaunchBody {
    let (x, y, threads) = (try floats(op.input), try floats(op.output), threads)
    let (g, b) = (try floats(op.gamma), try floats(op.beta))
    let (m, v) = (try floats(op.movingMean), try floats(op.movingVariance))
    let factor = try pool.array(Float.self, count: op.shape.channels)
    return { context in
      vl_batch_factors(factor, g, v, op.shape.epsilon, op.shape.channels)
      vl_batch_norm_apply(
        threads, y, x, m, factor, b, context.live * op.shape.time, op.shape.channels)
    }
  }

  func body(_ op: LayerNormForward) throws(DeviceError) -> LaunchBody {
    let (x, y, threads) = (try floats(op.input), try floats(op.output), threads)
    let (g, b) = (try floats(op.gamma), try floats(op.beta))
    let (m, v) = (try floats(op.mean), try floats(op.variance))
    return { context in
      vl_layer_norm_forward(
        threads, y, m, v, x, g, b, op.shape.epsilon, context.live * op.shape.time, op.shape.channels
      )
    }
  }

  func body(_ op: BatchNormBackward) throws(DeviceError) -> LaunchBody {
    let (x, dy, g) = (try floats(op.input), try floats(op.outputGradient), try floats(op.gamma))
    let (m, v) = (try floats(op.mean), try floats(op.variance))
    let (dx, dg, db) = (
      try floats(op.inputGradient), try floats(op.gammaGradient), try floats(op.betaGradient)
    )
    let (shape, threads, scratch) = (op.shape, threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * shape.channels)
    let factors = try pool.array(Float.self, count: 3 * shape.channels)
    return { context in
      vl_batch_norm_backward(
        threads, dx, dg, db, x, dy, g, m, v, shape.epsilon, context.live * shape.time,
        shape.channels, scratch.doubles, factors)
    }
  }

  func body(_ op: LayerNormBackward) throws(DeviceError) -> LaunchBody {
    let (x, dy, g) = (try floats(op.input), try floats(op.outputGradient), try floats(op.gamma))
    let (m, v) = (try floats(op.mean), try floats(op.variance))
    let (dx, dg, db) = (
      try floats(op.inputGradient), try floats(op.gammaGradient), try floats(op.betaGradient)
    )
    let (shape, threads, scratch) = (op.shape, threads, scratch)
    try scratch.reserve(Double.self, count: Int(threads) * 2 * shape.channels)
    let rows = try pool.array(Float.self, count: Int(threads) * 2 * shape.channels)
    return { context in
      vl_layer_norm_backward(
        threads, dx, dg, db, x, dy, g, m, v, shape.epsilon, context.live * shape.time,
        shape.channels, scratch.doubles, rows)
    }
  }

}
