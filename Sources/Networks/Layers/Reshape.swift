import Compute

extension Layers {
  /// `[C]` → `[1, C]`: how squeeze-excitation's scale meets the sequence it scales, as
  /// `keras.layers.Reshape((1, C))`.
  public struct Reshape: NetworkLayer {
    public static let classNames = ["Reshape"]
    public static let automaticName = "reshape"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public init() {}

    public func fault() -> String? { nil }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      guard inputs[0].count == 1 else { throw LayerShapeError(expected: "one vector") }
      return [1, inputs[0][0]]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      LayerTrace(output: build.input())
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] { [outputGradient] }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: ["target_shape"])
      let channels = shapes.first?.count == 1 ? shapes[0][0] : 0
      guard config.settings["target_shape"] != nil, channels > 0 else {
        throw config.unsupported(
          "input", found: "\(shapes.first ?? [])", expected: "one vector [C], reshaped to [1, C]")
      }
      try config.expect("target_shape", [1, .integer(channels)], [1, -1])
      return .layers([Reshape()])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      ["target_shape": [1, .integer(inputs.first?.last ?? 0)]]
    }
  }
}
