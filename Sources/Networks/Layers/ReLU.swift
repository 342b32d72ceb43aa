import Compute

extension Layers {
  /// `max(x, 0)`: `keras.layers.Activation("relu")`, or `keras.layers.ReLU` without slopes.
  public struct ReLU: NetworkLayer {
    public static let classNames = ["Activation", "ReLU"]
    public static let automaticName = "activation"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public init() {}

    public func fault() -> String? { nil }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] { inputs[0] }
    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .reluForward(
          .init(elementsPerSample: build.elementCount, input: build.input(), output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .reluBackward(
          .init(
            elementsPerSample: build.elementCount, output: trace.output,
            outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      if config.className == "ReLU" {
        try config.expect("negative_slope", 0)
        try config.expect("threshold", 0)
        try config.refuseUnknown(besides: ["negative_slope", "threshold"])
        return .layers([ReLU()])
      }
      try config.refuseUnknown(besides: ["activation"])
      let activation = try config.activation()
      switch activation {
      case .linear: return .identity
      case .relu: return .layers([ReLU()])
      case .sigmoid, .softmax: return .activationOfDense(activation)
      }
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] { ["activation": "relu"] }
  }
}
