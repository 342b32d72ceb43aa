import Compute

extension Layers {
  /// A sequence times a scale, `[T, C]` · `[1, C]`: `keras.layers.Multiply`.
  public struct Multiply: NetworkLayer {
    public static let classNames = ["Multiply"]
    public static let automaticName = "multiply"
    public static let inputCount = LayerInputCount.two
    public static let callForm = LayerCallForm.list

    public init() {}

    public func fault() -> String? { nil }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      guard inputs[0].count == 2, inputs[1] == [1, inputs[0][1]] else {
        throw LayerShapeError(expected: "a sequence [T, C] and a scale [1, C]")
      }
      return inputs[0]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .scaleChannelsForward(
          .init(
            build.inputSequence, input: build.input(0), scale: build.input(1), output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradients = [build.inputGradient(0), build.inputGradient(1)]
      build.operations.append(
        .scaleChannelsBackward(
          .init(
            build.inputSequence, input: build.input(0), scale: build.input(1),
            outputGradient: outputGradient, inputGradient: gradients[0],
            scaleGradient: gradients[1])))
      return gradients
    }

    /// `[T, C]` times `[1, C]` or `[C]`, in either order. Keras's layer gives the vector the axis
    /// that it lacks, behind the batch's.
    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: [])
      guard shapes.count == 2 else { return .layers([Multiply()]) }
      for (sequence, scale) in [(0, 1), (1, 0)] where shapes[sequence].count == 2 {
        if shapes[scale].count == 1, !config.isFunction {
          return .scaled(sequence: sequence, scale: scale, isVector: true)
        }
        if shapes[scale].count == 2, shapes[scale][0] == 1, shapes[sequence][0] != 1 {
          return .scaled(sequence: sequence, scale: scale, isVector: false)
        }
      }
      return .layers([Multiply()])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] { [:] }
  }
}
