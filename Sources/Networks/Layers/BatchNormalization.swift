import Compute

extension Layers {
  /// Per channel, over batch and time: `keras.layers.BatchNormalization`.
  public struct BatchNormalization: NetworkLayer {
    public static let classNames = ["BatchNormalization"]
    public static let automaticName = "batch_normalization"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var momentum: Float
    public var epsilon: Float

    public init(momentum: Float, epsilon: Float) {
      self.momentum = momentum
      self.epsilon = epsilon
    }

    public func fault() -> String? { nil }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] { inputs[0] }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] {
      let channels = [inputs[0].last ?? 0]
      return [
        LayerVariable("gamma", channels, .ones), LayerVariable("beta", channels),
        LayerVariable("moving_mean", channels, isTrainable: false),
        LayerVariable("moving_variance", channels, .ones, isTrainable: false),
      ]
    }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let shape = shape(build)
      let output = build.output()
      guard build.isTraining else {
        build.operations.append(
          .batchNormInference(
            .init(
              shape, input: build.input(), gamma: build.weight(0), beta: build.weight(1),
              movingMean: build.weight(2), movingVariance: build.weight(3), output: output)))
        return LayerTrace(output: output)
      }
      let mean = build.activation(of: "mean", [shape.channels], batched: false)
      let variance = build.activation(of: "variance", [shape.channels], batched: false)
      build.operations.append(
        .batchNormForward(
          .init(
            shape, input: build.input(), gamma: build.weight(0), beta: build.weight(1),
            output: output, mean: mean, variance: variance, movingMean: build.weight(2),
            movingVariance: build.weight(3))))
      return LayerTrace(output: output, kept: [mean, variance])
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .batchNormBackward(
          .init(
            shape(build), input: build.input(), outputGradient: outputGradient,
            gamma: build.weight(0), mean: trace.kept[0], variance: trace.kept[1],
            inputGradient: gradient, gammaGradient: build.gradient(0),
            betaGradient: build.gradient(1))))
      return [gradient]
    }

    private func shape(_ build: PlanBuilder) -> NormalizationShape {
      let input = build.inputSequence
      return NormalizationShape(
        time: input.time, channels: input.channels, epsilon: epsilon, momentum: momentum)
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.expectLastAxis(rank: shapes.first?.count ?? 0)
      try config.expect("center", true)
      try config.expect("scale", true)
      try config.expect("renorm", false)
      // `synchronized` averages over replicas of a distributed training: here there is one.
      try config.refuseUnknown(besides: [
        "axis", "momentum", "epsilon", "center", "scale", "synchronized", "renorm_momentum",
      ])
      return .layers([
        BatchNormalization(
          momentum: try config.float("momentum"), epsilon: try config.positive("epsilon"))
      ])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      let own: [String: JSONValue] = [
        "axis": -1, "momentum": .number(momentum), "synchronized": false,
        "moving_mean_initializer": .initializer("Zeros"),
        "moving_variance_initializer": .initializer("Ones"),
      ]
      return own.withScaleAndCenter(epsilon: epsilon)
    }
  }
}
