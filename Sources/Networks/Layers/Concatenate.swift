import Compute

extension Layers {
  /// Along the channels: `keras.layers.Concatenate`.
  public struct Concatenate: NetworkLayer {
    public static let classNames = ["Concatenate"]
    public static let automaticName = "concatenate"
    public static let inputCount = LayerInputCount.twoOrMore
    public static let callForm = LayerCallForm.list

    public init() {}

    public func fault() -> String? { nil }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      let time = inputs[0].first
      guard inputs.allSatisfy({ $0.count == 2 && $0.first == time }) else {
        throw LayerShapeError(expected: "sequences of one length")
      }
      return [inputs[0][0], inputs.reduce(0) { $0 + $1[1] }]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .concatenateForward(
          .init(
            time: build.outputShape[0], channels: build.inputShapes.map { $0[1] },
            inputs: build.inputs, output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      var gradients: [TensorID] = []
      for place in build.inputs.indices { gradients.append(build.inputGradient(place)) }
      build.operations.append(
        .concatenateBackward(
          .init(
            time: build.outputShape[0], channels: build.inputShapes.map { $0[1] },
            outputGradient: outputGradient, inputGradients: gradients)))
      return gradients
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.expectLastAxis(rank: shapes.first?.count ?? 0)
      try config.refuseUnknown(besides: ["axis"])
      return .layers([Concatenate()])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] { ["axis": -1] }
  }
}
