import Compute

extension Layers {
  /// The sum of two or more tensors of one shape: `keras.layers.Add`.
  public struct Add: NetworkLayer {
    public static let classNames = ["Add"]
    public static let automaticName = "add"
    public static let inputCount = LayerInputCount.twoOrMore
    public static let callForm = LayerCallForm.list

    public init() {}

    public func fault() -> String? { nil }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      guard inputs.allSatisfy({ $0 == inputs[0] }) else {
        throw LayerShapeError(expected: "inputs of one shape")
      }
      return inputs[0]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .add(.init(elementsPerSample: build.elementCount, inputs: build.inputs, output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] { build.inputs.map { _ in outputGradient } }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: [])
      return .layers([Add()])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] { [:] }
  }
}
