import Compute

extension Layers {
  /// Over the channels of each time step: `keras.layers.LayerNormalization`.
  public struct LayerNormalization: NetworkLayer {
    public static let classNames = ["LayerNormalization"]
    public static let automaticName = "layer_normalization"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var epsilon: Float

    public init(epsilon: Float) { self.epsilon = epsilon }

    public func fault() -> String? { nil }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] { inputs[0] }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] {
      let channels = [inputs[0].last ?? 0]
      return [LayerVariable("gamma", channels, .ones), LayerVariable("beta", channels)]
    }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let shape = shape(build)
      let output = build.output()
      let mean = build.activation(of: "mean", [shape.time])
      let variance = build.activation(of: "variance", [shape.time])
      build.operations.append(
        .layerNormForward(
          .init(
            shape, input: build.input(), gamma: build.weight(0), beta: build.weight(1),
            output: output, mean: mean, variance: variance)))
      return LayerTrace(output: output, kept: [mean, variance])
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .layerNormBackward(
          .init(
            shape(build), input: build.input(), outputGradient: outputGradient,
            gamma: build.weight(0), mean: trace.kept[0], variance: trace.kept[1],
            inputGradient: gradient, gammaGradient: build.gradient(0),
            betaGradient: build.gradient(1))))
      return [gradient]
    }

    private func shape(_ build: PlanBuilder) -> NormalizationShape {
      let input = build.inputSequence
      return NormalizationShape(time: input.time, channels: input.channels, epsilon: epsilon)
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.expectLastAxis(rank: shapes.first?.count ?? 0)
      try config.expect("center", true)
      try config.expect("scale", true)
      try config.refuseUnknown(besides: ["axis", "epsilon", "center", "scale"])
      return .layers([LayerNormalization(epsilon: try config.positive("epsilon"))])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      let own: [String: JSONValue] = ["axis": [-1], "rms_scaling": false]
      return own.withScaleAndCenter(epsilon: epsilon)
    }
  }
}
