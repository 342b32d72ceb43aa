import Compute

extension Layers {
  /// `[T, C]` → `[T, filters]`, stride 1, with bias: `keras.layers.Conv1D`.
  public struct Conv1D: NetworkLayer {
    public static let classNames = ["Conv1D"]
    public static let automaticName = "conv1d"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var filters: Int
    public var kernelSize: Int
    public var dilation: Int
    public var padding: Padding
    public var l2: Float

    public init(filters: Int, kernelSize: Int, dilation: Int, padding: Padding, l2: Float) {
      self.filters = filters
      self.kernelSize = kernelSize
      self.dilation = dilation
      self.padding = padding
      self.l2 = l2
    }

    public func fault() -> String? { faulty(sizes: [filters, kernelSize, dilation]) }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      [try sequence(inputs).time, filters]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] {
      let channels = inputs[0].last ?? 0
      return [
        LayerVariable(
          "kernel", [kernelSize, channels, filters],
          .glorotUniform(fanIn: kernelSize * channels, fanOut: kernelSize * filters), l2: l2),
        LayerVariable("bias", [filters]),
      ]
    }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let output = build.output()
      build.operations.append(
        .conv1DForward(
          .init(
            shape(build), input: build.input(), kernel: build.weight(0), bias: build.weight(1),
            output: output)))
      return LayerTrace(output: output)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let shape = shape(build)
      build.operations.append(
        .conv1DBackwardKernel(
          .init(
            shape, input: build.input(), outputGradient: outputGradient,
            kernelGradient: build.gradient(0), biasGradient: build.gradient(1))))
      guard wanted[0] else { return [nil] }
      let gradient = build.inputGradient()
      build.operations.append(
        .conv1DBackwardInput(
          .init(
            shape, outputGradient: outputGradient, kernel: build.weight(0),
            inputGradient: gradient)))
      return [gradient]
    }

    private func shape(_ build: PlanBuilder) -> Conv1DShape {
      let input = build.inputSequence
      return Conv1DShape(
        time: input.time, inputChannels: input.channels, outputChannels: filters,
        taps: kernelSize, dilation: dilation, padding: padding)
    }

    /// With a ReLU behind it where that is its activation.
    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.expect("strides", 1, [1])
      try config.expect("data_format", "channels_last")
      try config.expect("groups", 1)
      try config.expect("use_bias", true)
      try config.refuseUnknown(besides: [
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
        "activation", "use_bias", "kernel_regularizer",
      ])
      guard let name = config.settings["padding"]?.string, let padding = Padding(rawValue: name)
      else {
        throw config.unsupported(
          "padding", found: config.settings["padding"]?.brief ?? "missing",
          expected: "\"same\" or \"causal\"")
      }
      let layer = Conv1D(
        filters: try config.int("filters"), kernelSize: try config.single("kernel_size"),
        dilation: try config.single("dilation_rate"), padding: padding,
        l2: try config.kernelL2())
      let isRectified = try config.activation([.linear, .relu]) == .relu
      return .layers(isRectified ? [layer, ReLU()] : [layer])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      let own: [String: JSONValue] = [
        "filters": .integer(filters), "kernel_size": [.integer(kernelSize)], "strides": [1],
        "padding": .string(padding.rawValue), "data_format": "channels_last",
        "dilation_rate": [.integer(dilation)], "groups": 1, "activation": "linear",
        "activity_regularizer": nil,
      ]
      return own.withKernelAndBias(l2: l2)
    }
  }
}
