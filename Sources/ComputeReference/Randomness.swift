import Compute

// Operations that draw from Philox: counted by the element's index in the whole batch tensor and by
// the training step, so that the backward pass makes the same mask again.

extension DropoutShape {
  /// 1/(1 − rate) where the element is kept, 0 where it is dropped.
  func factor(element: Int, iteration: Int, key: SIMD2<UInt32>) -> Double {
    let lane = Philox.lane(
      element: element, stream: stream, step: UInt64(iteration), key: key)
    return lane >= Philox.dropoutThreshold(rate: rate) ? 1 / (1 - rate.decimalValue) : 0
  }
}

/// Forward and backward alike: `output = input · factor`.
func dropout(
  _ shape: DropoutShape, _ context: RunContext, input: [Double], output: inout [Double]
) {
  for i in 0..<context.live * shape.elementsPerSample {
    output[i] =
      input[i] * shape.factor(element: i, iteration: context.iteration, key: context.key)
  }
}

func gaussianNoise(
  _ elementsPerSample: Int, deviation: Float, stream: UInt32, _ context: RunContext,
  input: [Double], output: inout [Double]
) {
  for i in 0..<context.live * elementsPerSample {
    let normal = Philox.normal(
      element: i, stream: stream, step: UInt64(context.iteration), key: context.key)
    output[i] = input[i] + deviation.decimalValue * normal
  }
}
