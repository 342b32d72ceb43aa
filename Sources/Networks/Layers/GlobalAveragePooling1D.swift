import Compute

extension Layers {
  /// The mean over time, `[T, C]` → `[C]`: `keras.layers.GlobalAveragePooling1D`.
  public struct GlobalAveragePooling1D: NetworkLayer {
    public static let classNames = ["GlobalAveragePooling1D"]
    public static let automaticName = "global_average_pooling1d"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public init() {}

    public func fault() -> String? { nil }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      [try sequence(inputs).channels]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .meanOverTimeForward(.init(build.inputSequence, input: build.input(), output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .meanOverTimeBackward(
          .init(build.inputSequence, outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.expect("data_format", "channels_last")
      try config.refuseUnknown(besides: ["data_format", "keepdims"])
      let mean = GlobalAveragePooling1D()
      return .layers(config.settings["keepdims"] == true ? [mean, Reshape()] : [mean])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      ["data_format": "channels_last", "keepdims": false]
    }
  }
}
