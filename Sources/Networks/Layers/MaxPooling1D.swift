import Compute

extension Layers {
  /// `[T, C]` → `[⌊T/size⌋, C]`: `keras.layers.MaxPooling1D`, stride and size equal.
  public struct MaxPooling1D: PoolingLayer {
    public static let classNames = ["MaxPooling1D"]
    public static let automaticName = "max_pooling1d"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var size: Int

    public init(size: Int) { self.size = size }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      let argmax = build.activation(of: "argmax", build.outputShape, type: .uint8)
      build.operations.append(
        .maxPoolForward(
          .init(shape(build), input: build.input(), output: output, argmax: argmax)))
      return LayerTrace(output: output, kept: [argmax])
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .maxPoolBackward(
          .init(
            shape(build), argmax: trace.kept[0], outputGradient: outputGradient,
            inputGradient: gradient)))
      return [gradient]
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      .layers([MaxPooling1D(size: try config.poolSize())])
    }
  }
}
