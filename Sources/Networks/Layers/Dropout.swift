import Compute

extension Layers {
  /// Inverted dropout while training: `keras.layers.Dropout`.
  public struct Dropout: NetworkLayer {
    public static let classNames = ["Dropout"]
    public static let automaticName = "dropout"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var rate: Float

    public init(rate: Float) { self.rate = rate }

    public func fault() -> String? { faulty(dropoutRate: rate) }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] { inputs[0] }
    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let input = build.input()
      guard build.regularizes && rate > 0 else { return LayerTrace(output: input) }
      let output = build.output()
      build.operations.append(.dropoutForward(.init(shape(build), input: input, output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      guard build.regularizes && rate > 0 else { return [outputGradient] }
      let gradient = build.inputGradient()
      build.operations.append(
        .dropoutBackward(
          .init(shape(build), outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    }

    private func shape(_ build: PlanBuilder) -> DropoutShape {
      DropoutShape(elementsPerSample: build.elementCount, rate: rate, stream: build.stream)
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: ["rate"])
      return .layers([Dropout(rate: try config.float("rate"))])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      ["rate": .number(rate), "seed": nil, "noise_shape": nil]
    }
  }
}
