import Compute

extension OperationCase {
  /// Training forward and backward of batch normalization.
  public static func batchNorm(
    time: Int, channels: Int, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = NormalizationShape(time: time, channels: channels, epsilon: 1e-3)
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [time, channels], .between(-1, 1.5))
    let gamma = build.parameter("gamma", [channels], .between(0.5, 1.5))
    let beta = build.parameter("beta", [channels], .uniform(0.5))
    let movingMean = build.lasting("moving_mean", [channels], .statistic, .uniform(0.5))
    let movingVariance = build.lasting(
      "moving_variance", [channels], .statistic, .between(0.5, 1.5))
    let mean = build.activation("mean", [channels], batched: false)
    let variance = build.activation("variance", [channels], batched: false)
    let y = build.output("output", [time, channels])
    build.operations = [
      .batchNormForward(
        BatchNormForward(
          shape, input: x.value, gamma: gamma.value, beta: beta.value, output: y.value,
          mean: mean, variance: variance, movingMean: movingMean, movingVariance: movingVariance)),
      .batchNormBackward(
        BatchNormBackward(
          shape, input: x.value, outputGradient: y.gradient, gamma: gamma.value, mean: mean,
          variance: variance, inputGradient: x.gradient, gammaGradient: gamma.gradient,
          betaGradient: beta.gradient)),
    ]
    return build.build(
      .batchNorm, "T \(time), C \(channels), \(live)/\(capacity)",
      axes: [.time: time, .channels: channels], live: live)
  }

  public static func batchNormInference(
    time: Int, channels: Int, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = NormalizationShape(time: time, channels: channels, epsilon: 1e-3)
    var build = CaseBuilder(capacity: capacity)
    let x = build.given("input", [time, channels], .between(-1, 1.5))
    let gamma = build.lasting("gamma", [channels], .parameter, .between(0.5, 1.5))
    let beta = build.lasting("beta", [channels], .parameter, .uniform(0.5))
    let movingMean = build.lasting("moving_mean", [channels], .statistic, .uniform(0.5))
    let movingVariance = build.lasting(
      "moving_variance", [channels], .statistic, .between(0.5, 1.5))
    let y = build.plainOutput("output", [time, channels])
    build.operations = [
      .batchNormInference(
        BatchNormInference(
          shape, input: x, gamma: gamma, beta: beta, movingMean: movingMean,
          movingVariance: movingVariance, output: y))
    ]
    build.isDifferentiable = false
    return build.build(
      .batchNormInference, "T \(time), C \(channels), \(live)/\(capacity)",
      axes: [.time: time, .channels: channels], live: live, program: .predict)
  }

  public static func layerNorm(
    time: Int, channels: Int, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = NormalizationShape(time: time, channels: channels, epsilon: 1e-6)
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [time, channels], .between(-1, 1.5))
    let gamma = build.parameter("gamma", [channels], .between(0.5, 1.5))
    let beta = build.parameter("beta", [channels], .uniform(0.5))
    let mean = build.activation("mean", [time])
    let variance = build.activation("variance", [time])
    let y = build.output("output", [time, channels])
    build.operations = [
      .layerNormForward(
        LayerNormForward(
          shape, input: x.value, gamma: gamma.value, beta: beta.value, output: y.value,
          mean: mean, variance: variance)),
      .layerNormBackward(
        LayerNormBackward(
          shape, input: x.value, outputGradient: y.gradient, gamma: gamma.value, mean: mean,
          variance: variance, inputGradient: x.gradient, gammaGradient: gamma.gradient,
          betaGradient: beta.gradient)),
    ]
    return build.build(
      .layerNorm, "T \(time), C \(channels), \(live)/\(capacity)",
      axes: [.time: time, .channels: channels], tags: channels == 1 ? [.cancels] : [], live: live)
  }

  static var awkwardNormalizations: [OperationCase] {
    // The last has more chunks of rows than a work-group has lanes.
    let sizes = [
      (5, 7, 3, 2), (1, 33, 3, 3), (13, 1, 2, 2), (17, 33, 2, 2), (1, 3, 2, 1), (45, 33, 3, 2),
    ]
    return sizes.map { batchNorm(time: $0.0, channels: $0.1, capacity: $0.2, live: $0.3) }
      + sizes.map { batchNormInference(time: $0.0, channels: $0.1, capacity: $0.2, live: $0.3) }
      + sizes.map { layerNorm(time: $0.0, channels: $0.1, capacity: $0.2, live: $0.3) }
      // More channels than a group is wide.
      + [layerNorm(time: 2, channels: 70, capacity: 2, live: 1)]
  }

  static func modelNormalizations(batch: Int) -> [OperationCase] {
    let sizes = [(204, 32), (204, 64), (204, 128), (102, 256), (51, 512)]
    return sizes.map { batchNorm(time: $0.0, channels: $0.1, capacity: batch, live: batch) }
      + sizes.map { batchNormInference(time: $0.0, channels: $0.1, capacity: batch, live: batch) }
      + [layerNorm(time: 204, channels: 64, capacity: batch, live: batch)]
  }
}
