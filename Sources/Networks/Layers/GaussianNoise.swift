import Compute

extension Layers {
  /// Adds noise while training: `keras.layers.GaussianNoise`.
  public struct GaussianNoise: NetworkLayer {
    public static let classNames = ["GaussianNoise"]
    public static let automaticName = "gaussian_noise"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var standardDeviation: Float

    public init(standardDeviation: Float) { self.standardDeviation = standardDeviation }

    public func fault() -> String? { nil }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] { inputs[0] }
    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let input = build.input()
      guard build.regularizes && standardDeviation > 0 else { return LayerTrace(output: input) }
      let output = build.output()
      build.operations.append(
        .gaussianNoise(
          .init(
            elementsPerSample: build.elementCount, deviation: standardDeviation,
            stream: build.stream, input: input, output: output)))
      return LayerTrace(output: output)
    }

    /// It stands behind the batch, which needs no gradient; elsewhere it passes one on.
    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] { [outputGradient] }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: ["stddev"])
      return .layers([GaussianNoise(standardDeviation: try config.float("stddev"))])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      ["stddev": .number(standardDeviation), "seed": nil]
    }
  }
}
