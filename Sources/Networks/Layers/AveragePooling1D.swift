import Compute

extension Layers {
  /// `[T, C]` → `[⌊T/size⌋, C]`: `keras.layers.AveragePooling1D`, stride and size equal.
  public struct AveragePooling1D: PoolingLayer {
    public static let classNames = ["AveragePooling1D"]
    public static let automaticName = "average_pooling1d"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var size: Int

    public init(size: Int) { self.size = size }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .averagePoolForward(.init(shape(build), input: build.input(), output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      build.operations.append(
        .averagePoolBackward(
          .init(shape(build), outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      .layers([AveragePooling1D(size: try config.poolSize())])
    }
  }
}
